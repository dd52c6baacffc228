"""docs/opencompass.md: both columns of its table, and every block, against servers on loopback."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers import compass
from helpers.commands import Project
from helpers.engine import serving

PAGE = (Path(__file__).parents[3] / "docs/opencompass.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(r"^\| `(python .*?|opencompass .*?)` \| `(batchflow .*?)` \|$", PAGE, re.MULTILINE)
YAML = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
QUICK = {"get": ("--refresh-after", 0), "results": ("--refresh-after", 0), "run": ("--refresh-after", 0)}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project", compass.caches(tmp_path))


def run(project, block, **ports):
    """Run lines; ports: the page's port -> the URL (without /v1) of the server that stands for it."""
    reports = {}
    for line in filter(None, block.splitlines()):
        words = shlex.split(line)
        assert words[0] == "batchflow"
        for port, url in ports.items():
            words = [word.replace(f"http://127.0.0.1:{port[1:]}", url.removesuffix("/v1")) for word in words]
        reports[words[1]] = project.ok(*words[1:], *QUICK.get(words[1], ()))
    return reports


def of_theirs(line):
    """A command of LMDeploy's guide as it is typed here: the program's name, the file's ending, `-m`, and e2e."""
    here = line.replace("python eval/gen_config.py", "batchflow init-config").replace("opencompass ", "batchflow run ")
    here = re.sub(r"(\w+)\.py\b", r"\1.yaml", here).replace(" -m ", " --mode ")
    return here.replace("--mode e2e", "--mode all").replace("--datasets", "-d")


def test_both_columns_are_the_same_commands_and_run(project):
    assert [of_theirs(theirs) for theirs, _ in ROWS] == [ours for _, ours in ROWS]
    assert len(ROWS) == 7
    with serving("internlm3-8b") as model, serving("CompassVerifier-32B") as judge:
        model.text, judge.text = compass.reply, compass.verdict
        done = run(project, "\n".join(ours for _, ours in ROWS[2:]), p23333=model.url, p8000=judge.url)
    assert len(model.calls) == 8
    assert [(row["dataset"], row["score"]) for row in done["run"]["rows"]] == [("GPQA_diamond_repeat_4", 100.0)]


def test_the_configuration_of_the_page_can_be_read(project):
    from batchflow.steps.compass.config import read

    (project.folder / "mine.csv").write_text("question,reference\n1?,1\n")
    (project.folder / "cfg.yaml").write_text(YAML[1].replace("GPQA_diamond_repeat_8]", "GPQA_diamond_repeat_8]"))
    config = read(project.folder / "cfg.yaml")
    assert [data.label for data in config.data] == ["aime2025_repeat_32", "GPQA_diamond_repeat_8", "mine", "riddle"]
    assert (config.limit, config.judge.kind, config.model.rps) == (100, "compass-verifier", 10)


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


def test_every_flag_of_the_page_exists(project):
    helps = {}
    for line in "\n".join([*BLOCKS, *(ours for _, ours in ROWS)]).splitlines():
        words = shlex.split(line)
        if words[:1] == ["batchflow"]:
            text = helps.setdefault(words[1], project.run(words[1], "--help").out)
            assert all(word in text for word in words if word.startswith("-")), line
