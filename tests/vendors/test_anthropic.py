"""Anthropic: its bodies, its rows, and what only its protocol does."""

from __future__ import annotations

import dataclasses
import threading
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from anthropic import Omit

from batchflow import files, settings
from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Found, Image, Outcome, Params, Phase, Request, Schema
from batchflow.rehearsal import server
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.protocols import anthropic as rehearsed
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


def test_a_budget_that_every_row_would_be_refused_for_is_refused_at_once():
    can = dataclasses.replace(CAN, budget=True, sampling=True)
    with pytest.raises(UsageError, match=r"--thinking-budget 1023 .* too small") as refused:
        anthropic.check(params(thinking_budget=1023), can, ENDPOINT, None)
    assert "1024" in refused.value.hint
    anthropic.check(params(thinking_budget=1024), can, ENDPOINT, None)
    with pytest.raises(UsageError, match="--temperature"):
        anthropic.check(params(thinking_budget=4000, temperature=0.0), can, ENDPOINT, None)
    for budget, temperature in ((4000, 1.0), (0, 0.0)):
        anthropic.check(params(thinking_budget=budget, temperature=temperature), can, ENDPOINT, None)


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


def warm(job, **more):
    """The job with a temperature (and other parameters) in every row."""
    lines = [files.loads(line) for line in job.path.read_bytes().splitlines()]
    for line in lines:
        line["params"] |= {"temperature": 0.2, **more}
    job.path.write_bytes(b"".join(files.dumps(line) + b"\n" for line in lines))
    return job


@pytest.fixture
def sent(at_bench, monkeypatch):
    """A bench, and the headers of every create that its server saw."""
    seen = []

    def listen(site, call):
        seen.append(dict(call.headers))
        return rehearsed.create(site, call)

    routes = [dataclasses.replace(r, handle=listen) if r.verb == "create" else r for r in rehearsed.ROUTES]
    monkeypatch.setattr(rehearsed, "ROUTES", tuple(routes))
    return at_bench("anthropic"), seen


def test_temperature_goes_with_the_api_version_that_takes_it_and_with_that_versions_key_header(sent, caplog):
    bench, seen = sent
    with caplog.at_level("DEBUG"):
        job, progress = bench.ended(warm(bench.prepared()))
    assert seen[0]["anthropic-version"] == "2023-06-01"
    assert seen[0]["x-api-key"] == bench.client.api_key
    assert "authorization" not in seen[0]
    assert bench.client.api_key not in caplog.text
    assert (progress.counts.done, progress.counts.failed) == (job.requests, 0)


def test_rows_of_a_file_that_was_brought_may_sample_by_other_fields(sent):
    bench, seen = sent
    job = bench.prepared()
    lines = [files.loads(line) for line in job.path.read_bytes().splitlines()]
    for line in lines:
        line["params"]["top_p"] = 0.9
    job.path.write_bytes(b"".join(files.dumps(line) + b"\n" for line in lines))
    bench.started(job)
    assert seen[0]["anthropic-version"] == "2023-06-01"


def test_without_temperature_version_and_key_are_the_sdks_own(sent):
    bench, seen = sent
    bench.started()
    assert seen[0]["anthropic-version"] == "2026-10-21"
    assert seen[0]["authorization"] == f"Bearer {bench.client.api_key}"
    assert "x-api-key" not in seen[0]


@pytest.mark.parametrize("also", [{}, {"x-api-key": server.KEY}])
def test_the_older_version_refuses_a_bearers_key(at_bench, also):
    bench = at_bench("anthropic")
    headers = {"anthropic-version": "2023-06-01", **also}
    told = bench.trouble(lambda: bench.client.messages.batches.list(extra_headers=headers))
    assert (told.trouble, told.status) == (Trouble.AUTH, 401)


def test_a_wrong_key_beside_a_temperature_is_not_shown(at_bench):
    bench = at_bench("anthropic")
    job = warm(bench.prepared())
    client = bench.connect(ANTHROPIC_API_KEY="sk-ant-wrong-key-0123456789")
    told = bench.trouble(lambda: bench.vendor.create(client, job))
    assert told.trouble is Trouble.AUTH
    assert "0123456789" not in str(told)


BUDGET = {"type": "enabled", "budget_tokens": 1024}


@pytest.mark.parametrize(
    ("model", "version", "given", "words"),
    [
        ("claude-sonnet-4-6", "2026-10-21", {"temperature": 1.0}, "temperature"),
        ("claude-sonnet-5-5", "2023-06-01", {"top_p": 1.0}, "top_p"),
        ("claude-haiku-5-5", "2026-10-21", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget_tokens"),
        ("claude-opus-5-5", "2026-10-21", {"thinking": {"type": "disabled"}}, "disabled"),
        ("claude-sonnet-4-6", "2026-10-21", {"max_tokens": 999, "thinking": BUDGET | {"budget_tokens": 500}}, "1024"),
        ("claude-sonnet-4-6", "2026-10-21", {"max_tokens": 1024, "thinking": BUDGET}, "below max_tokens"),
        ("claude-sonnet-4-6", "2023-06-01", {"max_tokens": 9000, "thinking": BUDGET, "temperature": 0.2}, "set to 1"),
        ("claude-sonnet-5-5", "2026-10-21", {"messages": [{"role": "assistant", "content": "{"}]}, "prefill"),
        ("claude-sonnet-4-6", "2026-10-21", {"max_tokens": 0}, "max_tokens"),
        ("claude-sonnet-4-6", "2026-10-21", {"stream": True}, "stream"),
    ],
)
def test_removed_parameters_end_as_errored_rows_of_an_accepted_batch(at_bench, model, version, given, words):
    bench = at_bench("anthropic")
    good = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Question: riddle 1?"}]}
    rows = [{"custom_id": "bad", "params": good | given}, {"custom_id": "good", "params": good}]
    key = {"x-api-key": server.KEY, "authorization": Omit()} if version < "2026" else {}
    made = bench.client.post(
        anthropic.BATCHES,
        cast_to=object,
        body={"requests": rows},
        options={"headers": {"anthropic-version": version, **key}},
    )
    job = dataclasses.replace(bench.prepared(), remote_id=made["id"], requests=2)
    while (progress := bench.vendor.poll(bench.client, job)).phase is not Phase.ENDED:
        pass
    assert (progress.counts.done, progress.counts.failed) == (1, 1)
    outcomes = {r.custom_id: r for r in bench.responses(job)}
    assert outcomes["good"].outcome is Outcome.OK
    assert outcomes["bad"].outcome is Outcome.ERROR
    assert "invalid_request_error" in outcomes["bad"].error
    assert words in outcomes["bad"].error


def test_thinking_may_be_disabled_where_the_guides_say_so(at_bench):
    bench = at_bench("anthropic")
    job = bench.prepared()
    lines = [files.loads(line) for line in job.path.read_bytes().splitlines()]
    for line in lines:
        line["params"] |= {"model": "claude-haiku-5-5", "thinking": {"type": "disabled"}}
    job.path.write_bytes(b"".join(files.dumps(line) + b"\n" for line in lines))
    _, progress = bench.ended(job)
    assert progress.counts.failed == 0


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
    ours = dataclasses.replace(bench.prepared(), vendor_time=bench.vendor.clock(bench.client))
    ours = bench.started(ours)
    assert bench.vendor.find(bench.client, ours) == Found((ours.remote_id,), sure=False, guess=True)
    twin = bench.started(bench.prepared("twin"))
    assert set(bench.vendor.find(bench.client, ours).ids) == {ours.remote_id, twin.remote_id}


@pytest.mark.parametrize("wrong_s", [-800_000, -4_000, 4_000, 800_000])
def test_our_own_clock_tells_nothing(at_bench, wrong_s):
    bench = at_bench("anthropic")
    bench.site.clock = lambda: time.time() + wrong_s
    ours = bench.started(dataclasses.replace(bench.prepared(), vendor_time=bench.vendor.clock(bench.client)))
    assert bench.vendor.find(bench.client, ours) == Found((ours.remote_id,), sure=False, guess=True)
    owned = dataclasses.replace(ours, known_ids=frozenset({ours.remote_id}))
    assert bench.vendor.find(bench.client, owned) == Found((), sure=True, guess=True)


def test_what_was_there_before_the_create_is_not_ours(at_bench):
    bench = at_bench("anthropic")
    earlier = bench.started()
    after = dataclasses.replace(earlier, vendor_time=bench.vendor.clock(bench.client) + 10)
    assert bench.vendor.find(bench.client, after) == Found((), sure=True, guess=True)


def test_without_the_vendors_time_nothing_is_adopted_and_nothing_is_absent(at_bench):
    bench = at_bench("anthropic")
    ours = dataclasses.replace(bench.started(), vendor_time=None)
    assert bench.vendor.find(bench.client, ours) == Found((), sure=False, unlikely=(ours.remote_id,), guess=True)


def test_custom_ids_of_a_batch_that_has_ended_tell_whose_it_is(at_bench):
    bench = at_bench("anthropic")
    ours, _ = bench.ended()
    assert bench.vendor.find(bench.client, ours) == Found((ours.remote_id,), sure=True)
    strangers = dataclasses.replace(ours, nonce="another")
    assert bench.vendor.find(bench.client, strangers) == Found((), sure=True, guess=True)


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


@pytest.mark.parametrize(("seconds", "told"), [(3600.0, 10.0), (0.0, 0.0)])
def test_a_poll_passes_on_when_to_come_again(at_bench, seconds, told):
    bench = at_bench("anthropic", pace=Pace(polls=2, seconds=seconds))
    assert bench.vendor.poll(bench.client, bench.started()).retry_after_s == told


def test_a_batch_that_has_ended_asks_for_no_pause(at_bench):
    bench = at_bench("anthropic")
    _, progress = bench.ended()
    assert progress.retry_after_s is None


def test_refusals_and_mixed_rows(at_bench):
    bench = at_bench(
        "anthropic", Fault("refusals", call="job", fraction=0.5), Fault("errors", call="job", fraction=0.34)
    )
    job, _ = bench.ended()
    outcomes = {r.outcome for r in bench.responses(job)}
    assert outcomes == {Outcome.OK, Outcome.REFUSED, Outcome.ERROR}
