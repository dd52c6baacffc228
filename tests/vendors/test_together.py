"""Together: what is refused, what is sent, how rows read. Calls over the wire are in the second half."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema, Usage
from batchflow.vendors import together

GPT_OSS = Capabilities(known=True, images=False, sampling=True, seed=True, levels=("low", "medium", "high"))
SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]})
ASK = Request("n1-0001", "openai/gpt-oss-120b", "You solve riddles.", ("What has keys but no locks?",), SCHEMA)
CHAT = "/v1/chat/completions"


def asking(**changes):
    fields = {name: getattr(ASK, name) for name in ("custom_id", "model", "system", "parts", "schema", "params")}
    return Request(**(fields | changes))


def success(content="a piano", **body):
    full = {
        "id": "o1",
        "model": "openai/gpt-oss-120b",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }
    return {"id": "br_1", "custom_id": "n1-0001", "response": {"status_code": 200, "body": full | body}}


def test_the_line_holds_no_method_or_url_and_the_model_in_its_body():
    ask = asking(params=Params(max_tokens=500, temperature=0.5, seed=7, thinking_level="low"))
    line = together.encode(ask, GPT_OSS, CHAT)
    assert set(line) == {"custom_id", "body"}
    body = line["body"]
    assert body["model"] == "openai/gpt-oss-120b"
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (500, 0.5, 7)
    assert body["reasoning_effort"] == "low"
    assert body["response_format"]["json_schema"]["name"] == "answer"


def test_encode_changes_nothing_and_says_the_same_twice():
    before = copy.deepcopy(ASK)
    assert together.encode(ASK, GPT_OSS, CHAT) == together.encode(ASK, GPT_OSS, CHAT)
    assert before == ASK


def test_only_the_one_window_is_taken():
    together.check(ASK, GPT_OSS, CHAT, None)
    together.check(ASK, GPT_OSS, CHAT, "24h")
    for window in ("48h", "7d", "1d", ""):
        with pytest.raises(UsageError, match="together: --completion-window") as caught:
            together.check(ASK, GPT_OSS, CHAT, window)
        assert "24h" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "can", "option"),
    [
        ({"parts": ("look", Image("image/png", "AAAA"))}, GPT_OSS, "a picture"),
        ({"params": Params(thinking_level="none")}, GPT_OSS, "--thinking-level"),
        ({"params": Params(thinking_budget=100)}, GPT_OSS, "--thinking-budget"),
        ({"params": Params(seed=1)}, Capabilities(), "--seed"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(changes, can, option):
    with pytest.raises(UsageError, match=f"together: {option}"):
        together.check(asking(**changes), can, CHAT, None)


def test_a_success_reads_with_usage():
    got = together.decode(success())
    assert (got.custom_id, got.outcome, got.text, got.row_id) == ("n1-0001", Outcome.OK, "a piano", "br_1")
    assert got.usage == Usage(input_tokens=20, output_tokens=5)


@pytest.mark.parametrize(
    ("row", "outcome", "words"),
    [
        ({"error": {"message": "Invalid model", "code": "invalid_model"}}, Outcome.ERROR, "Invalid model"),
        ({"error": {"message": "late", "code": "batch_expired"}}, Outcome.EXPIRED, "late"),
        ({"error": "plain words"}, Outcome.ERROR, "plain words"),
        ({"response": {"status_code": 400, "body": {"error": "too long"}}}, Outcome.ERROR, "HTTP 400"),
        ({"response": {"status_code": 500, "body": {"error": {"message": "boom"}}}}, Outcome.ERROR, "boom"),
        ({}, Outcome.ERROR, "neither"),
    ],
)
def test_failed_rows_keep_their_words_with_or_without_a_custom_id(row, outcome, words):
    for named in ({}, {"custom_id": "n1-9"}):
        got = together.decode(named | row)
        assert got.outcome is outcome
        assert words in got.error
        assert got.custom_id == named.get("custom_id")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
BODY = st.fixed_dictionaries({}, optional={"choices": JSON, "usage": JSON, "error": JSON})
ANSWER = st.fixed_dictionaries({}, optional={"status_code": JSON | st.just(200), "body": JSON | BODY})
ROW = st.fixed_dictionaries({}, optional={"custom_id": JSON, "error": JSON, "response": JSON | ANSWER, "id": JSON})


@given(ROW)
def test_no_row_raises_and_its_id_stays(row):
    got = together.decode(row)
    assert isinstance(got.outcome, Outcome)
    assert (got.text is None) == (got.outcome is not Outcome.OK)
    given_id = row.get("custom_id")
    assert got.custom_id == (given_id if isinstance(given_id, str) and given_id else None)


def test_every_documented_status_word_has_a_phase():
    waiting = {"VALIDATING", "IN_PROGRESS", "CANCELING", "CANCELLING"}
    ended = {"COMPLETED", "FAILED", "EXPIRED", "CANCELLED"}
    assert {word for word, phase in together.STATUSES.items() if phase is Phase.WAITING} == waiting
    assert {word for word, phase in together.STATUSES.items() if phase is Phase.ENDED} == ended


class MisleadingError(Exception):
    """What the SDK makes of any 401 of an upload."""

    status_code = 401
    message = "This job would exceed your free trial credits. Please upgrade through Settings -> Billing."
    body = {"error": "invalid credentials"}  # noqa: RUF012


def test_a_bad_key_is_not_told_as_spent_credit():
    told = together.explain(MisleadingError())
    assert told.trouble is Trouble.AUTH
    assert "invalid credentials" in str(told)
    assert "trial" not in str(told)
