"""The pages that say how to do something: their commands run as they stand there, and none is left out of the site."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.commands import IMPATIENT, Project
from helpers.engine import serving

from batchflow.local.base.options import ENGINES
from batchflow.rehearsal import server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.settings import VENDORS

DOCS = Path(__file__).parents[1] / "docs"
SERVERS = {path.stem: path for path in (DOCS / "howto").glob("*.md")}
QUESTIONS = "question,reference\n" + "".join(f"What is {n} and one?,{n + 1}\n" for n in range(1, 7))
KNOWN = Rule(right=1.0, judge_error=0.0, oracle=oracle((f"What is {n} and one?", str(n + 1)) for n in range(1, 7)))


def text(path):
    return path.read_text("utf-8")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def project(tmp_path):
    """A project with the keys of all vendors, which are imitated."""
    with server.running(tmp_path / "vendors", rule=KNOWN) as up:
        made = Project(tmp_path / "project", {**up.environment, "BATCHFLOW_TASK": ""}, IMPATIENT)
        (made.folder / "questions.csv").write_text(QUESTIONS)
        yield made


def run(project, lines, url=""):
    """Run the commands of a block; all have to succeed. Returns the document of each, by its verb."""
    reports = {}
    for line in filter(None, lines.splitlines()):
        words = shlex.split(line.replace("http://127.0.0.1:8000/v1", url))
        assert words[0] == "batchflow", line
        quick = ["--refresh-after", 0] if words[1] in {"get", "run"} or "--wait" in words else []
        reports[words[1]] = project.ok(*words[1:], *quick)
    return reports


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_page_of_a_vendor_goes_to_a_score(project, vendor):
    (lines,) = blocks(text(SERVERS[vendor]), "console")
    told = run(project, lines)
    assert told["prepare"]["provider"] == vendor
    assert told["score"]["score"] == 1.0


def test_the_tutorial_runs_from_its_file_to_its_report(project):
    page = text(DOCS / "tutorial.md")
    (project.folder / "questions.csv").write_text(blocks(page, "csv")[0])
    told = run(project, "\n".join(blocks(page, "console")))
    assert told["results"]["outcomes"] == {"ok": 8}
    assert {row["group"] for row in told["score"]["groups"]["topic"]} == {"geography", "biology", "arithmetic"}
    assert (project.folder / "report.html").stat().st_size > 10_000
    assert (project.folder / "results" / "capitals.labels.csv").exists()
    assert told["run"]["batches"][0]["name"] == "again"


def test_the_page_of_a_server_runs(project):
    (lines,) = blocks(text(SERVERS["openai-compatible"]), "console")
    with serving("my-model", "2") as model:
        told = run(project, lines, model.url)
    assert told["results"]["outcomes"] == {"ok": 6}


def test_the_page_about_evalscope_runs(project):
    (project.folder / "questions.jsonl").write_text('{"question": "What is 1 and one?"}\n{"question": "What else?"}\n')
    (lines,) = blocks(text(SERVERS["from-evalscope"]), "text")
    told = run(project, lines)
    assert told["compare"]["field"] == "rating"


def test_the_page_about_mixeval_runs(project):
    (lines,) = blocks(text(SERVERS["from-mixeval"]), "text")
    folder = project.folder / "mix_eval" / "data" / "mixeval-2024-08-11" / "mixeval"
    folder.mkdir(parents=True)
    row = {"context": None, "prompt": "What is 1 and one?", "benchmark_name": "GSM8k"}
    (folder / "free-form.json").write_text(json.dumps({"0": row | {"problem_type": "free-form", "target": ["2"]}}))
    choice = row | {"problem_type": "multiple-choice", "target": [1], "options": ["3", "2"]}
    (folder / "multiple-choice.json").write_text(json.dumps({"0": choice}))
    assert set(run(project, lines)["score"]["groups"]) == {"source"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_a_page_of_its_own(engine):
    name = {"server": "openai-compatible", "embedded": "llama-cpp", "hf": "transformers"}.get(engine, engine)
    assert "batchflow prepare --provider local" in text(SERVERS[name])


def test_every_system_that_is_replaced_has_a_page():
    systems = {"from-layton-eval", "from-mixeval", "from-evalscope", "from-internbootcamp"}
    assert systems <= set(SERVERS)
    assert {path.stem for path in (DOCS / "extend").glob("*.md")} == {"vendor", "task", "judge", "layout"}


def test_every_page_is_in_the_navigation_once():
    trees = "".join(blocks(text(DOCS / "index.md"), "{toctree}"))
    listed = [line for line in trees.splitlines() if line and not line.startswith(":")]
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} - {"index"}
    assert sorted(listed) == sorted(pages)


def test_every_included_file_is_there():
    for page in DOCS.rglob("*.md"):
        for name in re.findall(r"```\{literalinclude\} (\S+)", text(page)):
            assert (page.parent / name).is_file(), (page, name)
