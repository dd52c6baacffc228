"""Mistral, Together and Groq through their real SDKs, against the rehearsal server and its faults.

What all six vendors have to do is in test_contract.py; here is what these three add to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import subprocess
import sys
import threading
import time
import tracemalloc
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest

from batchflow import files
from batchflow.errors import Trouble, UsageError, VendorError
from batchflow.records import Capabilities, Found, Job, Params, Phase, Request, Schema
from batchflow.rehearsal import server
from batchflow.rehearsal.fake_state import Stand
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import Settings
from batchflow.vendors import groq, mistral, together

VENDORS = {"mistral": mistral, "together": together, "groq": groq}
CAN = Capabilities(known=True, images=False, sampling=True, seed=True, levels=("low", "high"))
SCHEMA = Schema("answer", {"type": "object", "properties": {"answer": {"type": "string"}}})
ROWS = 6


@pytest.fixture(params=VENDORS)
def vendor(request):
    return VENDORS[request.param]


class Bench:
    """One rehearsal server, one client of one vendor, one prepared file."""

    def __init__(self, vendor, up, folder, stack):
        self.vendor, self.up, self.site, self.folder, self._stack = vendor, up, up.site, folder, stack
        self.client = self.connect()
        self.job = self.prepared("nonce")

    def settings(self, **environment):
        return Settings(self.folder, self.folder, "sqlite://", environment={**self.up.environment, **environment})

    def connect(self, **environment):
        client = self.vendor.connect(self.settings(**environment))
        closing = client if hasattr(client, "__exit__") else contextlib.closing(client)
        self._stack.enter_context(closing)
        return client

    def prepared(self, nonce, model="some/model"):
        path = self.folder / f"{self.vendor.NAME}-{nonce}.jsonl"
        asks = (Request(f"{nonce}-{i}", model, "Answer.", (f"Riddle {i}?",), SCHEMA) for i in range(ROWS))
        lines = [files.dumps(self.vendor.encode(ask, CAN, self.vendor.ENDPOINTS[0])) for ask in asks]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        endpoint, now = self.vendor.ENDPOINTS[0], time.time()
        return Job(nonce, path, files.sha256(path), ROWS, model, endpoint, f"token-{nonce}", nonce, now)

    def uploaded(self, job=None):
        job = job or self.job
        return dataclasses.replace(job, remote_file=self.vendor.upload(self.client, job))

    def running(self, job=None):
        job = self.uploaded(job)
        return dataclasses.replace(job, remote_id=self.vendor.create(self.client, job))

    def until_ended(self, job):
        for _ in range(6):
            progress = self.vendor.poll(self.client, job)
            if progress.phase is Phase.ENDED:
                return progress
        raise AssertionError(progress)

    def ended(self):
        job = self.running()
        self.until_ended(job)
        return job

    def fetched(self, job):
        """kind → bytes; each whole, by the length that the download tells."""
        raw = {}
        for download in self.vendor.fetch(self.client, job):
            raw[download.kind] = b"".join(download.chunks)
            assert download.size in {None, len(raw[download.kind])}
        return raw

    def responses(self, job):
        rows = b"".join(self.fetched(job).values()).split(b"\n")
        return [self.vendor.decode(json.loads(row)) for row in rows if row]

    def calls(self, verb):
        return self.site.calls.count((self.vendor.NAME, verb))

    def told(self, verb, *arguments):
        """The VendorError that a verb ends in."""
        with pytest.raises(Exception) as caught:
            verb(self.client, *arguments)
        return self.vendor.explain(caught.value)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """One server for all tests; each starts with an empty memory and its own script."""
    with server.running(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def one(up, tmp_path):
    """A factory for a vendor's bench: one(together, fault, ...)."""
    with contextlib.ExitStack() as stack:

        def make(vendor, *script):
            site = up.site
            with site.lock:
                site.faults = Faults(script)
                for memory in (site.creates, site.calls, site._files, site._jobs):
                    memory.clear()
            return Bench(vendor, up, tmp_path, stack)

        yield make


@pytest.fixture
def bench(one, vendor):
    """The same for each of the three: bench(fault, ...)."""
    return partial(one, vendor)


def outcomes(responses):
    return sorted(response.outcome.value for response in responses)


# -- the whole life


def test_every_verb_from_upload_to_remove(bench):
    b = bench()
    job = b.running()
    waiting = b.vendor.poll(b.client, job)
    assert waiting.phase is Phase.WAITING
    assert waiting.word in b.vendor.STATUSES
    ended = b.until_ended(job)
    assert (ended.counts.total, ended.counts.done) == (ROWS, ROWS)
    responses = b.responses(job)
    assert {r.custom_id for r in responses} == {f"nonce-{i}" for i in range(ROWS)}
    assert outcomes(responses) == ["ok"] * ROWS
    assert all(json.loads(r.text)["answer"] and r.usage.input_tokens > 0 for r in responses)
    b.vendor.cancel(b.client, job)  # it has ended, which is no error
    b.vendor.remove(b.client, job)
    assert b.site.files(b.vendor.NAME) == []
    b.vendor.remove(b.client, job)  # gone already, which is no error


def test_thinking_is_asked_for_and_kept_out_of_the_answer(bench):
    b = bench()
    ask = Request("t-0", "some/model", "Answer.", ("Riddle?",), SCHEMA, Params(thinking_level="high", max_tokens=900))
    b.job.path.write_bytes(files.dumps(b.vendor.encode(ask, CAN, b.vendor.ENDPOINTS[0])) + b"\n")
    (response,) = b.responses(b.ended())
    assert "thought" not in response.text
    assert response.usage.output_tokens > 100


def test_the_create_carries_file_endpoint_window_and_tag(bench):
    b = bench()
    b.running(dataclasses.replace(b.job, window="24h"))
    made = b.site.jobs(b.vendor.NAME)[0]
    assert made.endpoint == "/v1/chat/completions"
    assert made.rows == ROWS
    if b.vendor is not together:  # which has no tags
        assert made.tags == {"batchflow": "token-nonce"}
    if b.vendor is groq:
        assert made.extra["window"] == "24h"
    if b.vendor is mistral:
        assert (made.model, made.extra["hours"]) == ("some/model", 24)


def test_the_uploaded_bytes_are_the_file(bench):
    b = bench()
    job = b.uploaded()
    assert b.site.path(b.vendor.NAME, job.remote_file).read_bytes() == job.path.read_bytes()


def test_a_cancelled_batch_gives_what_ran(bench):
    b = bench()
    job = b.running()
    b.vendor.cancel(b.client, job)
    assert b.site.job(b.vendor.NAME, job.remote_id).stand is Stand.CANCELLING
    b.until_ended(job)
    assert outcomes(b.responses(job)) == ["cancelled"] * 3 + ["ok"] * 3


def test_a_base_url_may_end_as_the_openai_sdk_wants_it(bench):
    b = bench()
    suffix = {"mistral": "/v1", "together": "/v1", "groq": "/openai/v1"}[b.vendor.NAME]
    name = f"{b.vendor.NAME.upper()}_BASE_URL"
    for tail in ("", "/", suffix, suffix + "/"):
        client = b.connect(**{name: b.up.url(b.vendor.NAME) + tail})
        assert b.vendor.find(client, b.job) == Found((), sure=True)


def test_no_key_is_told_with_the_variable(vendor, tmp_path):
    with pytest.raises(UsageError) as caught:
        vendor.connect(Settings(tmp_path, tmp_path, "sqlite://"))
    assert f"{vendor.NAME.upper()}_API_KEY" in caught.value.hint


# -- a create whose answer is lost


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_the_sdk_never_repeats_a_create(bench, status):
    b = bench(Fault("status", call="create", status=status, times=0, retry_after="0"))
    b.told(b.vendor.create, b.uploaded())
    assert b.calls("create") == 1


@pytest.mark.parametrize("kind", ["html", "garbled", "reset"])
def test_a_list_that_cannot_be_read_proves_nothing(bench, kind):
    b = bench(Fault(kind, call="list", times=0))
    job = b.running()
    told = b.told(b.vendor.find, job)
    assert told.trouble in {Trouble.GARBLED, Trouble.UNCERTAIN}


def test_find_passes_over_other_batches_and_those_that_are_known(bench):
    b = bench()
    other, ours = b.running(b.prepared("other")), b.running()
    assert b.vendor.find(b.client, dataclasses.replace(ours, remote_id=None)).ids == (ours.remote_id,)
    known = dataclasses.replace(ours, known_ids=frozenset({ours.remote_id, other.remote_id}))
    assert b.vendor.find(b.client, known) == Found((), sure=True)


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_cancel_that_is_refused_while_it_runs_is_an_error(bench, status):
    b = bench(Fault("status", call="cancel", status=status))
    job = b.running()
    assert b.told(b.vendor.cancel, job).status == status
    assert b.site.job(b.vendor.NAME, job.remote_id).stand is Stand.RUNNING


@pytest.mark.parametrize("ahead_s", [0, 20_000])
def test_find_reads_every_page_however_wrong_our_clock_was(bench, ahead_s):
    b = bench()
    ours = b.running()
    ours = dataclasses.replace(ours, sending_at=ours.sending_at + ahead_s)
    for number in range(130):  # newer ones, which push ours off the first page
        other = {"job_id": f"other-{number}", "input_id": ours.remote_file, "model": "m", "endpoint": ours.endpoint}
        b.site.create(b.vendor.NAME, **other, tags={"batchflow": "another"}, extra={"window": "24h"})
    found = b.vendor.find(b.client, ours)
    assert ours.remote_id in found.ids
    if b.vendor is not together:
        assert found == Found((ours.remote_id,), sure=True)
        assert b.calls("list") > 1


def test_a_batch_on_our_file_from_an_earlier_attempt_is_a_candidate(bench):
    b = bench()
    earlier = b.running()
    later = dataclasses.replace(earlier, token="token-of-a-second-attempt", sending_at=time.time() + 7200)
    assert b.vendor.find(b.client, later) == Found((earlier.remote_id,), sure=False)


# -- faults of a call


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), (None, None)])
def test_too_many_requests_wait_as_long_as_told(bench, header, seconds):
    b = bench(Fault("status", call="create", status=429, retry_after=header, message="Rate limit reached"))
    told = b.told(b.vendor.create, b.uploaded())
    assert (told.trouble, told.retry_after_s, told.status) == (Trouble.TRANSIENT, seconds, 429)


@pytest.mark.parametrize(
    ("status", "message", "trouble"),
    [
        (429, "Enqueued token limit reached for the model", Trouble.QUEUE_FULL),
        (402, "Payment required", Trouble.BILLING),
        (401, "Unauthorized", Trouble.AUTH),
        (403, "Forbidden", Trouble.AUTH),
        (404, "No such model", Trouble.NOT_FOUND),
        (413, "Payload too large", Trouble.TOO_LARGE),
        (422, "timeout_hours is wrong", Trouble.REFUSED),
        (400, "Invalid model", Trouble.REFUSED),
    ],
)
def test_what_a_refusal_means_is_told_plainly(bench, status, message, trouble):
    b = bench(Fault("status", call="create", status=status, message=message))
    told = b.told(b.vendor.create, b.uploaded())
    assert told.trouble is trouble
    assert message in str(told)
    assert b.vendor.NAME in str(told)


def test_a_plan_without_batches_is_a_matter_of_billing(bench):
    b = bench(Fault("status", call="create", status=403, message="not for you", code="not_available_for_plan"))
    told = b.told(b.vendor.create, b.uploaded())
    assert told.trouble is Trouble.BILLING
    assert "not for you" in str(told)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
def test_a_poll_that_fails_can_be_repeated(bench, status):
    b = bench(Fault("status", call="poll", status=status))
    job = b.running()
    told = b.told(b.vendor.poll, job)
    assert told.trouble in {Trouble.TRANSIENT, Trouble.UNCERTAIN}
    assert b.vendor.poll(b.client, job).phase is Phase.WAITING


@pytest.mark.parametrize("kind", ["html", "garbled", "reset"])
def test_a_poll_that_cannot_be_read_says_so(bench, kind):
    b = bench(Fault(kind, call="poll"))
    job = b.running()
    told = b.told(b.vendor.poll, job)
    assert told.trouble in {Trouble.GARBLED, Trouble.UNCERTAIN}
    assert b.vendor.poll(b.client, job).phase is Phase.WAITING


def test_a_batch_that_is_gone_is_told_as_such(bench):
    b = bench()
    job = b.ended()
    b.site.forget(b.vendor.NAME, job.remote_id)
    assert b.told(b.vendor.poll, job).trouble is Trouble.NOT_FOUND
    b.vendor.remove(b.client, job)
    assert job.remote_file not in [held.id for held in b.site.files(b.vendor.NAME)]


def test_a_server_that_is_not_there_has_taken_nothing(vendor, tmp_path):
    keys = {"MISTRAL_API_KEY": "k", "TOGETHER_API_KEY": "k", "GROQ_API_KEY": "k"}
    urls = {f"{name.upper()}_BASE_URL": "http://127.0.0.1:9" for name in VENDORS}
    client = vendor.connect(Settings(tmp_path, tmp_path, "sqlite://", environment=keys | urls))
    job = Job("n", tmp_path / "n.jsonl", "", 1, "m", "/v1/chat/completions", "t", "n", 0.0, None, "file-1", "batch-1")
    with pytest.raises(Exception) as caught:
        vendor.create(client, job)
    told = vendor.explain(caught.value)
    assert told.trouble is Trouble.TRANSIENT
    assert told.hint


# -- downloads


def test_a_slow_download_comes_whole(bench):
    b = bench(Fault("trickle", call="download", seconds=0.2))
    assert outcomes(b.responses(b.ended())) == ["ok"] * ROWS


@pytest.mark.parametrize("status", [404, 500])
def test_a_download_that_is_refused_raises(bench, status):
    b = bench(Fault("status", call="download", status=status))
    job = b.ended()
    with pytest.raises(Exception) as caught:
        b.fetched(job)
    assert b.vendor.explain(caught.value).status == status


# -- faults in the life of a batch


def test_a_failed_validation_ends_the_batch_with_its_reason(bench):
    b = bench(Fault("fail", call="job", message="line 3: not an object"))
    job = b.running()
    ended = b.until_ended(job)
    assert "line 3: not an object" in ended.error
    assert not ended.queue_full
    assert b.fetched(job) == {}


def test_a_validation_that_fails_for_want_of_room_says_so(bench):
    b = bench(Fault("queue_full", call="job"))
    ended = b.until_ended(b.running())
    assert ended.queue_full
    assert "Enqueued token limit" in ended.error


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("expire", call="job", fraction=0.34), {"ok": 3, "expired": 3}),
        (Fault("cancel", call="job", fraction=0.34), {"ok": 3, "cancelled": 3}),
        (Fault("errors", call="job", fraction=0.5), {"ok": 3, "error": 3}),
        (Fault("refusals", call="job", fraction=0.5), {"ok": 3, "refused": 3}),
        (Fault("missing", call="job", fraction=0.5), {"ok": 3}),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_every_row_that_comes_back_has_its_outcome(bench, fault, expected):
    b = bench(dataclasses.replace(fault))
    responses = b.responses(b.ended())
    assert outcomes(responses) == sorted(word for word, n in expected.items() for _ in range(n))
    assert len({r.custom_id for r in responses}) == len(responses)


def test_rubbish_between_the_rows_never_raises_and_loses_no_id(bench):
    b = bench(Fault("dirty", call="job"))
    seen = []
    for line in b.fetched(b.ended())["output"].split(b"\n"):
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            seen += [b.vendor.decode(row).custom_id] if isinstance(row, dict) else []
    assert set(seen) == {f"nonce-{i}" for i in range(ROWS)} | {"nobody-asked-this"}


def test_an_unknown_status_word_is_shown_and_stays_pollable(bench, monkeypatch):
    b = bench()
    job = b.running()
    speech = import_module(f"batchflow.rehearsal.protocols.{b.vendor.NAME}")
    with monkeypatch.context() as patch:
        patch.setattr(speech, "word", lambda job: "PONDERING")
        progress = b.vendor.poll(b.client, job)
        assert (progress.phase, progress.word) == (Phase.WAITING, "PONDERING")
    assert b.until_ended(job).phase is Phase.ENDED


# -- keys and memory


def test_a_wrong_key_is_told_without_the_key(bench):
    b = bench()
    key = "gsk_thisisaverysecretkey"
    client = b.connect(**{f"{b.vendor.NAME.upper()}_API_KEY": key})
    for verb in (b.vendor.find, b.vendor.upload, b.vendor.poll):
        job = dataclasses.replace(b.job, remote_id="batch-1")
        with pytest.raises(Exception) as caught:
            verb(client, job)
        told = b.vendor.explain(caught.value)
        assert told.trouble is Trouble.AUTH
        assert key not in str(told) + told.hint


def test_debug_variables_of_the_sdks_do_not_log_the_key(bench, monkeypatch, caplog):
    for name in ("MISTRAL_DEBUG", "TOGETHER_LOG", "GROQ_LOG"):
        monkeypatch.setenv(name, "debug")
    caplog.set_level(logging.DEBUG)
    b = bench()
    b.running()
    assert server.KEY not in caplog.text


class _Elsewhere(BaseHTTPRequestHandler):
    """Says that a batch is done, and sends its download to another host."""

    heard: list

    def do_GET(self):
        self.heard.append((self.headers["Host"].split(":")[0], self.path, self.headers.get("Authorization")))
        if "/stolen" in self.path:
            self._reply(200, b'{"custom_id": "a"}\n', "application/octet-stream")
        elif "/content" in self.path:
            self._reply(302, b"", "text/plain", f"http://localhost:{self.server.server_port}/stolen")
        else:
            self._reply(200, json.dumps(_BATCH).encode(), "application/json")

    def _reply(self, status, body, media, location=None):
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


_BATCH = {
    "id": "batch-1",
    "status": "COMPLETED",
    "output_file_id": "f-1",
    "output_file": "f-1",
    "input_files": [],
    "endpoint": "/v1/chat/completions",
    "errors": [],
    "created_at": 1,
    "total_requests": 1,
    "completed_requests": 1,
    "succeeded_requests": 1,
    "failed_requests": 0,
}


def test_a_download_on_another_host_is_not_asked_for_with_the_key(vendor, tmp_path):
    heard = []
    handler = type("Handler", (_Elsewhere,), {"heard": heard})
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        stack.callback(other.shutdown)
        name = vendor.NAME.upper()
        url = f"http://127.0.0.1:{other.server_port}"
        environment = {f"{name}_API_KEY": "secret-of-mine", f"{name}_BASE_URL": url}
        client = vendor.connect(Settings(tmp_path, tmp_path, "sqlite://", environment=environment))
        stack.enter_context(client if hasattr(client, "__exit__") else contextlib.closing(client))
        job = Job("n", tmp_path / "n.jsonl", "", 1, "m", "/v1/chat/completions", "t", "n", 0.0, remote_id="batch-1")
        (download,) = vendor.fetch(client, job)
        with contextlib.suppress(Exception):
            list(download.chunks)
    asked = {(host, key) for host, _, key in heard}
    assert ("127.0.0.1", "Bearer secret-of-mine") in asked
    assert ("localhost", None) in asked
    assert len(asked) == 2


def test_an_upload_is_streamed_from_disk(vendor, tmp_path):
    size = 24_000_000
    big = tmp_path / "big.jsonl"
    with big.open("wb") as handle:
        for start in range(0, size, 1000):
            handle.write(b'{"custom_id":"n-%010d","body":"' % start + b"x" * 965 + b'"}\n')
    code = "import json, sys; from batchflow.rehearsal import server\n"
    code += "server.serve(port=0, ready=lambda up: print(json.dumps(up.environment), flush=True))"
    # the server runs in a process of its own, so that only the client's memory is measured
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            environment = json.loads(child.stdout.readline())
            client = vendor.connect(Settings(tmp_path, tmp_path, "sqlite://", environment=environment))
            job = Job("n", big, "", 1, "m", "/v1/chat/completions", "t", "n", 0.0)
            with client if hasattr(client, "__exit__") else contextlib.closing(client):
                vendor.find(client, job)  # imports and connections are not what is measured
                tracemalloc.start()
                vendor.upload(client, job)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
        finally:
            child.terminate()
    assert peak < 8_000_000


# -- what only one of them does


def test_together_upload_that_broke_half_way_is_mended(one):
    b = one(together, Fault("status", call="upload", nth=2, status=500))  # the PUT of the bytes
    assert b.told(b.vendor.upload, b.job).status == 500
    (broken,) = b.site.files("together")
    assert broken.size == 0
    job = b.uploaded()  # the vendor answers that it has the file already
    (held,) = b.site.files("together")
    assert (held.id, held.size) == (job.remote_file, job.path.stat().st_size)
    assert held.id != broken.id


def test_together_upload_of_the_same_bytes_gives_the_same_file(one):
    b = one(together)
    assert b.uploaded().remote_file == b.uploaded().remote_file
    assert len(b.site.files("together")) == 1


def test_together_without_a_job_in_its_answer_has_created_nothing(one):
    b = one(together)
    told = b.told(b.vendor.create, b.uploaded(b.prepared("no", model="deepseek-ai/DeepSeek-R1")))
    assert told.trouble is Trouble.REFUSED
    assert "not available for batch" in str(told)
    assert b.site.creates == []


def test_together_two_attempts_on_one_file_are_both_shown(one):
    b = one(together)
    first = b.running()
    second = b.running(dataclasses.replace(b.job, token="second"))
    found = b.vendor.find(b.client, dataclasses.replace(first, remote_id=None))
    assert set(found.ids) == {first.remote_id, second.remote_id}


def test_together_an_old_failed_attempt_on_our_file_is_no_candidate(one):
    b = one(together, Fault("queue_full", call="job"))
    old = b.running()
    b.until_ended(old)
    again = dataclasses.replace(old, remote_id=None, sending_at=time.time() + 7200)
    assert b.vendor.find(b.client, again) == Found((), sure=True)


def test_groq_errors_read_as_a_list_and_as_an_object(one, monkeypatch):
    b = one(groq, Fault("fail", call="job", message="line 1 is bad", code="invalid_json"))
    job = b.running()
    assert "line 1 is bad" in b.until_ended(job).error
    speech = import_module("batchflow.rehearsal.protocols.groq")
    inner = speech._batch

    def as_object(site, record):
        told = inner(site, record)
        return told | {"errors": {"object": "list", "data": told["errors"]}}

    monkeypatch.setattr(speech, "_batch", as_object)
    progress = b.vendor.poll(b.client, job)
    assert "line 1 is bad" in progress.error
    assert "invalid_json" in progress.error


def test_groq_list_that_repeats_its_cursor_proves_nothing(one, monkeypatch):
    b = one(groq)
    for number in range(25):
        b.running(b.prepared(f"n{number}"))
    speech = import_module("batchflow.rehearsal.protocols.groq")
    monkeypatch.setattr(speech, "page", lambda rows, limit, after, name: (rows[:limit], True))
    told = b.told(b.vendor.find, b.uploaded())
    assert told.trouble is Trouble.GARBLED
    assert "never ends" in str(told)


def test_mistral_list_that_holds_back_rows_proves_nothing(one, monkeypatch):
    b = one(mistral)
    b.running(b.prepared("other"))
    speech = import_module("batchflow.rehearsal.protocols.mistral")
    monkeypatch.setattr(speech, "_numbered", lambda held, call: [])
    assert b.told(b.vendor.find, b.uploaded()).trouble is Trouble.GARBLED


def test_mistral_paging_ends_at_the_end_whatever_the_jobs_dates_are(one):
    b = one(mistral)
    job = b.running()
    for number in range(250):
        facts = {"job_id": f"old-{number}", "input_id": job.remote_file, "model": "m", "endpoint": job.endpoint}
        b.site.create("mistral", **facts, tags={"batchflow": "another"}).created_at = 1.0
    assert b.vendor.find(b.client, job) == Found((job.remote_id,), sure=True)
    assert b.calls("list") > 1


def test_groq_window_reaches_the_vendor_and_a_week_is_allowed(one):
    b = one(groq)
    b.running(dataclasses.replace(b.job, window="7d"))
    assert b.site.jobs("groq")[0].extra["window"] == "7d"


@pytest.mark.parametrize("window", ["24h", "36h", "168h", "1d", "7d"])
def test_groq_takes_every_window_that_check_lets_pass(one, window):
    b = one(groq)
    request = Request("r1", "some/model", "Answer.", ("Riddle?",), SCHEMA)
    groq.check(request, CAN, groq.ENDPOINTS[0], window)
    assert b.running(dataclasses.replace(b.job, window=window)).remote_id


def test_mistral_window_becomes_hours(one):
    b = one(mistral)
    b.running(dataclasses.replace(b.job, window="6d"))
    assert b.site.jobs("mistral")[0].extra["hours"] == 144


@pytest.mark.parametrize("kind", ["size", "id"])
def test_an_upload_that_arrived_short_is_not_believed(one, monkeypatch, kind):
    for vendor in (groq, mistral):
        b = one(vendor)
        speech = import_module(f"batchflow.rehearsal.protocols.{vendor.NAME}")
        inner, wrong = speech._file, {"size": {"bytes": 3}, "id": {"id": ""}}[kind]
        monkeypatch.setattr(speech, "_file", lambda held, inner=inner, wrong=wrong: inner(held) | wrong)
        with pytest.raises(VendorError) as caught:
            vendor.upload(b.client, b.job)
        assert caught.value.trouble is Trouble.GARBLED


# -- the rest of the protocols, as a user's own script would speak them


def test_mistral_lists_files_and_deletes_jobs(one):
    b = one(mistral)
    job = b.running()
    listed = b.client.files.list()
    assert [(held.id, held.size_bytes) for held in listed.data] == [(job.remote_file, job.path.stat().st_size)]
    assert b.client.files.retrieve(file_id=job.remote_file).sample_type == "batch_request"
    assert b.client.batch.jobs.list(status=["QUEUED"]).total == 1
    b.client.batch.jobs.delete(job_id=job.remote_id)
    assert b.client.batch.jobs.list().total == 0


def test_mistral_refuses_a_week_and_more(one):
    b = one(mistral)
    job = b.uploaded()
    told = b.told(lambda client, job: mistral.create(client, dataclasses.replace(job, window="7d")), job)
    assert (told.trouble, told.status) == (Trouble.REFUSED, 422)
    assert "168" in str(told)


def test_together_lists_files_without_pages(one):
    b = one(together)
    job = b.running()
    assert [held.id for held in b.client.files.list().data] == [job.remote_file]
    assert b.client.files.retrieve(job.remote_file).bytes == job.path.stat().st_size


def test_groq_lists_by_ids(one):
    b = one(groq)
    jobs = [b.running(b.prepared(f"n{number}")) for number in range(3)]
    ids = [job.remote_id for job in jobs]
    told = b.client.get(f"/openai/v1/batches?id={ids[0]}&id={ids[2]}", cast_to=object)
    assert {batch["id"] for batch in told["data"]} == {ids[0], ids[2]}
    assert {held.id for held in b.client.files.list().data} == {job.remote_file for job in jobs}
    assert b.client.files.info(jobs[0].remote_file).bytes == jobs[0].path.stat().st_size


def test_groq_refuses_pictures_that_got_past_check(one):
    b = one(groq)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": [picture]}]}
    line = {"custom_id": "n-0", "method": "POST", "url": "/v1/chat/completions", "body": body}
    b.job.path.write_bytes(files.dumps(line) + b"\n")
    assert "images" in b.until_ended(b.running()).error


def test_a_vendor_module_imports_no_sdk():
    code = "import sys; from batchflow.vendors import groq, mistral, together; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"groq", "mistralai", "together", "httpx", "httpx2", "pydantic"} & set(loaded)
