from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers import warm
from helpers.commands import dataset, riddle

from batchflow.ledger import batches, jobs
from batchflow.rehearsal import server
from batchflow.states import Event, State


def standing(project, name="b"):
    with project.ledger() as ledger, ledger.read() as tx:
        return jobs.of_batch(tx, batches.get(tx, name).id)


class Creates:
    """An OpenAI that takes uploads, breaks off every create, and has batches to list only for the key that made them.

    To that key it does not answer; strangers hear that there are none.
    """

    mine = "sk-the-key-it-was-sent-with"

    def __init__(self):
        self.creates = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if "/files/" in self.path:
                    return self.tell(200, {"id": "file-1", "object": "file"})
                is_mine = self.headers["authorization"] == f"Bearer {outer.mine}"
                return self.tell(503 if is_mine else 200, {"object": "list", "data": [], "has_more": False})

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                if self.path.endswith("/files"):
                    return self.tell(200, {"id": "file-1", "object": "file"})
                outer.creates += 1
                return None  # the connection is closed without an answer

            def tell(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):  # noqa: A002 - the base class calls it so
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@contextlib.contextmanager
def closing_creates():
    made = Creates()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


def events(project, name="b"):
    with project.ledger() as ledger, ledger.read() as tx:
        return [event.event.value for event in jobs.history(tx, batches.get(tx, name).id)]


class TestSending:
    def test_once_and_again_is_nothing_new(self, vendor):
        vendor.prepare()
        first, again = vendor.project.ok("start", "b"), vendor.project.ok("start", "b")
        assert (first["sent_now"], again["sent_now"]) == (1, 0)
        assert len(vendor.site.creates) == 1
        assert first["jobs"][0]["remote_id"] == again["jobs"][0]["remote_id"] == vendor.site.creates[0].job_id
        assert events(vendor.project) == ["claim", "send", "accept"]

    def test_what_is_sent_is_the_file(self, vendor):
        vendor.started()
        path = vendor.project.folder / "processed_files/b.jsonl"
        assert vendor.site.path("openai", vendor.site.jobs("openai")[0].input_id).read_bytes() == path.read_bytes()
        assert vendor.site.creates[0].custom_ids == tuple(row["custom_id"] for row in vendor.project.rows(str(path)))

    def test_the_first_command_that_needs_a_key_says_which(self, project):
        dataset(project.folder / "data.jsonl")
        project.ok("prepare", "--provider", "openai", "--dataset", "data.jsonl", "--name", "b")
        said = project.refused(2, "start", "b")
        assert "OPENAI_API_KEY" in said
        assert standing(project)[0].state is State.PREPARED

    def test_all_parts_and_all_batches(self, vendor):
        vendor.project.folder.joinpath("batchflow.toml").write_text("[limits.openai]\nrequests = 3\n")
        vendor.prepare("one", count=7)
        vendor.prepare("two")
        vendor.project.ok("start", "--all")
        assert sorted(len(made.custom_ids) for made in vendor.site.creates) == [1, 1, 3, 3, 3]
        assert "nothing is waiting" in vendor.project.refused(2, "start", "--all")

    def test_one_that_cannot_be_sent_holds_up_none_of_the_others(self, vendor):
        vendor.prepare("b")
        flags = ("--provider", "groq", "--model", "m", "--dataset", "b-data.jsonl", "--name", "a")
        vendor.project.ok("prepare", *flags)
        said = vendor.project.refused(2, "start", "a", "b")
        assert "a: groq: no API key" in said
        assert "b: sent 1 of 1 jobs" in said
        assert "set GROQ_API_KEY" in said.splitlines()[-1]
        assert [standing(vendor.project, name)[0].state for name in "ab"] == [State.PREPARED, State.RUNNING]

    def test_neither_names_nor_all_is_refused(self, project):
        assert "--all" in project.refused(2, "start")
        assert "--all" in project.refused(2, "start", "b", "--all")
        assert "no batch is named" in project.refused(4, "start", "b")

    def test_processes_that_start_together_send_one_batch(self, vendor):
        vendor.prepare()
        command = [warm.python(), "-m", "batchflow", "start", "b"]
        environment = {**os.environ, **vendor.project.environment}
        running = [
            subprocess.Popen(command, cwd=vendor.project.folder, env=environment, stdout=subprocess.DEVNULL)
            for _ in range(3)
        ]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        assert len(vendor.site.creates) == 1
        assert vendor.calls("upload") == 1
        assert events(vendor.project) == ["claim", "send", "accept"]


class TestEditedFiles:
    def edited(self, vendor, change):
        vendor.prepare()
        path = vendor.project.folder / "processed_files/b.jsonl"
        path.write_bytes(change(path.read_bytes()))
        return path

    def test_are_refused_before_anything_is_sent(self, vendor):
        self.edited(vendor, lambda data: data.replace(b"What is 1", b"What is 9"))
        said = vendor.project.refused(3, "start", "b")
        assert "was changed since it was prepared" in said
        assert "--accept-edit" in said
        assert vendor.site.calls == []
        assert standing(vendor.project)[0].state is State.PREPARED

    def test_are_taken_when_the_user_says_so_and_it_is_remembered(self, vendor):
        path = self.edited(vendor, lambda data: data.replace(b"What is 1", b"What is 9"))
        vendor.project.ok("start", "b", "--accept-edit")
        job = vendor.site.jobs("openai")[0]
        assert vendor.site.path("openai", job.input_id).read_bytes() == path.read_bytes()
        assert "edited by hand" in vendor.project.ok("show", "b")["status"]["notes"][-1]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda data: data.split(b"\n", 1)[1], "line 1: custom_id"),
            (lambda data: b"\n".join(data.split(b"\n")[:3]) + b"\n", "is missing"),
            (lambda data: data.replace(b"-r2", b"-r9"), "line 2: custom_id"),
            (lambda data: data + data.split(b"\n")[0] + b"\n", "line 5: custom_id"),
            (lambda data: b"{nonsense\n" + data, "line 1: not JSON"),
        ],
    )
    def test_have_to_keep_their_ids(self, vendor, change, said):
        self.edited(vendor, change)
        assert said in vendor.project.refused(3, "start", "b", "--accept-edit")
        assert vendor.site.creates == []

    def test_a_file_that_is_gone_is_told(self, vendor):
        vendor.prepare()
        (vendor.project.folder / "processed_files/b.jsonl").unlink()
        assert "is gone" in vendor.project.refused(3, "start", "b")


class TestTrouble:
    def test_a_lost_answer_to_the_create_is_found_again(self, vendor):
        vendor.fault("reset", call="create", when="after")
        vendor.started()
        assert len(vendor.site.creates) == 1
        assert events(vendor.project) == ["claim", "send", "adopt"]

    def test_a_create_that_provably_never_was_may_be_run_again(self, vendor):
        vendor.fault("reset", call="create", when="before")
        vendor.prepare()
        assert "nothing was created; run batchflow start b again" in vendor.project.refused(5, "start", "b")
        vendor.project.ok("start", "b")
        assert len(vendor.site.creates) == 1

    def test_another_server_that_knows_nothing_proves_nothing(self, vendor, tmp_path):
        vendor.fault("reset", call="create", when="after")
        vendor.fault("status", call="list", status=503, times=0)
        vendor.prepare()
        vendor.project.refused(5, "start", "b")
        home = vendor.project.environment["OPENAI_BASE_URL"]
        with server.running(tmp_path / "elsewhere") as up:
            vendor.project.environment["OPENAI_BASE_URL"] = up.environment["OPENAI_BASE_URL"]
            said = vendor.project.refused(6, "start", "b")
            assert f"it was sent to {home}, and {up.environment['OPENAI_BASE_URL']} is asked now" in said
            assert up.site.creates == []
        assert standing(vendor.project)[0].state is State.UNSURE
        assert len(vendor.site.creates) == 1

    def test_another_key_that_sees_nothing_proves_nothing(self, project):
        dataset(project.folder / "data.jsonl")
        with closing_creates() as made:
            project.environment |= {"OPENAI_BASE_URL": made.url, "OPENAI_API_KEY": made.mine}
            project.ok("prepare", "--provider", "openai", "--dataset", "data.jsonl", "--name", "b")
            project.refused(5, "start", "b")
            project.environment["OPENAI_API_KEY"] = "sk-a-key-of-another-project"
            said = project.refused(6, "start", "b")
            assert "it was sent with another key" in said
            assert made.creates == 1
        history = project.run("show", "b").out
        assert not any(key in said + history for key in (made.mine, "another-project"))

    def test_a_clock_that_was_put_back_makes_no_wait_longer(self, vendor):
        """The intent lies in the future then; a grace of a tenth of a second stays one."""
        vendor.project.folder.joinpath("batchflow.toml").write_text("[calls]\ntries = 1\nfind_grace_s = 0.1\n")
        vendor.prepare()
        ahead = datetime.now(UTC) + timedelta(hours=20)
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
            facts = {"token": "t", "sending_at": ahead, "base_url": vendor.project.environment["OPENAI_BASE_URL"]}
            for what in ("claim", "send"):
                jobs.move(tx, job.id, Event(what), now=ahead, **facts)
        before = time.monotonic()
        vendor.project.ok("start", "b")
        assert time.monotonic() - before < 120
        assert len(vendor.site.creates) == 1

    def test_a_refusal_needs_you_and_says_why(self, vendor):
        vendor.fault("status", call="create", status=400, message="This model is not for batches.")
        vendor.prepare()
        assert "This model is not for batches." in vendor.project.refused(5, "start", "b")
        ran = vendor.project.run("get", "b")
        assert ran.code == 6
        assert "This model is not for batches." in ran.out
        vendor.project.ok("start", "b")

    def test_no_room_lets_it_wait(self, vendor):
        vendor.fault("status", call="create", status=429, message="Enqueued token limit reached for gpt-6-luna.")
        vendor.prepare()
        made = vendor.project.ok("start", "b")
        assert (made["sent_now"], made["waiting"]) == (0, 1)
        assert vendor.project.ok("start", "b")["sent_now"] == 1

    def test_unsure_is_a_persons_decision(self, vendor):
        """What only a vendor that cannot be asked leaves behind, put there by hand."""
        vendor.prepare()
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
            for what in ("claim", "send", "doubt"):
                jobs.move(tx, job.id, Event(what), now=datetime.now(UTC), token="t", error="nobody can tell")
        assert "--adopt ID" in vendor.project.refused(6, "start", "b")
        assert vendor.project.run("get", "b").code == 6
        assert "exclude" in vendor.project.refused(2, "start", "b", "--adopt", "x", "--resend")
        vendor.prepare("other")
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            (mine,) = jobs.of_batch(tx, batches.get(tx, "other").id)
            jobs.note(tx, mine.id, remote_id="batch_of_other")
        assert "another part's already" in vendor.project.refused(2, "start", "b", "--adopt", "batch_of_other")
        assert vendor.site.creates == []
        assert vendor.project.ok("start", "b", "--resend")["sent_now"] == 1
        assert "no job is unsure" in vendor.project.refused(2, "start", "b", "--adopt", "x")


def test_ids_fit_every_vendor_whatever_the_items_are_called(vendor):
    names = ["a/b\\c", "ünï ködé", "x" * 300, "💥", "../../etc", "a\x00b".replace("\x00", "0"), "1"]
    path = dataset(vendor.project.folder / "odd.jsonl", [riddle(n, id=name) for n, name in enumerate(names, 1)])
    vendor.project.ok("prepare", "--provider", "openai", "--dataset", path.name, "--name", "odd")
    vendor.project.ok("start", "odd")
    vendor.project.run("get", "odd", "--refresh-after", 0)
    made = vendor.project.ok("results", "odd")
    assert made["outcomes"] == {"ok": len(names)}
    assert [row["custom_id"] for row in vendor.project.rows("results/odd.jsonl")] == names
    ids = [row["custom_id"] for row in vendor.project.rows("processed_files/odd.jsonl")]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
