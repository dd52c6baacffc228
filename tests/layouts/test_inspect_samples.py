"""Inspect's logs as answers that are brought."""

from __future__ import annotations

import json
import zipfile

import pytest
from helpers.commands import Project

SAMPLE = {"id": "a", "epoch": 1, "output": {"model": "m-1", "completion": "2"}, "scores": {}}
QUESTIONS = "id,question,reference\na,One and one?,2\n7,Two and two?,4\nc,Three?,3\n"


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    del made.environment["BATCHFLOW_TASK"]
    (made.folder / "q.csv").write_text(QUESTIONS)
    return made


def log(project, *samples):
    with zipfile.ZipFile(project.folder / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        for number, sample in enumerate(samples):
            archive.writestr(f"samples/{number}.json", sample if isinstance(sample, str) else json.dumps(sample))


WORDS = ("import", "predictions", "log.eval", "--provider", "openai", "--dataset", "q.csv")


def test_samples_become_answers_epoch_by_epoch_and_go_out_again(project):
    parts = {"message": {"role": "assistant", "content": [{"type": "text", "text": "4"}]}}
    log(
        project,
        SAMPLE,
        SAMPLE | {"epoch": 2, "output": {"model": "m-1", "completion": "3"}},
        {"id": 7, "epoch": 1, "output": {"model": "m-1", "choices": [parts]}},
        {"id": "c", "epoch": 1, "output": {"model": "m-1", "choices": []}, "error": {"message": "timed out"}},
    )
    assert project.ok(*WORDS)["outcomes"] == {"ok": 3, "error": 1}
    wanted = [("a", 0, "2"), ("a", 1, "3"), ("7", 0, "4"), ("c", 0, None)]
    assert [(row["custom_id"], row["sample"], row["answer"]) for row in project.rows("results/log.jsonl")] == wanted
    path = project.ok("export", "log", "--to", "inspect")["path"]
    project.ok("import", "predictions", path, "--provider", "openai", "--dataset", "q.csv", "--name", "back")
    rows = project.rows("results/back.jsonl")
    assert [(row["custom_id"], row["sample"], row["answer"]) for row in rows] == wanted
    assert rows[3]["error"] == "timed out"


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ([], "log.eval: it holds no samples"),
        (["{torn"], "log.eval, samples/0.json: it is not JSON"),
        (["[]"], "samples/0.json: it is not an object"),
        ([{"id": "a"}], "samples/0.json, field output: an object is expected"),
        ([SAMPLE | {"epoch": 0}], "field epoch: 0 is no number from 1"),
        ([SAMPLE | {"id": None}], "field custom_id"),
        ([SAMPLE, SAMPLE], "item a is answered twice"),
    ],
)
def test_a_broken_log_is_refused_by_file_and_sample(project, samples, says):
    log(project, *samples)
    assert says in project.refused(3, *WORDS)
