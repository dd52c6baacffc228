"""What every vendor has to do, whoever wrote it: one suite over the registry."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.gateway import GATEWAY
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow import files
from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema
from batchflow.rehearsal.fake_state import Stand
from batchflow.rehearsal.faults import Fault
from batchflow.settings import ACCESS, VENDORS
from batchflow.vendors import registry
from batchflow.vendors.shared.error_mapping import KEY_HEADERS

ROWS = 6
SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]})
wired = pytest.mark.parametrize("name", VENDORS)
served = pytest.mark.parametrize("name", [*VENDORS, GATEWAY])
everybody = pytest.mark.parametrize("name", registry.names())

texts = st.text(min_size=1, max_size=40)
pictures = st.builds(Image, st.sampled_from(["image/png", "image/jpeg"]), st.just("aGVsbG8="))
params = st.builds(
    Params,
    max_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2).map(lambda t: round(t, 3)),
    seed=st.none() | st.integers(0, 2**31 - 1),
    thinking_level=st.none() | st.sampled_from(["none", "low", "high", "absurd"]),
    thinking_budget=st.none() | st.integers(0, 9000),
)
requests = st.builds(
    Request,
    custom_id=st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True),
    model=st.just("some-model"),
    system=st.text(max_size=40),
    parts=st.lists(texts | pictures, min_size=1, max_size=4).map(tuple),
    schema=st.none() | st.just(SCHEMA),
    params=params,
)
capabilities = st.builds(
    Capabilities,
    known=st.booleans(),
    images=st.sampled_from([None, True, False]),
    sampling=st.booleans(),
    seed=st.booleans(),
    levels=st.sampled_from([(), ("low",), ("none", "low", "high")]),
    budget=st.booleans(),
    schema=st.sampled_from(["json_schema", "response_schema", "prompt"]),
    min_tokens=st.sampled_from([0, 2048]),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
garbage = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@everybody
def test_a_vendor_says_who_it_is(name):
    vendor = registry.get(name)
    assert name == vendor.NAME
    assert vendor.LIMITS.requests > 0
    assert vendor.LIMITS.file_bytes > 0
    assert vendor.LIMITS.source
    assert vendor.ENDPOINTS
    assert Phase.ENDED in vendor.STATUSES.values()


@wired
@given(request=requests, can=capabilities)
@settings(max_examples=60, deadline=None)
def test_encode_is_pure_and_sends_whatever_check_lets_pass(name, request, can):
    vendor = registry.get(name)
    endpoint = vendor.ENDPOINTS[0]
    before = copy.deepcopy(request)
    if refusal := _refusal(lambda: vendor.check(request, can, endpoint, None)):
        assert str(refusal).startswith(name)
        assert refusal.hint
        return
    line = vendor.encode(request, can, endpoint)
    assert vendor.encode(request, can, endpoint) == line
    assert request == before
    sent = list(_leaves(files.loads(files.dumps(line))))
    for part in request.parts:
        if isinstance(part, Image):
            assert any(part.data in str(leaf) for leaf in sent)
        else:
            assert any(part in str(leaf) for leaf in sent)
    assert any(request.system in str(leaf) for leaf in sent)
    if request.schema:
        assert any("JSON schema" in str(leaf) for leaf in sent)
    if request.params.max_tokens:
        assert max(request.params.max_tokens, can.min_tokens) in sent
    for value in (request.params.temperature, request.params.seed):
        assert value is None or value in sent
    if request.params.thinking_level:
        assert request.params.thinking_level in {str(leaf).lower() for leaf in sent}


@wired
def test_the_model_tables_level_is_sent_when_none_is_asked_for(name):
    vendor = registry.get(name)
    can = Capabilities(known=True, levels=("low", "high"), level="low", budget=True)
    for params, level in (
        (Params(), "low"),
        (Params(thinking_level="high"), "high"),
        (Params(thinking_budget=5), None),
    ):
        request = Request("r1", "some-model", "", ("Riddle?",), None, params)
        for endpoint in vendor.ENDPOINTS:
            sent = {str(leaf).lower() for leaf in _leaves(vendor.encode(request, can, endpoint))}
            assert sent & {"low", "high"} == ({level} if level else set())


def _refusal(call):
    try:
        call()
    except UsageError as refusal:
        return refusal
    return None


def _leaves(value):
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _leaves(inner)
    if not isinstance(value, (dict, list)):
        yield value


@wired
@given(row=st.dictionaries(st.text(max_size=8), garbage, max_size=5))
@settings(max_examples=60, deadline=None)
def test_decode_never_raises_for_any_object(name, row):
    assert registry.get(name).decode(row).outcome in set(Outcome) - {Outcome.MISSING}


# One row per shape that each vendor was seen or is documented to send; hypothesis then breaks them anywhere.
CHAT = {
    "id": "batch_req_1",
    "custom_id": "r1",
    "response": {
        "status_code": 200,
        "request_id": "q1",
        "body": {
            "model": "served-1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        },
    },
    "error": None,
}
GOOD = {
    **dict.fromkeys(VENDORS, CHAT),
    "anthropic": {
        "custom_id": "r1",
        "result": {
            "type": "succeeded",
            "message": {
                "id": "msg_1",
                "model": "served-1",
                "content": [{"type": "thinking", "thinking": "x", "signature": "s"}, {"type": "text", "text": "hello"}],
                "stop_reason": "end_turn",
                "usage": {
                    "input_tokens": 5,
                    "cache_read_input_tokens": 2,
                    "cache_creation_input_tokens": 2,
                    "output_tokens": 5,
                    "output_tokens_details": {"thinking_tokens": 3},
                },
            },
        },
    },
    "gemini": {
        "key": "r1",
        "response": {
            "candidates": [
                {
                    "content": {"parts": [{"text": "x", "thought": True}, {"text": "hello"}], "role": "model"},
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 9,
                "cachedContentTokenCount": 2,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 3,
                "serviceTier": "SERVICE_TIER_STANDARD",
            },
            "modelVersion": "served-1",
        },
    },
}


@wired
def test_a_good_row_means_the_same_with_every_vendor(name):
    response = registry.get(name).decode(GOOD[name])
    assert (response.custom_id, response.outcome, response.text) == ("r1", Outcome.OK, "hello")
    assert response.model == "served-1"
    written = 2 if name == "anthropic" else 0  # tokens that were written to a cache; others do not tell
    assert dataclasses.astuple(response.usage) == (9, 2, 5, 3, written, 0)


@wired
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_row_that_is_broken_anywhere_keeps_its_id_and_never_raises(name, data):
    row = copy.deepcopy(GOOD[name])
    spots = [(holder, key) for holder, key in _spots(row) if key not in {"custom_id", "key"}]
    holder, key = data.draw(st.sampled_from(spots))
    holder[key] = data.draw(garbage)
    assert registry.get(name).decode(row).custom_id == "r1"


@wired
def test_a_row_that_is_nested_without_end_keeps_its_id(name):
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    table: dict = {}
    for _ in range(5000):
        table = {"error": table, "message": table}
    for hole in (deep, table):
        for at in range(len(list(_spots(GOOD[name])))):
            row = copy.deepcopy(GOOD[name])
            holder, key = list(_spots(row))[at]
            if key not in {"custom_id", "key"}:
                holder[key] = hole
                assert registry.get(name).decode(row).custom_id == "r1"


def _spots(value):
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _spots(value[key])


@served
def test_the_whole_way_there_and_back(name, at_bench):
    bench = at_bench(name)
    job, progress = bench.ended()
    assert progress.counts.total in {None, ROWS}
    responses = bench.responses(job)
    assert sorted(r.custom_id for r in responses) == [f"nonce-{i}" for i in range(ROWS)]
    assert {r.outcome for r in responses} == {Outcome.OK}
    assert all(r.usage and r.usage.input_tokens and r.usage.output_tokens for r in responses)
    assert len(bench.site.creates) == 1
    bench.vendor.remove(bench.client, job)
    bench.vendor.remove(bench.client, job)  # already gone is no error
    assert not [held for held in bench.site.files(bench.host) if held.purpose == "batch"]


LOST = {
    "reset": Fault("reset", call="create", when="after"),
    "http_500": Fault("status", call="create", when="after", status=500),
    "http_503": Fault("status", call="create", when="after", status=503),
    "web_page": Fault("html", call="create", when="after"),
    "broken_json": Fault("garbled", call="create", when="after"),
    "cut": Fault("cut", call="create"),
}


@served
@pytest.mark.parametrize("how", LOST)
def test_a_create_whose_answer_is_lost_is_uncertain_and_found_again(name, how, at_bench):
    bench = at_bench(name, dataclasses.replace(LOST[how]))
    job = bench.uploaded()
    assert bench.trouble(lambda: bench.vendor.create(bench.client, job)).trouble is Trouble.UNCERTAIN
    assert len(bench.site.creates) == 1, "the SDK repeated a create"
    assert bench.vendor.find(bench.client, job).ids == (bench.site.creates[0].job_id,)


@served
@pytest.mark.parametrize("kind", ["reset", "status"])
def test_a_create_that_took_no_effect_is_proven_absent(name, kind, at_bench):
    bench = at_bench(name, Fault(kind, call="create"))
    job = bench.uploaded()
    assert bench.trouble(lambda: bench.vendor.create(bench.client, job)).trouble is Trouble.UNCERTAIN
    found = bench.vendor.find(bench.client, job)
    assert (found.ids, found.sure) == ((), True)
    bench.vendor.create(bench.client, job)
    assert len(bench.site.creates) == 1


class _Stranger(BaseHTTPRequestHandler):
    """Another server, which writes down who asks it for what and with which key, and agrees to everything."""

    heard: list

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        keys = [self.headers[header] for header in KEY_HEADERS if self.headers[header]]
        self.heard.append((self.command, self.path, keys))
        body = b'{"id": "batch-of-a-stranger", "name": "batches/stranger", "data": [], "operations": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as the base class wants it

    def log_message(self, *args):
        pass


@pytest.fixture
def stranger():
    """The address of another server, and what it heard."""
    handler = type("Handler", (_Stranger,), {"heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}/elsewhere", handler.heard
        other.shutdown()


@wired
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_create_follows_no_redirect_and_may_have_arrived(name, status, when, at_bench, stranger):
    address, heard = stranger
    bench = at_bench(name, Fault("redirect", call="create", when=when, status=status, message=address))
    job = bench.uploaded()
    assert bench.trouble(lambda: bench.vendor.create(bench.client, job)).trouble is Trouble.REDIRECTED
    assert heard == []
    assert len(bench.site.creates) == (when == "after")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (name, call)
        for name in VENDORS
        for call in ("upload", "list", "poll", "cancel", "delete")
        if (name, call) != ("anthropic", "upload")  # it has none
    ],
)
@pytest.mark.parametrize("status", [301, 307])
def test_no_verb_follows_a_redirect_to_another_server(name, call, status, at_bench, stranger):
    """A list that another server answers would prove an absence."""
    address, heard = stranger
    bench = at_bench(name)
    job = bench.started()
    bench.site.faults.add(Fault("redirect", call=call, status=status, message=address, times=0))
    vendor = bench.vendor
    verbs = {"upload": vendor.upload, "list": vendor.find, "poll": vendor.poll}
    verb = {**verbs, "cancel": vendor.cancel, "delete": vendor.remove}[call]
    told = bench.trouble(lambda: verb(bench.client, job))
    assert (told.trouble, told.status, heard) == (Trouble.REDIRECTED, status, [])


@wired
def test_a_download_may_lie_elsewhere_and_the_key_does_not_go_along(name, at_bench, stranger):
    address, heard = stranger
    bench = at_bench(name)
    job, _ = bench.ended()
    bench.site.faults.add(Fault("redirect", call="download", status=302, message=address))
    with contextlib.suppress(Exception):  # what comes is not what the SDK expects
        next(bench.vendor.fetch(bench.client, job))
    assert heard == [("GET", "/elsewhere", [])]


CLIENT = """
import dataclasses, sys, time
from pathlib import Path
from batchflow.records import Job
from batchflow.settings import load
from batchflow.vendors import registry
vendor = registry.get(sys.argv[1])
client = vendor.connect(load(Path(sys.argv[2])))
job = Job("n", Path(sys.argv[3]), "", int(sys.argv[4]), "some-model", vendor.ENDPOINTS[0], "token-nonce", "nonce", 0.0)
job = dataclasses.replace(job, remote_file=vendor.upload(client, job))
print(job.remote_file or "", flush=True)
vendor.create(client, job)
print("not killed", flush=True)
"""


@wired
def test_a_client_killed_after_the_vendor_accepted_finds_its_batch(name, at_bench, tmp_path):
    process = None
    bench = at_bench(
        name, Fault("kill", call="create", when="after"), kill=lambda: os.killpg(process.pid, signal.SIGKILL)
    )
    job = dataclasses.replace(bench.prepared(), vendor_time=bench.vendor.clock(bench.client))
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **bench.up.environment}
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, name, str(tmp_path), str(job.path), str(ROWS)],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        text=True,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    job = dataclasses.replace(job, remote_file=out.strip() or None)
    assert bench.vendor.find(bench.client, job).ids == (bench.site.creates[0].job_id,)
    assert len(bench.site.creates) == 1


@served
def test_find_leaves_other_jobs_alone(name, at_bench):
    bench = at_bench(name)
    other, ours = bench.started(bench.prepared("other")), bench.started(bench.prepared("ours"))
    looking = dataclasses.replace(ours, known_ids=frozenset({other.remote_id}))
    assert bench.vendor.find(bench.client, looking).ids == (ours.remote_id,)
    taken = dataclasses.replace(ours, known_ids=frozenset({other.remote_id, ours.remote_id}))
    assert bench.vendor.find(bench.client, taken).ids == ()


# anthropic has no upload, and together gives the same bytes the same id
@pytest.mark.parametrize("name", [*(name for name in VENDORS if name not in {"anthropic", "together"}), GATEWAY])
def test_an_earlier_attempt_on_our_upload_is_a_candidate_until_ours_is_there(name, at_bench):
    bench = at_bench(name)
    earlier = bench.started()
    again = dataclasses.replace(earlier, token="token-again", remote_id=None)
    found = bench.vendor.find(bench.client, again)
    assert (found.ids, found.sure) == ((earlier.remote_id,), False)
    ours = bench.vendor.create(bench.client, again)
    found = bench.vendor.find(bench.client, again)
    assert (found.ids, found.sure) == ((ours,), True)


@served
@pytest.mark.parametrize(("status", "header", "wait"), [(429, "7", 7.0), (429, None, None), (529, None, None)])
def test_a_busy_vendor_is_told_apart_and_its_wish_is_kept(name, status, header, wait, at_bench):
    bench = at_bench(name, Fault("status", call="poll", status=status, retry_after=header))
    job = bench.started()
    error = bench.trouble(lambda: bench.vendor.poll(bench.client, job))
    # Google's 429 without a delay does not tell a rate limit from a full queue
    may_be_queue = {Trouble.QUEUE_FULL} if name == "gemini" and status == 429 else set()
    assert error.trouble in {Trouble.TRANSIENT if status == 429 else Trouble.UNCERTAIN} | may_be_queue
    assert error.retry_after_s == wait
    assert bench.vendor.poll(bench.client, job).phase is Phase.WAITING


@served
def test_a_full_queue_is_no_failure(name, at_bench):
    said = "Enqueued token limit reached for some-model. Limit: 9 enqueued tokens."
    bench = at_bench(name, Fault("status", call="create", status=429, message=said))
    job = bench.uploaded()
    assert bench.trouble(lambda: bench.vendor.create(bench.client, job)).trouble is Trouble.QUEUE_FULL
    assert bench.site.creates == []


@served
@pytest.mark.parametrize("length", [True, False])
def test_a_cut_download_is_seen(name, length, at_bench):
    bench = at_bench(name, Fault("cut", call="download", length=length, fraction=0.45))
    job, _ = bench.ended()
    if length:
        assert bench.trouble(lambda: bench.raw(job)).trouble is Trouble.UNCERTAIN
    else:  # nothing in HTTP tells it: the last line is broken off
        assert not bench.raw(job)["output"].endswith(b"\n")
    assert bench.raw(job)["output"].endswith(b"\n")


@wired
def test_a_wrong_key_is_named_without_being_shown(name, at_bench):
    bench = at_bench(name)
    key = "sk-this-is-the-wrong-key-0123456789"
    client = bench.connect(**{ACCESS[name].keys[0]: key})
    job = dataclasses.replace(bench.prepared(), remote_id="batches/none" if name == "gemini" else "none")
    error = bench.trouble(lambda: bench.vendor.poll(client, job))
    assert error.trouble is Trouble.AUTH
    assert key not in f"{error!r} {error.hint}"


@served
@pytest.mark.parametrize("kind", ["expire", "cancel"])
def test_what_ran_before_the_end_is_kept(name, kind, at_bench):
    bench = at_bench(name, Fault(kind, call="job", fraction=0.5))
    job, _ = bench.ended()
    outcomes = [r.outcome for r in bench.responses(job)]
    if name == "gemini" and kind == "expire":
        assert outcomes == []  # documented: an expired batch leaves nothing
        return
    assert outcomes.count(Outcome.OK) == ROWS // 2
    assert set(outcomes) <= {Outcome.OK, Outcome.EXPIRED, Outcome.CANCELLED, Outcome.ERROR}


@served
def test_an_error_file_alone_is_read(name, at_bench):
    bench = at_bench(name, Fault("errors", call="job", fraction=1.0))
    job, _ = bench.ended()
    responses = bench.responses(job)
    assert [r.outcome for r in responses] == [Outcome.ERROR] * ROWS
    assert all(re.search("rehearsed", r.error, re.IGNORECASE) for r in responses)


@served
def test_a_success_before_its_file_exists_is_asked_again(name, at_bench):
    bench = at_bench(name, Fault("late_file", call="job", polls=2))
    job = bench.started()
    while bench.site.job(bench.host, job.remote_id).stand is Stand.RUNNING:
        bench.vendor.poll(bench.client, job)
    assert bench.trouble(lambda: bench.responses(job)).trouble is Trouble.UNPUBLISHED
    assert len(bench.responses(job)) == ROWS


@served
def test_counts_that_do_not_add_up_decide_nothing(name, at_bench):
    bench = at_bench(name, Fault("wrong_counts", call="job"))
    job, _ = bench.ended()
    assert len(bench.responses(job)) == ROWS


@served
def test_cancelling_what_has_ended_is_no_disaster(name, at_bench):
    bench = at_bench(name)
    job = bench.started()
    bench.vendor.cancel(bench.client, job)
    for _ in range(4):
        progress = bench.vendor.poll(bench.client, job)
    assert progress.phase is Phase.ENDED


@wired
def test_debug_logs_of_the_sdk_do_not_show_the_key(name, at_bench, caplog):
    key = "rehearsal-looks-quite-real-0123456789"
    bench = at_bench(name)
    client = bench.connect(**{ACCESS[name].keys[0]: key})
    job = dataclasses.replace(bench.prepared(), remote_id="batches/none" if name == "gemini" else "none")
    with caplog.at_level(logging.DEBUG):
        bench.trouble(lambda: bench.vendor.poll(client, job))
    assert caplog.text
    assert key not in caplog.text


def test_the_documented_limits_are_those_of_the_code():
    text = (Path(registry.__file__).parents[2] / "docs" / "vendors.md").read_text("utf-8")
    header = next(line for line in text.splitlines() if line.startswith("| | openai"))
    counts = next(line for line in text.splitlines() if line.startswith("| requests a job"))
    cells = [cell.strip() for cell in header.split("|")[2:-1]]
    numbers = [int(cell.replace(",", "")) for cell in counts.split("|")[2:-1]]
    assert dict(zip(cells, numbers, strict=True)) == {name: registry.get(name).LIMITS.requests for name in VENDORS}


def test_importing_the_registry_imports_no_vendor_and_no_sdk():
    code = (
        "import sys; from batchflow.vendors import registry; registry.names();"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " {'openai','anthropic','google','mistralai','together','groq','httpx','httpx2','pydantic'}"
        " or m.startswith('batchflow.vendors.') and m not in {'batchflow.vendors.base','batchflow.vendors.registry'}])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
