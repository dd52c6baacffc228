"""Mistral: what is refused, what is sent, how rows read. Calls over the wire are in the second half."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow import settings
from batchflow.errors import UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema, Usage
from batchflow.vendors import mistral

SMALL = Capabilities(known=True, images=True, sampling=True, seed=True, levels=("none", "high"))
SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]})
ASK = Request("n1-0001", "mistral-small-2603", "You solve riddles.", ("What has keys but no locks?",), SCHEMA)
CHAT = "/v1/chat/completions"


def asking(**changes):
    fields = {name: getattr(ASK, name) for name in ("custom_id", "model", "system", "parts", "schema", "params")}
    return Request(**(fields | changes))


def success(content="a piano", **body):
    message = {"role": "assistant", "content": content, "tool_calls": None}
    full = {
        "id": "85bc",
        "object": "chat.completion",
        "model": "mistral-small-2603",
        "usage": {"prompt_tokens": 10, "completion_tokens": 128, "total_tokens": 138, "num_cached_tokens": 4},
        "created": 1761577934,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }
    response = {"status_code": 200, "body": full | body}
    return {"id": "batch-cd0d-1-377e", "custom_id": "n1-0001", "response": response, "error": None}


def test_the_line_holds_no_model_method_or_url():
    ask = asking(params=Params(max_tokens=500, temperature=0.5, seed=7, thinking_level="none"))
    line = mistral.encode(ask, SMALL, CHAT)
    assert set(line) == {"custom_id", "body"}
    body = line["body"]
    assert "model" not in body
    assert (body["max_tokens"], body["temperature"], body["random_seed"]) == (500, 0.5, 7)
    assert body["reasoning_effort"] == "none"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA.schema


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("mistral-small-2603", None, "none"),
        ("mistral-medium-3-5", None, "none"),
        ("mistral-small-2603", "high", "high"),
        ("mistral-large-2512", None, None),  # answers the field with an error
        ("somebody-elses-model", None, None),
    ],
)
def test_models_that_can_reason_do_so_only_when_asked(model, asked, sent, tmp_path):
    can = settings.load(tmp_path, {}).capabilities("mistral", model)
    ask = asking(model=model, params=Params(thinking_level=asked))
    mistral.check(ask, can, CHAT, None)
    assert mistral.encode(ask, can, CHAT)["body"].get("reasoning_effort") == sent


def test_a_picture_is_a_bare_data_url():
    ask = asking(parts=("look", Image("image/jpeg", "AAAA")))
    mistral.check(ask, SMALL, CHAT, None)
    content = mistral.encode(ask, SMALL, CHAT)["body"]["messages"][1]["content"]
    assert content[1] == {"type": "image_url", "image_url": "data:image/jpeg;base64,AAAA"}


def test_encode_changes_nothing_and_says_the_same_twice():
    before = copy.deepcopy(ASK)
    assert mistral.encode(ASK, SMALL, CHAT) == mistral.encode(ASK, SMALL, CHAT)
    assert before == ASK


@pytest.mark.parametrize("window", [None, "1h", "24h", "167h", "6d"])
def test_windows_below_a_week_are_taken(window):
    mistral.check(ASK, SMALL, CHAT, window)


@pytest.mark.parametrize("window", ["0h", "168h", "7d", "soon", ""])
def test_other_windows_are_refused_with_what_works(window):
    with pytest.raises(UsageError, match="mistral: --completion-window") as caught:
        mistral.check(ASK, SMALL, CHAT, window)
    assert "167h" in caught.value.hint


@pytest.mark.parametrize(
    ("params", "can", "option"),
    [
        (Params(thinking_level="low"), SMALL, "--thinking-level"),
        (Params(thinking_level="none"), Capabilities(), "--thinking-level"),
        (Params(thinking_budget=0), SMALL, "--thinking-budget"),
        (Params(temperature=1.0), Capabilities(), "--temperature"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(params, can, option):
    with pytest.raises(UsageError, match=f"mistral: {option}"):
        mistral.check(asking(params=params), can, CHAT, None)


def test_an_endpoint_that_mistral_lacks_is_refused():
    with pytest.raises(UsageError, match="/v1/responses"):
        mistral.check(ASK, SMALL, "/v1/responses", None)


def test_a_success_reads_with_usage():
    got = mistral.decode(success())
    assert (got.custom_id, got.outcome, got.text, got.finish) == ("n1-0001", Outcome.OK, "a piano", "stop")
    assert got.usage == Usage(input_tokens=10, cached_tokens=4, output_tokens=128)


def test_thinking_chunks_are_left_out_and_text_chunks_joined():
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "keys, locks..."}], "closed": True}
    chunks = [thoughts, {"type": "text", "text": "a "}, {"type": "text", "text": "piano"}]
    assert mistral.decode(success(chunks)).text == "a piano"


def test_thinking_that_ate_every_token_says_so():
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "keys, locks..."}]}
    choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": [thoughts]}}
    got = mistral.decode(success(choices=[choice]))
    assert got.outcome is Outcome.ERROR
    assert "--max-tokens" in got.error
    assert got.usage.output_tokens == 128


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"error": "model overloaded", "response": None}, "model overloaded"),
        ({"error": {"message": "bad row", "code": 1}, "response": None}, "bad row"),
        ({"response": {"status_code": 422, "body": {"detail": [{"loc": ["body"], "msg": "field required"}]}}}, "field"),
        (
            {"response": {"status_code": 400, "body": {"object": "error", "message": {"detail": "x is no y"}}}},
            "x is no",
        ),
        ({"response": {"status_code": 500, "body": ""}, "error": None}, "500"),
        ({"response": {"status_code": 429, "body": {"message": "Requests rate limit exceeded"}}}, "rate limit"),
    ],
)
def test_failed_rows_keep_their_words_with_or_without_a_custom_id(row, words):
    for named in ({}, {"custom_id": "n1-9"}, {"custom_id": None}):
        got = mistral.decode(named | row)
        assert got.outcome is Outcome.ERROR
        assert words in got.error
        assert got.custom_id == named.get("custom_id")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
CHUNK = st.fixed_dictionaries({}, optional={"type": st.sampled_from(["text", "thinking"]) | JSON, "text": JSON})
MESSAGE = st.fixed_dictionaries({}, optional={"content": JSON | st.lists(CHUNK | JSON, max_size=3)})
CHOICE = st.fixed_dictionaries({}, optional={"message": JSON | MESSAGE, "finish_reason": JSON})
BODY = st.fixed_dictionaries({}, optional={"choices": JSON | st.lists(CHOICE, max_size=2), "usage": JSON})
ANSWER = st.fixed_dictionaries({}, optional={"status_code": JSON | st.just(200), "body": JSON | BODY})
ROW = st.fixed_dictionaries({}, optional={"custom_id": JSON, "error": JSON, "response": JSON | ANSWER, "id": JSON})


@given(ROW)
def test_no_row_raises_and_its_id_stays(row):
    got = mistral.decode(row)
    assert isinstance(got.outcome, Outcome)
    assert (got.text is None) == (got.outcome is not Outcome.OK)
    given_id = row.get("custom_id")
    assert got.custom_id == (given_id if isinstance(given_id, str) and given_id else None)


def test_every_documented_status_word_has_a_phase():
    waiting = {"QUEUED", "RUNNING", "CANCELLATION_REQUESTED"}
    ended = {"SUCCESS", "FAILED", "TIMEOUT_EXCEEDED", "CANCELLED"}
    assert {word for word, phase in mistral.STATUSES.items() if phase is Phase.WAITING} == waiting
    assert {word for word, phase in mistral.STATUSES.items() if phase is Phase.ENDED} == ended
