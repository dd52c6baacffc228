"""Why requests are unanswered: said in `get`, `results`, `show` and --json, with what `retry` can do about it."""

from __future__ import annotations

import json

import pytest

from batchflow.steps.base.progress import failure_reasons

EVERYWHERE = ("get", "results", "show")


def spoilt(vendor, count, change):
    """A batch that has ended, each row of its output changed by `change(row, place)`."""
    vendor.ended(count=count)
    path = vendor.output()
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    for place, row in enumerate(rows, start=1):
        change(row, place)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def refuse(row, status, message):
    row["response"] = {"status_code": status, "body": {"error": {"message": message, "type": "some_error"}}}


def whole(row, text):
    row["response"]["body"]["choices"][0]["message"]["content"] = text


def test_each_card_says_why_with_counts_one_row_and_whether_retry_helps(vendor):
    def change(row, place):
        if place <= 3:
            refuse(row, 400, f"Unsupported parameter: 'temperature' in request req_{place:08x}.")
        elif place <= 5:
            refuse(row, 429, f"Rate limit reached, try again in {place}.5s")
        elif place == 6:
            whole(row, "just words")

    spoilt(vendor, 8, change)
    vendor.project.run("results", "b")
    for verb in EVERYWHERE:
        card = vendor.project.run(verb, "b").out
        assert "Unanswered: 6 (1 unparsed, 5 error)" in " ".join(card.split()), card
        first, second, third = (row for row in card.splitlines() if row.startswith("Why:"))
        assert "3 error: HTTP 400: " in first
        assert "req_00000001" in first
        assert "(row 1, item r1); retry does not help" in first
        assert "2 error: HTTP 429: " in second
        assert second.endswith("(row 4, item r4); batchflow retry b")
        assert third.endswith("(row 6, item r6); batchflow retry b --also unparsed")
        (row,) = vendor.project.ok(verb, "b")["batches"]
        told = row.get("status", row)["why"]
        assert [(why["count"], why["kind"], why["retry_helps"]) for why in told] == [
            (3, "error", "no"), (2, "error", "yes"), (1, "unparsed", "perhaps"),
        ]  # fmt: skip


def test_a_prompt_that_is_too_long_is_told_as_that(vendor):
    texts = [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "the request exceeds the available context size",
        "The input (9001 tokens) is longer than the model's limit",
        "Unsupported parameter: 'temperature'",
    ]
    spoilt(vendor, 5, lambda row, place: refuse(row, 400, texts[place - 1]))
    advice = [why["advice"] for why in vendor.project.ok("results", "b")["why"]]
    assert [text.startswith("too long for the model's context") for text in advice] == [True] * 4 + [False]


def test_three_reasons_on_the_card_and_all_of_them_in_the_document(vendor):
    spoilt(vendor, 5, lambda row, place: refuse(row, 500, "abcde"[place - 1] * 5))
    card = vendor.project.run("results", "b").out
    assert card.count("Why:") == 4
    assert "2 more reasons (--json has all)" in card
    assert len(vendor.project.ok("results", "b")["why"]) == 5


def test_hostile_texts_stay_on_one_line_of_the_card(vendor):
    spoilt(vendor, 2, lambda row, _: refuse(row, 500, "\x1b[2J\u202eevil\nnext: batchflow delete b"))
    card = vendor.project.run("results", "b").out
    assert "\x1b" not in card
    assert "\u202e" not in card
    assert [row for row in card.splitlines() if row.startswith("next:")] == ["next: batchflow show b"] or (
        card.count("\nnext:") == 1
    )


def test_where_retry_never_helps_it_is_not_proposed(vendor):
    vendor.fault("errors", call="job", fraction=1.0, status=400, message="Unsupported parameter")
    vendor.ended("b")
    assert vendor.project.ok("results", "b")["next"] == "batchflow show b"


def test_what_memory_does_not_hold_is_counted_in_one_line(vendor, monkeypatch):
    monkeypatch.setattr(failure_reasons, "MOST_KINDS", 2)
    spoilt(vendor, 5, lambda row, place: refuse(row, 500, "abcde"[place - 1] * 5))
    told = vendor.project.ok("results", "b")["why"]
    assert [why["count"] for why in told] == [3, 1, 1]
    assert told[0]["text"] == "other texts"


@pytest.mark.parametrize(
    ("text", "helps"),
    [
        ("HTTP 400: bad", "no"), ("HTTP 404: gone", "no"), ("HTTP 429: slow down", "yes"), ("HTTP 503: busy", "yes"),
        ("HTTP 401: whose key?", "perhaps"), ("invalid_request_error: temperature", "no"),
        ("3: Request is wrong", "no"),
        ("8: Resource exhausted", "yes"), ("13: Internal", "yes"), ("overloaded_error: Overloaded", "yes"),
        ("no text: the token limit was reached before the answer began (length); raise --max-tokens", "yes"),
        ("who knows", "perhaps"),
    ],
)  # fmt: skip
def test_whether_retry_helps_is_told_from_the_status_or_the_words(vendor, text, helps):
    with_text = failure_reasons._verdict  # a table of texts, each of which would take a batch of its own
    vendor.prepare()
    with vendor.project.ledger() as ledger, ledger.read() as tx:
        batch = failure_reasons.by_id(tx, 1)
    assert with_text(batch, "batchflow retry b", "error", text)[0] == helps


class TestRetryWithAHigherLimit:
    def test_the_command_that_is_named_works(self, vendor):
        def cut(row, _):
            choice = row["response"]["body"]["choices"][0]
            choice["message"]["content"], choice["finish_reason"] = "", "length"

        spoilt(vendor, 2, cut)
        told = vendor.project.ok("results", "b")["why"][0]
        assert told["advice"] == "batchflow retry b --max-tokens 16384"
        vendor.project.ok(*told["advice"].split()[1:])
        sent = vendor.project.rows("processed_files/b_retry_1.jsonl")
        assert {row["body"]["max_completion_tokens"] for row in sent} == {16384}

    def test_so_does_the_one_for_votes(self, vendor):
        vendor.finished()
        vendor.project.ok("jury", "b", "--judges", "openai", "--start")
        (judge,) = (made["name"] for made in vendor.project.ok("list")["batches"] if made["kind"] == "judge")
        vendor.project.ok("get", judge, "--wait", "--refresh-after", 0)
        path = vendor.output(0)
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        rows[0]["response"]["body"]["choices"][0] |= {"message": {"content": ""}, "finish_reason": "length"}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = vendor.project.ok("results", judge)["why"][0]
        assert told["advice"] == "batchflow jury b --retry --max-tokens 16384"
        vendor.project.ok(*told["advice"].split()[1:])
        (sent,) = vendor.project.rows(f"processed_files/{judge}_retry_1.jsonl")
        assert sent["body"]["max_completion_tokens"] == 16384


class TestAnswered:
    """One meaning of `answered` in results, retry, jury, show and score."""

    @pytest.fixture
    def half(self, vendor):
        def change(row, place):
            if place <= 2:
                whole(row, "93")
            elif place == 3:
                row["response"]["body"]["choices"][0]["message"] |= {"content": None, "refusal": "No."}

        spoilt(vendor, 6, change)
        vendor.project.ok("results", "b")
        return vendor.project

    def test_every_command_counts_the_same(self, half):
        kinds = {"unparsed": 2, "refused": 1}
        assert half.ok("results", "b")["unanswered"] == kinds
        assert half.ok("show", "b")["status"]["unanswered"] == kinds
        judged = half.ok("jury", "b", "--judges", "rule:exact,rule:numeric", "--wait")
        assert (judged["judgeable"], judged["unanswered"]) == (3, kinds)
        score = half.ok("score", "b")
        assert (score["n_judged"], score["n_items"], score["counted_wrong"], score["left_out"]) == (3, 6, 3, {})
        apart = half.ok("score", "b", "--unanswered", "exclude")
        assert (apart["n_judged"], apart["n_items"], apart["left_out"]) == (3, 6, kinds)

    def test_what_an_unanswered_item_is_worth_is_a_choice_for_each_kind(self, half):
        half.ok("jury", "b", "--judges", "rule:exact,rule:numeric", "--wait")

        def score(*words):
            found = half.ok("score", "b", *(part for word in words for part in ("--unanswered", word)))
            assert found["interval"]["n"] == 3 + found["counted_wrong"]
            return found

        right, wrong = score("exclude"), score()
        assert wrong["score"] == pytest.approx(right["score"] / 2)  # three of six, each as wrong
        assert wrong["bounds_low"] == pytest.approx(wrong["bounds_high"])
        assert right["bounds_low"] == right["bounds_high"] == pytest.approx(right["score"])
        between = score("unparsed=bounds,refused=wrong")
        assert between["score"] == pytest.approx(right["score"] * 3 / 4)
        assert (between["bounds_low"], between["bounds_high"]) == pytest.approx(
            (right["score"] / 2, right["score"] / 2 + 2 / 6)
        )
        assert between["unanswered"] == {
            "refused": {"items": 1, "worth": "wrong"}, "unparsed": {"items": 2, "worth": "bounds"},
        }  # fmt: skip
        assert score("exclude", "model=wrong")["score"] == wrong["score"]
        card = " ".join(half.run("score", "b", "--verbose").out.split())
        assert "refused (as wrong) unparsed (as wrong)" in card
        assert "3 of 6 items without an answer count as wrong (without: " in card
        for word in ("refused=maybe", "hidden=wrong", "fine"):
            assert "--unanswered" in half.refused(2, "score", "b", "--unanswered", word)

    def test_the_jury_names_the_command_for_unparsed_answers(self, half):
        card = half.run("jury", "b", "--judges", "rule:exact").out
        assert "3 to judge; 3 unanswered (2 unparsed, 1 refused)" in card
        assert "2 answers are unparsed; to ask them again: batchflow retry b --also unparsed" in card

    def test_a_jury_with_nothing_to_judge_says_what_came_back(self, vendor):
        spoilt(vendor, 3, lambda row, _: whole(row, "93"))
        vendor.project.ok("results", "b")
        said = vendor.project.refused(3, "jury", "b", "--judges", "rule:exact")
        assert "None of 3 answers is JSON {answer, justification}. First one: '93'." in said
        assert "what to do: batchflow retry b --also unparsed" in said

    def test_retry_says_that_the_rest_is_unparsed(self, vendor):
        spoilt(vendor, 3, lambda row, _: whole(row, "93"))
        vendor.project.ok("results", "b")
        said = vendor.project.refused(2, "retry", "b")
        assert "every request came back, and 3 answers are unparsed" in said
        assert "batchflow retry b --also unparsed" in said
