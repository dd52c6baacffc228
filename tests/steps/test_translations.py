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


def gpqa(project):
    """A table of twelve questions, half of them with the reference 4."""
    rows = "".join(f"What is {n} + 2?,{4 if n % 2 else 5}\n" for n in range(12))
    (project.folder / "gpqa.csv").write_text("question,reference\n" + rows)


def verdict(body):
    """A reply as CompassVerifier gives it: one letter; it is shown the answer without its thoughts."""
    (asked,) = [message["content"] for message in body["messages"] if message["role"] == "user"]
    text = asked if isinstance(asked, str) else asked[0]["text"]
    assert "think>" not in text
    assert "response_format" not in body
    return "A" if "Standard answer: 4\n" in text else "B"


def test_infer_now_and_judge_later_with_another_server(project):
    infer, judge = BLOCKS[:2]
    gpqa(project)
    with serving("internlm3-8b") as model:
        model.text = lambda _: "<think>Is it 2?</think>4"
        first = run(project, infer, p23333=model.url)
    assert first["results"]["outcomes"]["ok"] == first["prepare"]["requests"] == len(model.calls)
    assert {(path, body["temperature"], body["max_tokens"]) for path, body in model.calls} == {
        ("/v1/chat/completions", 0.6, 32768)
    }
    with serving("CompassVerifier-32B") as judging:  # the model's server is gone by now
        judging.text = verdict
        then = run(project, judge, p8000=judging.url)
    assert len(judging.calls) == first["prepare"]["requests"]
    assert then["score"]["score"] == 0.5
    assert then["score"]["n_items"] == first["prepare"]["requests"]


def test_both_routes_score_the_same(tmp_path):
    """All in one go with one server, or in two stages: the same number (there, the two routes could differ)."""
    scores = []
    for way in ("one", "two"):
        project = Project(tmp_path / way)
        gpqa(project)
        with serving("internlm3-8b") as model, serving("CompassVerifier-32B") as judging:
            model.text, judging.text = (lambda _: "<think>Is it 2?</think>4"), verdict
            blocks = BLOCKS[:2] if way == "two" else ["\n".join(BLOCKS[:2])]
            for block in blocks:
                done = run(project, block, p23333=model.url, p8000=judging.url)
        scores.append({key: done["score"][key] for key in ("score", "ci_low", "ci_high", "n_items")})
    assert scores[0] == scores[1]
    assert scores[0]["score"] == 0.5


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
