"""OpenAI: its bodies, its rows, and what only its protocol does."""

from __future__ import annotations

import dataclasses
import tracemalloc

import pytest

from batchflow import files
from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema
from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.protocols import openai as rehearsed
from batchflow.vendors import openai

SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}})
REQUEST = Request("r1", "gpt-6-luna", "Be brief.", ("Question: 1+1?", Image("image/png", "QUJD")), SCHEMA)
CAN = Capabilities(known=True, images=True, levels=("none", "low"), min_tokens=2048)


def params(**given):
    return dataclasses.replace(REQUEST, params=Params(**given))


def row(body, status=200, error=None):
    return {"id": "b1", "custom_id": "r1", "response": {"status_code": status, "body": body}, "error": error}


def test_a_chat_line_as_the_reference_has_it():
    line = openai.encode(params(max_tokens=9000, thinking_level="low"), CAN, "/v1/chat/completions")
    assert line["method"] == "POST"
    assert line["url"] == "/v1/chat/completions"
    body = line["body"]
    assert body["model"] == "gpt-6-luna"
    assert body["max_completion_tokens"] == 9000
    assert body["reasoning_effort"] == "low"
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA.schema}
    system, user = body["messages"]
    assert system["content"].startswith("Be brief.")
    assert user["content"] == [
        {"type": "text", "text": "Question: 1+1?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ]
    assert not {"temperature", "seed", "max_tokens"} & body.keys()


def test_a_responses_line_as_the_reference_has_it():
    body = openai.encode(params(max_tokens=10, thinking_level="low"), CAN, "/v1/responses")["body"]
    assert body["instructions"].startswith("Be brief.")
    assert body["max_output_tokens"] == 2048  # raised to the floor of a model that thinks
    assert body["reasoning"] == {"effort": "low"}
    assert body["text"]["format"]["type"] == "json_schema"
    assert [part["type"] for part in body["input"][0]["content"]] == ["input_text", "input_image"]


def test_a_schema_may_be_told_in_the_prompt_only():
    can = dataclasses.replace(CAN, schema="prompt")
    for endpoint in openai.ENDPOINTS:
        body = openai.encode(REQUEST, can, endpoint)["body"]
        assert not {"response_format", "text"} & body.keys()
        assert "JSON schema" in str(body)


@pytest.mark.parametrize(
    ("given", "can", "endpoint", "window", "option"),
    [
        ({"temperature": 0.5}, CAN, None, None, "--temperature"),
        ({"seed": 3}, CAN, None, None, "--seed"),
        ({"seed": 3}, dataclasses.replace(CAN, seed=True), "/v1/responses", None, "--seed"),
        ({"thinking_level": "absurd"}, CAN, None, None, "--thinking-level"),
        ({"thinking_budget": 100}, dataclasses.replace(CAN, budget=True), None, None, "--thinking-budget"),
        ({}, dataclasses.replace(CAN, images=False), None, None, "picture"),
        ({}, CAN, "/v1/embeddings", None, "--endpoint"),
        ({}, CAN, None, "48h", "--completion-window"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(given, can, endpoint, window, option):
    with pytest.raises(UsageError, match=option) as caught:
        openai.check(params(**given), can, endpoint or openai.ENDPOINTS[0], window)
    assert "openai" in str(caught.value)
    assert caught.value.hint


def test_temperature_goes_with_no_thinking_only():
    can = dataclasses.replace(CAN, sampling=True)
    openai.check(params(temperature=0.0, thinking_level="none"), can, openai.ENDPOINTS[0], None)
    with pytest.raises(UsageError, match="--temperature"):
        openai.check(params(temperature=0.0, thinking_level="low"), can, openai.ENDPOINTS[0], None)


def test_a_compatible_server_may_have_windows_of_its_own():
    openai.check(REQUEST, dataclasses.replace(CAN, windows=("1h",)), openai.ENDPOINTS[0], "1h")


def chat_body(message, finish="stop"):
    return {"model": "m", "choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("given", "outcome", "words"),
    [
        (row(chat_body({"content": None, "refusal": "I will not."})), Outcome.REFUSED, "I will not."),
        (row(chat_body({"content": "half"}, "content_filter")), Outcome.REFUSED, "content filter"),
        (row(chat_body({"content": None})), Outcome.ERROR, "no text"),
        (row(chat_body({"content": ""}, "length")), Outcome.ERROR, "--max-tokens"),
        (row({"choices": []}), Outcome.ERROR, "no text"),
        (
            row({"error": {"message": "bad model", "code": "model_not_found"}}, 400),
            Outcome.ERROR,
            "HTTP 400.*bad model",
        ),
        (row({"error": {"message": "filtered", "code": "content_filter"}}, 400), Outcome.REFUSED, "filtered"),
        (row(None, 500), Outcome.ERROR, "500"),
        ({"custom_id": "r1", "response": None, "error": {"code": "batch_expired"}}, Outcome.EXPIRED, "batch_expired"),
        ({"custom_id": "r1", "response": None, "error": {"code": "batch_cancelled"}}, Outcome.CANCELLED, "cancelled"),
        ({"custom_id": "r1", "response": None, "error": {"code": "request_timeout"}}, Outcome.ERROR, "timeout"),
        ({"custom_id": "r1", "response": None, "error": None}, Outcome.ERROR, "neither"),
    ],
)
def test_rows_that_hold_no_answer(given, outcome, words):
    response = openai.decode(given)
    assert (response.custom_id, response.outcome, response.text) == ("r1", outcome, None)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(response.error)


def test_text_parts_are_joined_and_thinking_is_left_out():
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert openai.decode(row(chat_body({"content": content}))).text == "ab"


def test_an_answer_cut_at_the_limit_is_kept_with_its_reason():
    response = openai.decode(row(chat_body({"content": '{"answer": "4'}, "length")))
    assert (response.outcome, response.finish) == (Outcome.OK, "length")


def responses_body(content, **more):
    message = {"type": "message", "role": "assistant", "content": content}
    return {
        "object": "response",
        "model": "m",
        "output": [{"type": "reasoning"}, message],
        "status": "completed",
    } | more


def test_rows_of_the_responses_endpoint():
    said = [{"type": "output_text", "text": "fo"}, {"type": "output_text", "text": "ur"}]
    usage = {"input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}}
    response = openai.decode(row(responses_body(said, usage=usage)))
    assert (response.outcome, response.text, response.usage.reasoning_tokens) == (Outcome.OK, "four", 4)
    refused = openai.decode(row(responses_body([{"type": "refusal", "refusal": "No."}])))
    assert (refused.outcome, refused.error) == (Outcome.REFUSED, "No.")
    cut = responses_body([], incomplete_details={"reason": "max_output_tokens"}, status="incomplete")
    assert "--max-tokens" in openai.decode(row(cut)).error


def test_the_responses_endpoint_goes_the_whole_way(at_bench):
    bench = at_bench("openai")
    job, _ = bench.ended(bench.prepared(endpoint="/v1/responses"))
    assert {r.outcome for r in bench.responses(job)} == {Outcome.OK}


@pytest.mark.parametrize("word", openai.STATUSES)
def test_every_status_word_has_its_phase(word, at_bench, monkeypatch):
    bench = at_bench("openai")
    job = bench.started()
    monkeypatch.setattr(rehearsed, "word", lambda _: word)
    progress = bench.vendor.poll(bench.client, job)
    assert (progress.word, progress.phase) == (word, openai.STATUSES[word])


def test_an_unknown_status_word_is_shown_and_stays_pollable(at_bench, monkeypatch):
    bench = at_bench("openai")
    job = bench.started()
    monkeypatch.setattr(rehearsed, "word", lambda _: "meditating")
    assert dataclasses.astuple(bench.vendor.poll(bench.client, job))[:2] == (Phase.WAITING, "meditating")


def test_a_failed_validation_says_why(at_bench):
    bench = at_bench("openai")
    job = bench.prepared()
    job.path.write_bytes(job.path.read_bytes() * 2)  # every id twice
    job, progress = bench.ended(job)
    assert (progress.word, progress.queue_full) == ("failed", False)
    assert "duplicate_custom_id" in progress.error
    assert bench.raw(job) == {}


def test_a_validation_that_fails_for_want_of_room_can_be_sent_again(at_bench):
    bench = at_bench("openai", Fault("queue_full", call="job"))
    _, progress = bench.ended()
    assert progress.queue_full


def test_find_reads_page_after_page_back_to_the_intent(at_bench):
    bench = at_bench("openai")
    first = bench.started(bench.prepared("first"))
    for n in range(105):
        bench.site.create(
            "openai", job_id=f"batch_{n}", input_id=first.remote_file, model="", endpoint=first.endpoint, tags={}
        )
    looking = dataclasses.replace(first, remote_file=None)
    bench.site.calls.clear()
    assert bench.vendor.find(bench.client, looking).ids == (first.remote_id,)
    assert len(bench.calls("list")) == 2


def test_a_file_that_the_vendor_does_not_see_yet_is_waited_for(at_bench):
    bench = at_bench("openai", Fault("status", call="stat", status=404))
    assert bench.started().remote_id
    assert len(bench.calls("stat")) == 2


def test_a_create_before_the_file_is_seen_can_be_sent_again(at_bench):
    bench = at_bench("openai")
    job = dataclasses.replace(bench.prepared(), remote_file="file-unknown")
    assert bench.trouble(lambda: bench.vendor.create(bench.client, job)).trouble is Trouble.TRANSIENT


def test_an_upload_is_streamed_from_disk(at_bench):
    bench = at_bench("openai")
    job = bench.prepared(rows=2)
    line = job.path.read_bytes()
    with job.path.open("ab") as handle:
        handle.write(line * (24_000_000 // len(line)))
    upload = dataclasses.replace(job, remote_file=None)
    bench.vendor.upload(bench.client, bench.prepared("warm"))
    tracemalloc.start()
    bench.vendor.upload(bench.client, upload)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000  # server and client are in this process


def test_rows_between_rubbish_are_all_there(at_bench):
    bench = at_bench("openai", Fault("dirty", call="job"))
    job, _ = bench.ended()
    decoded = []
    for line in bench.raw(job)["output"].split(b"\n"):
        try:
            value = files.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            decoded.append(openai.decode(value).custom_id)
    assert {f"nonce-{i}" for i in range(6)} <= set(decoded)
    assert "nobody-asked-this" in decoded
