"""Extractors that are changed when a batch is judged: read anew from the raw texts, and nobody is asked again."""

from __future__ import annotations

import json

import pytest
from helpers.jsonl import write

SOL = "openai:gpt-6-sol"
ROWS = "question,reference,topic\n" + "".join(f"What is {n} and one?,{n + 1},{'ab'[n % 2]}\n" for n in range(1, 9))
TEXTS = [
    r"One more is \boxed{2}", r"So \boxed{3}.", r"\boxed{4}", r"It is \boxed{6}", "The answer is 6", "It is 7",
    "no number", "",
]  # fmt: skip
"""Answers to the eight questions: four in a box, one of them wrong; two as last number; one without; an empty one."""


@pytest.fixture
def own(vendor):
    del vendor.project.environment["BATCHFLOW_TASK"]
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    (vendor.project.folder / "mine.csv").write_text(ROWS)
    return vendor


@pytest.fixture
def brought(own):
    """A batch `p` of those texts, which no extractor of its own reads."""
    rows = [{"custom_id": str(n), "answer": text, "model": "m"} for n, text in enumerate(TEXTS, 1)]
    write(own.project.folder / "p.jsonl", rows)
    own.project.ok("import", "predictions", "p.jsonl", "--dataset", "mine.csv")
    return own.project


def jury(project, *flags, name="p"):
    return project.ok("jury", name, *flags, "--wait", "--refresh-after", 0)


def test_a_wrong_chain_is_mended_without_a_new_question(own):
    project = own.project
    project.ok("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--name", "b", "--dataset", "mine.csv",
               "--extract", "boxed")  # fmt: skip
    for words in (("start", "b"), ("get", "b", "--refresh-after", 0)):
        project.ok(*words)
    assert project.ok("results", "b")["parsed"] == {"unparsed": 8}
    said = project.refused(3, "jury", "b", "--judges", SOL)
    assert "b: boxed finds nothing in any of 8 answers" in said
    assert "batchflow jury b --extract" in said
    before = own.calls("create")
    report = jury(project, "--judges", f"rule:exact,{SOL}", "--extract", "last_number", name="b")
    assert (report["extract"], report["judgeable"], report["unanswered"]) == (["last_number"], 8, {})
    assert own.calls("create") == before + 1  # the judge's
    assert "judge_b_by_rule_exact_extract_last-number" in [batch["name"] for batch in report["batches"]]
    asked = project.rows("processed_files/judge_b_by_openai_gpt-6-sol_extract_last-number.jsonl")
    assert len(asked) == 8
    score = project.ok("score", "b")
    assert (score["extract"], score["score"], score["n_judged"], score["unjudgeable"]) == (["last_number"], 1.0, 8, 0)
    assert "Extract:" in project.run("score", "b").out
    views = project.ok("show", "b", "--items")["items"]
    assert {(view["outcome"], view["error"], view["verdict"]) for view in views} == {("ok", None, 1.0)}
    assert [view["extracted"] for view in views][:2] == [{"answer": "2"}, {"answer": "3"}]
    held = project.refused(2, "retry", "b", "--also", "unparsed")
    assert "8 of its unparsed answers are read by other extractors and judged" in held


def test_juries_of_two_chains_stand_side_by_side(brought):
    whole = jury(brought, "--judges", f"rule:exact,{SOL}")
    assert (whole["judgeable"], whole["extract"]) == (7, [])
    first = brought.ok("score", "p")
    assert (first["extract"], first["judges"][0]["mean"], first["unanswered"]) == (
        [], 0.0, {"unparsed": {"items": 1, "worth": "wrong"}},
    )  # fmt: skip
    boxed = jury(brought, "--judges", f"rule:exact,{SOL}", "--extract", "boxed")
    assert (boxed["judgeable"], boxed["unanswered"]) == (4, {"unparsed": 4})
    score = brought.ok("score", "p")
    assert (score["extract"], score["score"], score["n_items"], score["counted_wrong"]) == (["boxed"], 3 / 8, 8, 4)
    assert "2 judges on what no extractor leaves of the answers voted as well: --extract ''" in score["footnotes"]
    again = brought.ok("score", "p", "--extract", "")
    assert any("on what boxed leaves" in note and "--extract boxed" in note for note in again["footnotes"])
    assert {key for key in first if first[key] != again[key]} <= {"batches", "cost", "footnotes"}
    judges = {batch["name"] for report in (whole, boxed) for batch in report["batches"]}
    assert {batch["name"] for batch in brought.ok("list", "--parent", "p")["batches"]} == judges
    said = brought.refused(2, "score", "p", "--extract", "last_number")
    assert "no jury judges what last_number leaves" in said
    assert "choose one of --extract boxed, --extract ''" in said
    assert "'boxd'" in brought.refused(2, "jury", "p", "--extract", "boxd")


def test_items_and_report_read_as_the_jury_does(brought):
    jury(brought, "--judges", "rule:exact")
    jury(brought, "--judges", "rule:exact", "--extract", "boxed")
    unread = brought.ok("show", "p", "--unparsed")["items"]
    assert [view["row"] for view in unread] == [5, 6, 7, 8]
    assert unread[0]["error"] == "boxed found nothing"
    view = brought.ok("show", "p", "--items")["items"][0]
    assert view["extracted"] == {"answer": "2"}
    assert {judge["judge"]: judge["verdict"] for judge in view["judges"]} == {
        "rule:exact (boxed)": 1.0, "rule:exact": 0.0,
    }  # fmt: skip
    for flags, outcomes in (((), {"unparsed": 4}), (("--extract", ""), {"unparsed": 1})):
        brought.ok("report", "p", "--format", "json", "-o", "r.json", *flags)
        part = json.loads((brought.folder / "r.json").read_text())["batches"][0]
        assert (part["outcomes"], part["answered"]) == (outcomes, 8 - sum(outcomes.values())), flags


def test_lost_votes_are_asked_again_about_each_reading(own, brought):
    own.fault("errors", vendor="openai", call="job", fraction=0.5, status=500, message="down")
    jury(brought, "--judges", SOL)
    own.fault("errors", vendor="openai", call="job", fraction=0.5, status=500, message="down")
    jury(brought, "--judges", SOL, "--extract", "boxed")
    lost = {
        name: sum(row["answer"] is None for row in brought.rows(f"results/judge_p_by_openai_gpt-6-sol{name}.jsonl"))
        for name in ("", "_extract_boxed")
    }
    assert all(lost.values())
    one = brought.ok("jury", "p", "--retry", "--extract", "boxed")
    assert [batch["requests"] for batch in one["batches"]] == [lost["_extract_boxed"]]
    both = jury(brought, "--retry")
    assert [batch["requests"] for batch in both["batches"]] == list(lost.values())
    asked = [json.dumps(brought.rows(f"processed_files/{batch['name']}.jsonl")) for batch in both["batches"]]
    assert ["boxed" in text for text in asked] == [True, False]
    assert brought.ok("score", "p")["votes_missing"] == 0


def test_a_chain_works_on_the_answer_of_an_object(own):
    project = own.project
    said = [f"Clearly the answer is {n}." for n in range(1, 9)]
    rows = [
        {"custom_id": f"llm-{n:03d}", "answer": json.dumps({"justification": "j", "answer": text}), "model": "m"}
        for n, text in enumerate(said, 1)
    ]
    write(project.folder / "r.jsonl", rows)
    project.ok("import", "predictions", "r.jsonl", "--task", "riddles")
    report = jury(project, "--judges", "rule:exact", "--extract", "last_number", name="r")
    assert (report["judgeable"], report["extract"]) == (8, ["last_number"])
    views = project.ok("show", "r", "--items")["items"]
    assert views[2]["extracted"] == {"justification": "j", "answer": "3"}
    assert jury(project, "--judges", "rule:exact", "--extract", "", name="r")["extract"] == []
    assert project.ok("score", "r", "--extract", "")["extract"] == []
