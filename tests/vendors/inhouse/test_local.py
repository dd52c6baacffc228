"""The provider `local` as the steps see it: verbs on a job folder, with real workers behind them."""

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers.rows import add_batch, add_job
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files, settings, vocabulary
from batchflow.errors import EngineError, Trouble, UsageError, VendorError
from batchflow.ledger import Ledger
from batchflow.local.base import options
from batchflow.local.job import job_dir as layout
from batchflow.local.job.replies import has_answer
from batchflow.records import Capabilities, Image, Job, Outcome, Params, Phase, Request, Schema
from batchflow.steps.workers import entry
from batchflow.texts import parsing
from batchflow.vendors.base import Vendor
from batchflow.vendors.inhouse import local

CHECKED: Vendor = local
ANY = Capabilities()
SMALL = Capabilities(known=True, images=False, sampling=True, seed=True)
SCHEMA = Schema(
    "answer",
    {
        "type": "object",
        "properties": {"justification": {"type": "string"}, "answer": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["justification", "answer", "sure"],
        "additionalProperties": False,
    },
)


@pytest.fixture
def engine():
    """An endpoint that answers `gate` after gate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            raw = json.loads(self.rfile.read(int(self.headers["content-length"])))
            text = raw["messages"][-1]["content"]
            server.keys.add(self.headers.get("authorization"))
            server.asked.append(text)
            if int(text[1:]) >= server.holds_from:
                server.gate.wait(60)
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"re: {text}"}}
            body = json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode()
            try:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    server.gate, server.holds_from, server.asked, server.keys = threading.Event(), 10**9, [], set()
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A ledger that knows the job `tok-1`: a worker takes its lease there."""
    path = tmp_path_factory.mktemp("known") / "batchflow.db"
    ledger = Ledger.open(f"sqlite:///{path}")
    with ledger.write() as tx:
        add_job(tx, add_batch(tx, "b", provider="local"), token="tok-1")
    ledger.close()
    return path


@pytest.fixture
def client(tmp_path, known):
    shutil.copy(known, tmp_path)
    environ = {"PATH": os.environ["PATH"], "BATCHFLOW_HOME": str(tmp_path), "BATCHFLOW_LOCAL_API_KEY": "key-123456"}
    return local.connect(replace(settings.load(tmp_path, environ), worker=entry.COMMAND))


@pytest.fixture
def job(client, engine):
    path = client.settings.processed / "b.jsonl"
    with files.replacing(path) as out:
        for i in range(20):
            request = Request(f"{i}-abc", "m", "", (f"q{i}",))
            out.write(files.dumps(local.encode(request, ANY, "")) + b"\n")
    given = {"base_url": [engine.url], "concurrency": 4, "window": "24h"}
    return Job("b", path, files.sha256(path), 20, "m", "", "tok-1", "abc", 0.0, remote_id="tok-1", options=given)


def until(client, job, *words, seconds=60.0):
    deadline = time.monotonic() + seconds
    while (seen := local.poll(client, job)).word not in words:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
    return seen


def fetched(client, job):
    data = b"".join(chunk for download in local.fetch(client, job) for chunk in download.chunks)
    return [local.decode(json.loads(line)) for line in data.splitlines()]


def worker_pid(client, job):
    return json.loads((client.folder(job.token) / "progress.json").read_text())["pid"]


def test_a_job_from_create_to_remove(client, job, engine):
    assert local.find(client, job).ids == ()
    assert local.upload(client, job) is None
    assert local.create(client, job) == "tok-1"
    assert local.find(client, job).ids == ("tok-1",)
    assert local.find(client, job).sure
    seen = until(client, job, "completed")
    assert seen.phase is Phase.ENDED
    assert (seen.counts.total, seen.counts.done, seen.counts.failed) == (20, 20, 0)
    rows = fetched(client, job)
    assert {(row.custom_id, row.outcome, row.text) for row in rows} == {
        (f"{i}-abc", Outcome.OK, f"re: q{i}") for i in range(20)
    }
    assert rows[0].usage.input_tokens == 3
    assert engine.keys == {"Bearer key-123456"}
    folder = client.folder("tok-1")
    assert not any(b"key-123456" in path.read_bytes() for path in folder.iterdir())
    assert local.facts(client, job)["base_urls"] == [engine.url]
    assert not local.resume(client, job)
    local.remove(client, job)
    assert not folder.exists()
    local.remove(client, job)
    with pytest.raises(VendorError, match="is not here"):
        local.poll(client, job)


def test_create_twice_is_one_job(client, job, engine):
    local.create(client, job)
    local.create(client, job)
    until(client, job, "completed")
    assert len(fetched(client, job)) == 20
    assert len(engine.asked) == 20


def test_create_returns_at_once_and_partial_rows_can_be_fetched(client, job, engine):
    engine.holds_from = 10
    began = time.monotonic()
    local.create(client, job)
    assert time.monotonic() - began < 10  # waiting for the rows would never end
    until(client, job, "running")
    deadline = time.monotonic() + 60
    while len(fetched(client, job)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (download,) = local.fetch(client, job)
    assert download.size == len(b"".join(download.chunks))
    engine.gate.set()
    until(client, job, "completed")


def test_a_killed_worker_shows_as_stopped_and_resume_does_the_rest(client, job, engine):
    engine.holds_from = 10
    local.create(client, job)
    until(client, job, "running")
    deadline = time.monotonic() + 60
    while len(fetched(client, job)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(worker_pid(client, job), signal.SIGKILL)
    seen = until(client, job, "stopped")
    assert seen.phase is Phase.WAITING
    assert "without a word" in seen.error
    assert "batchflow start b" in seen.error
    assert seen.speed == {}
    engine.gate.set()
    assert local.resume(client, job)
    assert local.poll(client, job).word in {"queued", "loading", "running", "completed"}
    until(client, job, "completed")
    rows = fetched(client, job)
    assert len(rows) == len({row.custom_id for row in rows}) == 20
    assert len(engine.asked) <= 24


def test_what_an_earlier_worker_said_is_not_taken_for_the_word_of_the_one_that_holds_the_lock(client, job):
    folder = client.folder(job.token)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "progress.json").write_text(json.dumps({"word": "running", "done": 3, "pid": os.getpid() + 1}))
    with layout.only_worker(folder):
        assert local.poll(client, job).word == "queued"
        (folder / "progress.json").write_text(json.dumps({"word": "running", "done": 3, "pid": os.getpid()}))
        assert local.poll(client, job).word == "running"
        (folder / "progress.json").write_text(json.dumps({"word": "completed", "done": 20, "pid": os.getpid() + 1}))
        assert local.poll(client, job).word == "completed"


def test_a_worker_that_cannot_work_says_why(client, job):
    broken = replace(job, options={"base_url": "http://127.0.0.1:9/v1", "outage_s": "100ms", "backoff_s": "1ms"})
    local.create(client, broken)
    seen = until(client, broken, "stopped")
    assert "no endpoint has answered" in seen.error
    assert local.resume(client, broken)
    until(client, broken, "stopped")


def test_the_last_line_of_a_crash_is_told(client, job):
    folder = client.folder(job.token)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "worker.log").write_text("worker started\nTraceback (most recent call last):\nMemoryError: big\n")
    assert "MemoryError: big" in local.poll(client, job).error


@pytest.mark.parametrize(("passed_s", "word"), [(1, "queued"), (60, "stopped"), (-3600, "stopped")])
def test_a_spawned_worker_is_waited_for_a_while_also_when_the_clock_was_put_back(client, job, passed_s, word):
    folder = client.folder(job.token)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "spawned").touch()
    spawned = time.time() - passed_s
    os.utime(folder / "spawned", (spawned, spawned))
    assert local.poll(client, job).word == word


def test_a_worker_whose_disk_is_full_can_leave_no_word_so_it_is_guessed():
    assert "the disk is full" in local.unheard(4096)
    assert "killed?" in local.unheard(1 << 30)


def test_settings_that_name_no_worker_start_none(client, job):
    alone = local.LocalClient(client.root, replace(client.settings, worker=()))
    with pytest.raises(EngineError, match="no worker"):
        local.create(alone, job)


def test_the_missing_engine_model_is_told(client, job):
    small = replace(job, model=vocabulary.EMBEDDED_MODEL, options={})
    local.create(client, small)
    assert "batchflow engine install" in until(client, small, "stopped").error


def test_cancel_keeps_what_is_done(client, job, engine):
    engine.holds_from = 10
    local.create(client, job)
    until(client, job, "running")
    deadline = time.monotonic() + 60
    while len(fetched(client, job)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(VendorError, match="still running"):
        local.remove(client, job)
    local.cancel(client, job)
    seen = until(client, job, "cancelled", seconds=5)
    assert seen.phase is Phase.ENDED
    outcomes = [row.outcome for row in fetched(client, job)]
    assert (outcomes.count(Outcome.OK), outcomes.count(Outcome.CANCELLED)) == (10, 10)
    local.cancel(client, job)


def test_cancel_of_a_stopped_job_ends_it(client, job, engine):
    engine.holds_from = 0
    local.create(client, job)
    until(client, job, "running")
    os.kill(worker_pid(client, job), signal.SIGKILL)
    until(client, job, "stopped")
    local.cancel(client, job)
    until(client, job, "cancelled")
    assert [row.outcome for row in fetched(client, job)] == [Outcome.CANCELLED] * 20


def test_a_job_with_nothing_in_it_yet(client, job):
    """No end: the folder may be another host's, or its disk not mounted."""
    for verb in (local.poll, lambda *one: list(local.fetch(*one)), local.resume, local.cancel):
        with pytest.raises(VendorError, match="is not here") as raised:
            verb(client, job)
        assert raised.value.trouble is Trouble.NOT_FOUND
    with pytest.raises(VendorError):
        client.folder("../../etc")


def test_fetch_gives_whole_lines_only(client, job):
    folder = client.folder(job.token)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "output.jsonl").write_bytes(b'{"a":1}\n{"b":2}\n{"c":')
    (download,) = local.fetch(client, job)
    assert b"".join(download.chunks) == b'{"a":1}\n{"b":2}\n'
    assert download.size == 16
    (folder / "output.jsonl").write_bytes(b'{"a":')
    (download,) = local.fetch(client, job)
    assert b"".join(download.chunks) == b""


def test_encode_sends_plain_text_and_the_limit_that_every_server_knows():
    request = Request("1-abc", "m", "be brief", ("one", "two"), SCHEMA, Params(max_tokens=9, temperature=0.5))
    body = local.encode(request, ANY, "")["body"]
    assert body["messages"][-1] == {"role": "user", "content": "one\n\ntwo"}
    assert (body["max_tokens"], body["temperature"]) == (9, 0.5)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA.schema
    picture = Image("image/png", "AAAA")
    parts = local.encode(replace(request, parts=("see", picture)), ANY, "")["body"]["messages"][-1]["content"]
    assert parts == [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": picture.url}}]


def test_encode_for_the_embedded_engine_bounds_the_answer():
    request = Request("1-abc", vocabulary.EMBEDDED_MODEL, "s", ("u",), SCHEMA)
    body = local.encode(request, SMALL, "")["body"]
    assert body["max_tokens"] == local.EMBEDDED_TOKENS
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    lengths = [properties[name]["maxLength"] for name in ("justification", "answer")]
    assert sum(lengths) / local.CHARS_PER_TOKEN < local.EMBEDDED_TOKENS
    assert "maxLength" not in properties["sure"]
    assert "maxLength" not in str(SCHEMA.schema)  # the argument was not touched


def test_each_row_has_its_own_seed_and_the_same_in_every_batch():
    def seed(custom_id, text, batch_seed=5):
        request = Request(custom_id, "m", "s", (text,), None, Params(seed=batch_seed))
        return local.encode(request, ANY, "")["body"]["seed"]

    assert seed("1-abc", "x") == seed("7-def", "x")
    assert len({seed("1-abc", f"x{i}") for i in range(50)}) == 50
    assert seed("1-abc", "x", 6) != seed("1-abc", "x", 5)
    assert all(0 <= seed("1", f"x{i}") < 2**31 for i in range(50))


def test_check_refuses_a_picture_for_a_model_that_reads_text_and_names_what_could():
    request = Request("1", vocabulary.EMBEDDED_MODEL, "", (Image("image/png", "AAAA"),))
    with pytest.raises(UsageError) as caught:
        local.check(request, SMALL, local.ENDPOINTS[0], None)
    assert "--base-url" in caught.value.hint
    local.check(replace(request, model="some-vlm"), ANY, local.ENDPOINTS[0], None)
    local.check(
        Request("1", "some-llm", "", ("q",), None, Params(temperature=1, seed=3)), ANY, local.ENDPOINTS[0], None
    )
    with pytest.raises(UsageError, match="picture"):
        local.check(replace(request, model="known"), replace(SMALL, images=False), local.ENDPOINTS[0], None)
    with pytest.raises(UsageError):
        local.check(Request("1", "m", "", ("q",)), ANY, local.ENDPOINTS[0], "24h")


@pytest.mark.parametrize("finish", ["abort", "error", "parse_error"])
def test_an_answer_that_a_server_broke_off_is_an_error(finish):
    choice = {"finish_reason": finish, "message": {"content": "half an ans"}}
    row = {
        "custom_id": "1",
        "id": "local-0",
        "response": {"status_code": 200, "body": {"choices": [choice]}},
        "error": None,
    }
    assert local.decode(row).outcome is Outcome.ERROR
    assert finish in local.decode(row).error


@pytest.mark.parametrize(
    ("said", "finish", "text"),
    [
        ('<think>maybe {"answer": "12"}</think>\n\n{"answer": "13"}', "stop", '{"answer": "13"}'),
        ('so 12? no.\n</think>\n{"answer": "13"}', "stop", '{"answer": "13"}'),
        ('{"answer": "12"}? no.</think>{"answer": "13"}', "stop", '{"answer": "13"}'),
        ("<think></think>13", "stop", "13"),
        ('{"answer": "the tag </think>"}', "stop", '{"answer": "the tag </think>"}'),
        ('<think>maybe {"answer": "12"}', "length", None),
        ('<think>maybe {"answer": "12"}', "stop", None),
        ("<think>hm</think>\n", "length", None),
    ],
)
def test_what_a_model_thinks_aloud_is_no_answer(said, finish, text):
    choice = {"finish_reason": finish, "message": {"content": said}}
    body = {"model": "m", "choices": [choice], "usage": {"completion_tokens": 9}}
    row = {"custom_id": "1", "id": "local-0", "response": {"status_code": 200, "body": body}, "error": None}
    found = parsing.decoded(row, local.decode)
    assert (found.outcome, found.text) == (Outcome.OK if text else Outcome.ERROR, text)
    assert found.usage.output_tokens == 9
    if text is None:
        assert "thought" in found.error
        assert f"({finish})" in found.error


@given(
    st.lists(st.sampled_from(["<think>", "</think>", " ", "\n", "x", '{"a":"</think>"}'])).map("".join),
    st.sampled_from(["stop", "length", "content_filter", "parse_error", None]),
)
def test_this_side_and_the_worker_agree_on_what_is_an_answer(said, finish):
    """What the worker takes for one is kept, and would be given to every `retry` again."""
    body = {"model": "m", "choices": [{"finish_reason": finish, "message": {"content": said}}]}
    row = {"custom_id": "1", "id": "local-0", "response": {"status_code": 200, "body": body}, "error": None}
    assert has_answer(body) == (parsing.decoded(row, local.decode).outcome is Outcome.OK)


def test_the_options_of_a_worker_are_those_that_it_reads():
    known = set(options.Options.__dataclass_fields__)
    assert known | {"base_url"} == vocabulary.WORKER_OPTIONS
    assert set(vocabulary.SPEED) <= set(layout.Standing.__dataclass_fields__)


def test_the_words_of_a_worker_each_have_a_phase():
    words = (vocabulary.QUEUED, vocabulary.LOADING, vocabulary.RUNNING, vocabulary.STOPPED)
    assert {*words, vocabulary.COMPLETED, vocabulary.CANCELLED, vocabulary.FAILED} == set(local.STATUSES)
