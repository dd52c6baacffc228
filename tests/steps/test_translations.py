"""docs/translations.md and the page about InternBootcamp: every block runs as it stands there, on loopback."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.engine import serving

PAGE = (Path(__file__).parents[2] / "docs/translations.md").read_text("utf-8")
BOOTCAMP = (Path(__file__).parents[2] / "docs/howto/from-internbootcamp.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE + BOOTCAMP, re.DOTALL)
VERIFIERS = re.search(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/verifiers.md").read_text("utf-8"), re.DOTALL
)[1]
TOML = re.search(r"```toml\n# few_shot.toml\n(.*?)```", PAGE, re.DOTALL)
QUICK = {"get": ("--refresh-after", 0), "results": ("--refresh-after", 0), "prepare": ("--limit", 12)}  # 10 a second


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def run(project, block, **ports):
    """Run a block's lines; ports: the page's port -> the URL (without /v1) of the server that stands for it."""
    reports = {}
    for line in filter(None, block.splitlines()):
        words = shlex.split(line)
        if words[0] == "export":
            project.environment.update([words[1].split("=", 1)])
            continue
        assert words[0] == "batchflow"
        for port, url in ports.items():
            words = [word.replace(f"http://127.0.0.1:{port[1:]}", url.removesuffix("/v1")) for word in words]
        reports[words[1]] = project.ok(*words[1:], *QUICK.get(words[1], ()))
    return reports


def test_the_bootcamp_runners_example(project):
    folder = project.folder / "examples/bootcamp_eval"
    folder.mkdir(parents=True)
    rows = [{"data_source": "Sum", "prompt": f"{n} + 1?", "ground_truth": {"terms": [n, 1]}} for n in range(12)]
    (folder / "sum.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project.folder / "verifiers.py").write_text(VERIFIERS)
    with serving("r1_32B") as server:
        server.text = lambda _: "Let me see.</think>It is [[3]]."
        done = run(project, BLOCKS[-1], p8000=server.url)
    assert server.keys == {"Bearer EMPTY"}
    assert len(server.calls) == done["prepare"]["requests"] == 12
    for path, body in server.calls:
        assert path == "/v1/completions"
        assert re.fullmatch(r"<｜begin▁of▁sentence｜><｜User｜>\d+ \+ 1\?<｜Assistant｜><think>\n", body["prompt"])
        assert (body["stop"], body["max_tokens"], body["temperature"]) == (["<｜end▁of▁sentence｜>"], 32768, 0.0)
        assert "messages" not in body
    assert done["results"]["outcomes"]["ok"] == 12
    assert done["score"]["score"] == pytest.approx(1 / 12)  # 2 + 1


def test_a_few_shot_prefix(project):
    assert TOML is not None
    (project.folder / "few_shot.toml").write_text(TOML[1], "utf-8")
    with serving("r1_32B") as server:
        run(project, BLOCKS[-2], p8000=server.url)
    assert len(server.calls) == 12
    for _, body in server.calls:
        assert body["prompt"].startswith("Question: What has a face and two hands?\nAnswer: a clock\n\n\nQuestion: ")
        assert body["stop"] == ["\n\n\nQuestion"]


def test_every_flag_of_the_page_exists(project):
    helps = {verb: project.run(verb, "--help").out for verb in ("prepare", "jury", "start", "get", "results", "score")}
    for line in "\n".join(BLOCKS).splitlines():
        words = shlex.split(line)
        if words[:1] == ["batchflow"]:
            assert all(word in helps[words[1]] for word in words if word.startswith("--")), line
