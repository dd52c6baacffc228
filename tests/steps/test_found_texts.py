"""Replies of models, found in public reports and attacks, that were once taken for something else (tests/found)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

FOUND = Path(__file__).resolve().parents[1] / "found"
RIGHT = '{"is_answer_correct": true, "is_justification_correct": true}'
WRONG = '{"is_answer_correct": false, "is_justification_correct": false}'
GOOD = '{"justification": "b", "answer": "RIGHT"}'


def cases(name):
    return [json.loads(line) for line in (FOUND / name).read_text("utf-8").splitlines()]


def say(path, *replies):
    """Put replies, each a text or (text, finish_reason), into the rows of a vendor's output."""
    lines = []
    for line, reply in zip(path.read_bytes().splitlines(), replies, strict=True):
        row = json.loads(line)
        text, finish = reply if isinstance(reply, tuple) else (reply, "stop")
        choice = row["response"]["body"]["choices"][0]
        choice["message"]["content"], choice["finish_reason"] = text, finish
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n")


def answers_to(vendor, *replies):
    vendor.ended(count=len(replies))
    say(vendor.output(), *replies)
    vendor.project.ok("results", "b")
    return vendor.project.rows("results/b.jsonl")


def votes_of(vendor, *replies):
    """The score of a jury whose only judge replied so, and the judge's results."""
    vendor.finished(count=len(replies))
    (judge,) = vendor.project.ok("jury", "b", "--judges", "openai:gpt-6-sol", "--start")["batches"]
    vendor.project.run("get", judge["name"], "--refresh-after", 0)
    say(vendor.output(), *replies)
    vendor.project.ok("results", judge["name"])
    return vendor.project.run("score", "b", "--json").json, vendor.project.rows(f"results/{judge['name']}.jsonl")


class TestAnswers:
    def test_thoughts_of_hosted_models(self, vendor):
        found = cases("a1-think-hosted.jsonl")
        rows = answers_to(vendor, *((case["reply"], case.get("finish", "stop")) for case in found))
        assert [row["outcome"] for row in rows] == ["error", "error", "ok"]
        assert all("thought cut off" in row["error"] and "--max-tokens" in row["error"] for row in rows[:2])
        assert not any("DRAFT" in (row["answer"] or "") for row in rows)
        assert json.loads(rows[2]["answer"])["answer"] == found[2]["expected"]
        assert found[2]["reply"] in str(rows[2]["original"])
        assert vendor.project.ok("retry", "b", "--max-tokens", 4096)["requests"] == 2

    def test_brackets_behind_the_answer(self, vendor):
        found = cases("a3-brackets-after.jsonl")
        rows = answers_to(vendor, *(case["reply"] for case in found))
        assert [json.loads(row["answer"])["answer"] for row in rows] == [case["expected"] for case in found]

    def test_latex_that_was_not_escaped(self, vendor):
        found = cases("a4-latex.jsonl")
        rows = answers_to(vendor, *(case["reply"] for case in found))
        kept = [case["expected"].removesuffix(" kept, or flagged") for case in found]
        assert [json.loads(row["answer"])["answer"] for row in rows] == kept
        assert {row["parsed"] for row in rows} == {"repaired"}

    def test_values_that_were_cut_off_are_asked_again_with_another_limit(self, vendor):
        begun = '{"justification": "b", "answer": '
        cut = [begun, f'{begun}"the marb', (f'{begun}"the marble"', "length"), (GOOD, "length")]
        rows = answers_to(vendor, *cut)
        assert [row["parsed"] for row in rows] == ["unparsed", "unparsed", "unparsed", "strict"]
        assert [row["error"] for row in rows] == ["cut off", "cut off", "cut off", None]
        made = vendor.project.ok("retry", "b", "--also", "unparsed", "--max-tokens", 4096)
        assert (made["requests"], made["outcomes"]) == (3, {"unparsed": 3})
        assert {line["body"]["max_completion_tokens"] for line in vendor.project.rows(made["files"][0])} == {4_096}
        assert "another token limit" in vendor.project.refused(2, "retry", "b", "--max-tokens", 4097)
        assert vendor.project.ok("retry", "b", "--max-tokens", 4096)["new"] is False

    def test_a_degenerate_answer_holds_nobody_up(self, vendor):
        vendor.ended(count=4)
        say(vendor.output(), '{"' * 15_000, "{" * 200_000, '{"a": "' * 20_000, GOOD)
        began = time.process_time()
        made = vendor.project.ok("results", "b")
        assert time.process_time() - began < 10
        assert made["parsed"] == {"strict": 1, "unparsed": 3}

    @pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
    def test_a_deep_row_is_its_answer(self, vendor, end):
        depths = [100, 253, 254, 255, 300, 1_000, 1_024, 5_000]
        vendor.ended(count=len(depths))
        path = vendor.output()
        lines = path.read_text("utf-8").splitlines()
        deep = [f'{line[:-1]}, "x": {"[" * depth}{"]" * depth}}}' for line, depth in zip(lines, depths, strict=True)]
        path.write_bytes("".join(line + end for line in deep).encode())
        made = vendor.project.ok("results", "b")
        assert (made["outcomes"], made["parsed"]) == ({"ok": 8}, {"strict": 8})
        rows = vendor.project.rows("results/b.jsonl")
        assert [isinstance(row["original"], str) for row in rows] == [False, False, True, True, True, True, True, True]


class TestVotes:
    def test_a_thought_is_none(self, vendor):
        found = cases("a1-think-judge.jsonl")
        score, rows = votes_of(vendor, *((case["reply"], case.get("finish", "stop")) for case in found))
        assert [row["outcome"] for row in rows] == ["error", "ok"]
        assert json.loads(rows[1]["answer"]) == json.loads(WRONG)
        assert (score["votes_missing"], score["votes_unparsed"], score["score"]) == (1, 0, 0.0)
        made = vendor.project.ok("jury", "b", "--retry", "--max-tokens", 4096)["batches"][0]
        assert {line["body"]["max_completion_tokens"] for line in vendor.project.rows(made["files"][0])} == {4_096}
        assert "another token limit" in vendor.project.refused(2, "jury", "b", "--retry", "--max-tokens", 4097)

    def test_what_a_judge_quotes_is_none(self, vendor):
        found = cases("a2-judge-quotes-fragment.jsonl")
        score, rows = votes_of(vendor, *(case["reply"] for case in found), WRONG, f"He wrote {RIGHT}.")
        assert [row["parsed"] for row in rows] == ["unparsed", "unparsed", "strict", "unparsed"]
        assert [row["error"] for row in rows] == [
            "a verdict that is not closed", "a verdict that is not closed", None,
            "a verdict that is quoted, or amid other text",
        ]  # fmt: skip
        assert (score["votes_missing"], score["votes_unparsed"], score["score"]) == (3, 3, 0.0)

    def test_max_tokens_is_for_a_retry(self, vendor):
        vendor.finished()
        assert "goes with --retry" in vendor.project.refused(2, "jury", "b", "--max-tokens", 9)
