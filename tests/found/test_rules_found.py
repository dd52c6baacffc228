"""Answers that rules once misread: each cascade settles what is proven, and never against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import Project

from batchflow.judges.verifiers import settled

HERE = Path(__file__).parent
CASES = {"a5-choice": "choice", "a6-numeric": "numeric", "a7-normalised": "normalised"}


def rows(name):
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text().splitlines()]


def answers():
    for name, rule in CASES.items():
        references = {row["id"]: row["answer"] for row in rows(f"{name}.data")}
        for row in rows(f"{name}.pred"):
            yield rule, json.loads(row["answer"])["answer"], references[row["custom_id"]], row["truth"]


@pytest.mark.parametrize(("rule", "answer", "reference", "truth"), list(answers()))
def test_a_rule_agrees_with_the_truth_or_abstains(rule, answer, reference, truth):
    assert settled(rule, answer, reference) is (True if truth else None)


@pytest.mark.parametrize(("name", "rule"), list(CASES.items()))
def test_a_cascade_settles_what_is_proven_and_asks_about_the_rest(name, rule, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    project = Project(tmp_path / "project")
    project.ok(
        "import", "predictions", HERE / f"{name}.pred.jsonl", "--dataset", HERE / f"{name}.data.jsonl", "--name", "b"
    )
    report = project.ok("jury", "b", "--judges", "openai:gpt-6-luna", "--cascade", rule)
    right = [row["truth"] for row in rows(f"{name}.pred")]
    assert report["settled"] == sum(right)
    asked = {batch["judge"]: batch["requests"] for batch in report["batches"]}
    wanted = {f"rule:{rule}": sum(right), "openai:gpt-6-luna": len(right) - sum(right)}
    assert asked == {judge: count for judge, count in wanted.items() if count}
