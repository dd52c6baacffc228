"""Anthropic: its bodies, its rows, and what only its protocol does."""

from __future__ import annotations

import dataclasses
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from batchflow import files, settings
from batchflow.errors import UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema
from batchflow.rehearsal import anthropic as rehearsed
from batchflow.rehearsal.faults import Fault
from batchflow.vendors import anthropic

BOUNDED = {
    "type": "object",
    "properties": {"minimum": {"type": "integer", "minimum": 1, "maximum": 5}, "answer": {"type": "string"}},
    "additionalProperties": False,
}
REQUEST = Request(
    "r1", "claude-haiku-5-5", "Be brief.", ("Question?", Image("image/png", "QUJD")), Schema("a", BOUNDED)
)
CAN = Capabilities(known=True, images=True, levels=("low",), min_tokens=2048)
ENDPOINT = anthropic.ENDPOINTS[0]


def params(**given):
    return dataclasses.replace(REQUEST, params=Params(**given))


def test_a_line_as_the_reference_has_it():
    line = anthropic.encode(params(thinking_level="low", max_tokens=5), CAN, ENDPOINT)
    body = line["params"]
    assert line["custom_id"] == "r1"
    assert body["max_tokens"] == 2048
    assert body["output_config"]["effort"] == "low"
    assert body["system"].startswith("Be brief.")
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Question?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
    ]
    assert not {"temperature", "thinking"} & body.keys()


def test_bounds_leave_the_schema_but_not_the_prompt_and_a_property_may_bear_their_name():
    body = anthropic.encode(REQUEST, CAN, ENDPOINT)["params"]
    sent = body["output_config"]["format"]["schema"]
    assert sent["properties"] == {"minimum": {"type": "integer"}, "answer": {"type": "string"}}
    assert sent["additionalProperties"] is False
    assert '"maximum":5' in body["system"]
    assert BOUNDED["properties"]["minimum"]["maximum"] == 5


def test_a_token_limit_is_always_sent():
    assert anthropic.encode(REQUEST, Capabilities(), ENDPOINT)["params"]["max_tokens"] == anthropic.MAX_TOKENS


@pytest.mark.parametrize(
    ("budget", "thinking"), [(0, {"type": "disabled"}), (4000, {"type": "enabled", "budget_tokens": 4000})]
)
def test_a_budget_where_the_model_takes_one(budget, thinking):
    can = dataclasses.replace(CAN, budget=True)
    anthropic.check(params(thinking_budget=budget), can, ENDPOINT, None)
    assert anthropic.encode(params(thinking_budget=budget), can, ENDPOINT)["params"]["thinking"] == thinking


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"seed": 1}, "--seed"),
        ({"temperature": 0.1}, "--temperature"),
        ({"thinking_budget": 100}, "--thinking-budget"),
        ({"thinking_level": "high"}, "--thinking-level"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(given, option):
    with pytest.raises(UsageError, match=f"anthropic: {option}"):
        anthropic.check(params(**given), CAN, ENDPOINT, None)


@pytest.mark.parametrize("model", ["claude-opus-4-5-20251101", "claude-sonnet-4-5", "claude-sonnet-4-6"])
def test_models_up_to_4_6_take_a_budget_by_the_table(model, tmp_path):
    can = settings.load(tmp_path, {}).capabilities("anthropic", model)
    anthropic.check(params(thinking_budget=32_000, max_tokens=64_000), can, ENDPOINT, None)


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"])
def test_newer_models_refuse_a_budget_and_the_hint_names_the_key(model, tmp_path):
    can = settings.load(tmp_path, {}).capabilities("anthropic", model)
    with pytest.raises(UsageError, match="takes no budget") as refused:
        anthropic.check(params(thinking_budget=32_000, max_tokens=64_000), can, ENDPOINT, None)
    assert "budget = true" in (refused.value.hint or "")


def test_a_seed_is_refused_whatever_the_table_says():
    with pytest.raises(UsageError, match="--seed"):
        anthropic.check(params(seed=1), dataclasses.replace(CAN, seed=True), ENDPOINT, None)


def test_a_budget_that_leaves_no_room_for_an_answer_is_refused():
    with pytest.raises(UsageError, match="below the token limit"):
        anthropic.check(
            params(thinking_budget=5000, max_tokens=5000), dataclasses.replace(CAN, budget=True), ENDPOINT, None
        )


def result(**given):
    return {"custom_id": "r1", "result": given}


ERROR = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: required"}}


@pytest.mark.parametrize(
    ("given", "outcome", "words"),
    [
        (result(type="errored", error=ERROR), Outcome.ERROR, "invalid_request_error: max_tokens: required"),
        (result(type="canceled"), Outcome.CANCELLED, "canceled"),
        (result(type="expired"), Outcome.EXPIRED, "expired"),
        (result(type="vanished"), Outcome.ERROR, "vanished"),
        (result(type="succeeded"), Outcome.ERROR, "succeeded"),
        (result(type="succeeded", message={"content": [], "stop_reason": "refusal"}), Outcome.REFUSED, "declined"),
        (result(type="succeeded", message={"content": [], "stop_reason": "max_tokens"}), Outcome.ERROR, "--max-tokens"),
        ({"custom_id": "r1"}, Outcome.ERROR, "without an error text"),
    ],
)
def test_rows_that_hold_no_answer(given, outcome, words):
    response = anthropic.decode(given)
    assert (response.custom_id, response.outcome, response.text) == ("r1", outcome, None)
    assert words in response.error


def test_temperature_goes_with_the_api_version_that_takes_it(at_bench):
    bench = at_bench("anthropic")
    job = bench.prepared()
    lines = [files.loads(line) for line in job.path.read_bytes().splitlines()]
    for line in lines:
        line["params"]["temperature"] = 0.2
    job.path.write_bytes(b"".join(files.dumps(line) + b"\n" for line in lines))
    assert bench.started(job).remote_id  # the rehearsed vendor refuses it under the SDK's own version


def test_the_create_body_is_one_array_and_is_streamed_from_disk(at_bench):
    bench = at_bench("anthropic")
    job = bench.prepared()
    assert len(files.loads(b"".join(anthropic._body(job)))["requests"]) == job.requests
    small = dataclasses.replace(job, path=job.path.with_name("many.jsonl"))
    row = job.path.read_bytes().split(b"\n")[0] + b"\n"
    small.path.write_bytes(row * (30_000_000 // len(row)))
    tracemalloc.start()
    size = sum(len(piece) for piece in anthropic._body(small))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 29_000_000
    assert peak < 2_000_000


def test_results_on_another_host_are_not_asked_for_with_the_key(at_bench):
    seen = []

    class Thief(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    thief = ThreadingHTTPServer(("127.0.0.1", 0), Thief)
    threading.Thread(target=thief.serve_forever, daemon=True).start()
    try:
        bench = at_bench("anthropic")
        job, _ = bench.ended()
        address = f"http://127.0.0.1:{thief.server_port}/v1/messages/batches/{job.remote_id}/results"
        bench.site.job("anthropic", job.remote_id).extra["results_url"] = address
        assert len(bench.responses(job)) == job.requests  # read below our own base URL instead
        assert seen == []
    finally:
        thief.shutdown()
        thief.server_close()


def test_candidates_are_those_of_our_size_and_time(at_bench):
    bench = at_bench("anthropic")
    bench.started(bench.prepared("other", rows=3))
    ours = bench.started()
    found = bench.vendor.find(bench.client, ours)
    assert (found.ids, found.sure) == ((ours.remote_id,), False)
    twin = bench.started(bench.prepared("twin"))
    assert set(bench.vendor.find(bench.client, ours).ids) == {ours.remote_id, twin.remote_id}
    for shift in (-90_000, 90_000):
        elsewhen = dataclasses.replace(ours, sending_at=ours.sending_at + shift)
        assert bench.vendor.find(bench.client, elsewhen).ids == ()


def test_an_archived_batch_is_lost(at_bench):
    bench = at_bench("anthropic")
    job, _ = bench.ended()
    bench.site.job("anthropic", job.remote_id).extra["archived_at"] = "2026-12-20T00:00:00+00:00"
    assert bench.vendor.poll(bench.client, job).phase is Phase.LOST


@pytest.mark.parametrize("word", [*anthropic.STATUSES, "pondering"])
def test_every_status_word_has_its_phase_and_unknown_ones_wait(word, at_bench, monkeypatch):
    bench = at_bench("anthropic")
    job = bench.started()
    monkeypatch.setattr(rehearsed, "_word", lambda _: word)
    progress = bench.vendor.poll(bench.client, job)
    assert (progress.word, progress.phase) == (word, anthropic.STATUSES.get(word, Phase.WAITING))


def test_a_poll_passes_on_when_to_come_again(at_bench, monkeypatch):
    bench = at_bench("anthropic")
    job = bench.started()
    real = rehearsed.Reply

    def patient(body):
        return real(body, headers={"retry-after": "10"})

    monkeypatch.setattr(rehearsed, "Reply", patient)
    assert bench.vendor.poll(bench.client, job).retry_after_s == 10.0


def test_refusals_and_mixed_rows(at_bench):
    bench = at_bench(
        "anthropic", Fault("refusals", call="job", fraction=0.5), Fault("errors", call="job", fraction=0.34)
    )
    job, _ = bench.ended()
    outcomes = {r.outcome for r in bench.responses(job)}
    assert outcomes == {Outcome.OK, Outcome.REFUSED, Outcome.ERROR}
