"""Groq: what is refused, what is sent, how rows read. Calls over the wire are in the second half."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema, Usage
from batchflow.vendors import groq

GPT_OSS = Capabilities(known=True, images=False, sampling=True, seed=True, levels=("low", "medium", "high"))
SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]})
ASK = Request("n1-0001", "openai/gpt-oss-20b", "You solve riddles.", ("What has keys but no locks?",), SCHEMA)
CHAT = "/v1/chat/completions"


def asking(**changes):
    fields = {name: getattr(ASK, name) for name in ("custom_id", "model", "system", "parts", "schema", "params")}
    return Request(**(fields | changes))


def success(custom_id="n1-0001", content="a piano", **body):
    message = {"role": "assistant", "content": content, "reasoning": "Keys, no locks..."}
    usage = {
        "queue_time": 0.27,
        "prompt_tokens": 55,
        "prompt_time": 0.003,
        "completion_tokens": 76,
        "completion_time": 0.1,
        "total_tokens": 131,
        "completion_tokens_details": {"reasoning_tokens": 40},
        "prompt_tokens_details": {"cached_tokens": 16},
    }
    full = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "openai/gpt-oss-20b",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        "x_groq": {"id": "req_01"},
    }
    response = {"status_code": 200, "request_id": "req_01", "body": full | body}
    return {"id": "batch_req_out_01", "custom_id": custom_id, "response": response, "error": None}


def test_the_line_is_openais_with_reasoning_effort_and_a_strict_schema():
    ask = asking(params=Params(max_tokens=500, temperature=0.0, seed=7, thinking_level="low"))
    line = groq.encode(ask, GPT_OSS, CHAT)
    assert (line["custom_id"], line["method"], line["url"]) == ("n1-0001", "POST", CHAT)
    body = line["body"]
    assert body["model"] == "openai/gpt-oss-20b"
    assert (body["max_completion_tokens"], body["temperature"], body["seed"]) == (500, 0.0, 7)
    assert body["reasoning_effort"] == "low"
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA.schema}
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]


def test_encode_changes_nothing_and_says_the_same_twice():
    before = copy.deepcopy(ASK)
    assert groq.encode(ASK, GPT_OSS, CHAT) == groq.encode(ASK, GPT_OSS, CHAT)
    assert before == ASK


@pytest.mark.parametrize("window", [None, "24h", "36h", "168h", "1d", "7d"])
def test_windows_from_a_day_to_a_week_are_taken(window):
    groq.check(ASK, GPT_OSS, CHAT, window)


@pytest.mark.parametrize("window", ["23h", "169h", "8d", "0d", "1w", "24", "", "24H", "٣٦h", "-24h"])
def test_other_windows_are_refused_with_what_works(window):
    with pytest.raises(UsageError, match="groq: --completion-window") as caught:
        groq.check(ASK, GPT_OSS, CHAT, window)
    assert "24h" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "can", "option"),
    [
        ({"parts": ("look", Image("image/png", "AAAA"))}, GPT_OSS, "a picture"),
        ({"parts": ("look", Image("image/png", "AAAA"))}, Capabilities(), "a picture"),
        ({"params": Params(thinking_level="none")}, GPT_OSS, "--thinking-level"),
        ({"params": Params(thinking_level="xhigh")}, GPT_OSS, "--thinking-level"),
        ({"params": Params(thinking_budget=100)}, GPT_OSS, "--thinking-budget"),
        ({"params": Params(temperature=0.5)}, Capabilities(), "--temperature"),
        ({"params": Params(seed=1)}, Capabilities(), "--seed"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(changes, can, option):
    with pytest.raises(UsageError, match=option) as caught:
        groq.check(asking(**changes), can, CHAT, None)
    assert "groq" in str(caught.value)
    assert caught.value.hint


def test_a_picture_goes_out_once_the_user_says_that_the_model_takes_it():
    ask = asking(parts=("look", Image("image/png", "AAAA")))
    can = Capabilities(known=True, images=True)
    groq.check(ask, can, CHAT, None)
    part = groq.encode(ask, can, CHAT)["body"]["messages"][1]["content"][1]
    assert part == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_an_endpoint_that_groq_lacks_is_refused():
    with pytest.raises(UsageError, match="/v1/responses"):
        groq.check(ASK, GPT_OSS, "/v1/responses", None)


def test_a_success_reads_with_usage_and_without_the_reasoning():
    got = groq.decode(success())
    assert (got.outcome, got.text, got.finish, got.model) == (Outcome.OK, "a piano", "stop", "openai/gpt-oss-20b")
    assert got.usage == Usage(input_tokens=55, cached_tokens=16, output_tokens=76, reasoning_tokens=40)


def test_a_failed_row_without_a_top_level_error_is_an_error():
    inner = {"message": "Failed to validate JSON.", "type": "invalid_request_error", "code": "json_validate_failed"}
    row = {"id": "b", "custom_id": "n1-7", "response": {"status_code": 400, "body": {"error": inner}}}
    got = groq.decode(row)
    assert (got.custom_id, got.outcome, got.text) == ("n1-7", Outcome.ERROR, None)
    assert "400" in got.error
    assert "Failed to validate JSON." in got.error
    assert "json_validate_failed" in got.error


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({"response": None, "error": {"code": "batch_expired", "message": "not run in time"}}, Outcome.EXPIRED),
        ({"response": None, "error": {"code": "batch_cancelled", "message": "stopped"}}, Outcome.CANCELLED),
        ({"response": {"status_code": 503, "body": "upstream"}, "error": None}, Outcome.ERROR),
        ({"response": None, "error": "plain text"}, Outcome.ERROR),
        ({}, Outcome.ERROR),
    ],
)
def test_other_failures_have_their_outcome_and_words(row, outcome):
    got = groq.decode({"custom_id": "n1-8"} | row)
    assert got.outcome is outcome
    assert got.error


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        ({"choices": []}, Outcome.ERROR, "no text"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}, Outcome.ERROR, "--max-tokens"),
        ({"choices": [{"message": {"content": "", "refusal": "I will not."}}]}, Outcome.REFUSED, "I will not."),
    ],
)
def test_answers_without_text(body, outcome, words):
    got = groq.decode(success(**body))
    assert got.outcome is outcome
    assert words in got.error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "custom_id": JSON,
        "error": JSON,
        "response": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "status_code": JSON,
                "body": JSON
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "choices": JSON
                        | st.lists(st.fixed_dictionaries({}, optional={"message": JSON, "finish_reason": JSON})),
                        "usage": JSON,
                        "error": JSON,
                    },
                ),
            },
        ),
    },
)


@given(ROWS)
def test_no_row_raises_and_its_id_stays(row):
    got = groq.decode(row)
    assert isinstance(got.outcome, Outcome)
    assert (got.text is None) == (got.outcome is not Outcome.OK)
    given_id = row.get("custom_id")
    assert got.custom_id == (given_id if isinstance(given_id, str) and given_id else None)


def test_every_documented_status_word_has_a_phase():
    waiting = {"validating", "in_progress", "finalizing", "cancelling"}
    ended = {"completed", "failed", "expired", "cancelled"}
    assert {word for word, phase in groq.STATUSES.items() if phase is Phase.WAITING} == waiting
    assert {word for word, phase in groq.STATUSES.items() if phase is Phase.ENDED} == ended


class PlanError(Exception):
    status_code = 403
    body = {"error": {"message": "Batch is not on your plan", "code": "not_available_for_plan"}}  # noqa: RUF012


def test_a_plan_without_batches_is_a_matter_of_billing():
    told = groq.explain(PlanError("403"))
    assert told.trouble is Trouble.BILLING
    assert "not on your plan" in str(told)
