"""The documents on stdout: new keys may come, these stay."""

from __future__ import annotations

import json
import re

import pytest

PROMISED_OF_A_BATCH = {
    "start": {"name", "jobs", "sent_now", "waiting"},
    "get": {"name", "state", "finished", "counts", "checked_at"},
    "results": {"path", "outcomes"},
    "jury": {"name", "judge", "requests", "parent"},
    "score": {"score", "ci_low", "ci_high", "n_items"},
    "show": {"status", "made", "history", "files", "tally"},
    "cancel": {"name", "asked", "unsent"},
}
RULES = "rule:exact,rule:normalised,rule:numeric"
PROMISED = {
    "prepare": {"name", "requests", "files"},
    "list": {"batches"},
    "delete": {"names", "files"},
}


@pytest.fixture
def told(vendor):
    """What each command prints with --json, along the pipeline."""
    vendor.prepare()
    words = {
        "prepare": ("--provider", "openai", "--model", "gpt-6-luna", "--name", "b", "--dataset", "b-data.jsonl"),
        "start": ("b",),
        "get": ("b", "--refresh-after", 0),
        "results": ("b",),
        "jury": ("results/b.jsonl", "--judges", RULES, "--wait"),
        "score": ("b",),
        "list": (),
        "show": ("b",),
        "delete": ("b",),
    }
    made = {verb: vendor.project.run(verb, *flags, "--json") for verb, flags in words.items()}
    vendor.prepare("c")
    return made | {"cancel": vendor.project.run("cancel", "c", "--json")}


def test_every_command_prints_one_document_with_its_keys_and_a_next_command(told):
    assert {verb: ran.code for verb, ran in told.items()} == dict.fromkeys(told, 0)
    for verb, ran in told.items():
        assert ran.out.count("\n") == 1
        document = json.loads(ran.out)
        assert PROMISED.get(verb, {"batches", "next"}) <= set(document), verb
        assert all(PROMISED_OF_A_BATCH.get(verb, set()) <= set(row) for row in document.get("batches", ())), verb
        follow = document["next"]
        assert follow.startswith("batchflow "), verb


def test_the_types_of_what_is_promised(told):
    documents = {verb: ran.json for verb, ran in told.items()}
    assert documents["prepare"]["requests"] == 4
    assert documents["prepare"]["files"] == ["processed_files/b.jsonl"]
    assert documents["get"]["finished"] is True
    assert documents["get"]["counts"] == {"requests": 4, "pending": 0, "done": 4, "failed": 0}
    assert documents["show"]["status"]["counts"] == {"requests": 4, "pending": 0, "done": 4, "failed": 0, "ok": 4}
    assert documents["get"]["checked_at"].endswith("Z")
    assert documents["results"]["outcomes"] == {"ok": 4}
    assert all({"name", "judge", "requests"} <= set(judge) for judge in documents["jury"]["batches"])
    assert all(isinstance(documents["score"][key], float) for key in ("score", "ci_low", "ci_high"))


def test_progress_is_on_stderr(told):
    assert "starting judge_b_by_rule_exact" in told["jury"].err
    assert told["get"].err == ""


@pytest.mark.parametrize("words", [("ledger", "upgrade"), ("ledger", "check"), ("engine", "list")])
def test_the_commands_around_them_have_documents_too(project, words):
    project.run("ledger", "upgrade")
    assert isinstance(project.ok(*words), dict)


def test_an_error_is_a_document_too(project):
    ran = project.run("show", "nobody", "--json")
    assert ran.code == 4
    assert ran.json["error"] == {
        "class": "UnknownBatch",
        "message": "no batch is named 'nobody'",
        "hint": "this ledger has no batches: is it the right folder? --project names another one",
        "exit_code": 4,
    }
    assert ran.err.startswith("batchflow: no batch is named 'nobody'")


def test_a_wrong_command_line_is_a_document_too(project):
    ran = project.run("prepare", "--hints", "many", "--json")
    assert (ran.code, ran.json["error"]["class"], ran.json["error"]["exit_code"]) == (2, "UsageError", 2)
    assert "'many' is not a valid integer" in ran.json["error"]["message"]
    assert ran.json["error"]["hint"] == "batchflow prepare --help"
    assert project.run("prepare", "--hints", "many").out == ""


def test_several_batches_are_one_table_whose_columns_say_what_they_hold(vendor):
    vendor.prepare("b")
    vendor.prepare("c")
    for words, head, first in (
        (("start", "b", "c"), ["batch", "sent now", "requests"], ["b", "1 of 1 jobs", "4"]),
        (
            ("get", "b", "c", "--refresh-after", 0),
            ["batch", "state", "requests"],
            ["b", "ended (completed)", "4: 4 done"],
        ),
        (("results", "b", "c"), ["batch", "outcomes", "answers"], ["b", "4 ok of 4", "4 strict"]),
    ):
        lines = [re.split(" {2,}", text) for text in vendor.project.run(*words).out.splitlines()]
        assert head in lines
        assert first in lines
