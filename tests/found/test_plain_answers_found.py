"""Imported answers without the form of their task are counted with their reason, and each refusal names a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import Project

HERE = Path(__file__).parent
DATA = HERE / "a9-data.jsonl"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "reason", "first"),
    [
        ("a9-plain", "no JSON object", "'2'"),
        ("a9-no-justification", "a JSON object without the fields that were asked for", """'{"answer": "2"}'"""),
    ],
)
def test_answers_without_the_form_of_a_riddle_are_unparsed(project, name, reason, first):
    given = ("import", "predictions", HERE / f"{name}.jsonl", "--dataset", DATA)
    brought = project.ok(*given)
    assert (brought["parsed"], brought["next"]) == ({"unparsed": 3}, f"batchflow show {name}")
    got = project.ok("results", name)
    assert got["unanswered"] == {"unparsed": 3}
    assert [(why["count"], why["text"], why["retry_helps"]) for why in got["why"]] == [(3, reason, "no")]
    said = project.refused(3, "jury", name, "--judges", "rule:exact")
    assert f"None of 3 answers is JSON {{answer, justification}}. First one: {first}." in said
    assert "--task qa" in said
    own = project.ok(*given, "--name", "plain", "--task", "qa", "--map", "question=description")
    assert (own["parsed"], own["next"]) == ({"strict": 3}, "batchflow jury results/plain.jsonl")
    assert next(row["answer"] for row in project.rows("results/plain.jsonl")) == first.strip("'")
