"""The worker's lease: real worker processes on a real ledger, killed, stopped, overtaken and left without a ledger."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import postgres, sdks
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until

from batchflow import settings
from batchflow.ledger import Ledger, leases
from batchflow.ledger.leases import Holder
from batchflow.steps.base.context import Context
from batchflow.steps.verbs.submission.wait import HANGS_S, wait
from batchflow.steps.workers import entry
from batchflow.vendors.inhouse import local

ROWS = 12
LEASE_S = 1.0
ELSEWHERE = Holder("e" * 16, "elsewhere", 4711)


class Desk:
    """A project with one local batch `b` of ROWS rows, whose engine answers while its gate is open."""

    def __init__(self, project: Project, engine) -> None:
        self.project, self.engine = project, engine
        dataset(project.folder / "d.jsonl", count=ROWS)
        flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
        project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl")
        engine.gate.clear()

    @property
    def folder(self):
        (spec,) = self.project.folder.glob("processed_files/.local/*/spec.json")
        return spec.parent

    @property
    def log(self):
        return (self.folder / "worker.log").read_text()

    @property
    def rows(self):
        path = self.folder / "output.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def start(self):
        """Start it, and wait until its worker asks the engine and its lease is told; returns the lease."""
        asked = len(self.engine.calls)
        self.project.ok("start", "b")
        until(lambda: len(self.engine.calls) > asked)
        return self.lease()

    def job(self):
        """The job as `get --json` tells it now."""
        return json.loads(self.project.run("get", "b", "--json", "--refresh-after", 0).out)["batches"][0]["jobs"][0]

    def lease(self):
        with self.project.ledger() as ledger, ledger.read() as tx:
            return leases.of_jobs(tx, [1]).get(1)

    def taken_by(self, holder, *, length_s=LEASE_S, age_s=0.0):
        """Past every guard: the lease is another process's."""
        with self.project.ledger() as ledger, ledger.write() as tx:
            if held := leases.of_jobs(tx, [1]).get(1):
                leases.release(tx, 1, Holder(held.holder, held.host, held.pid))
            when = leases.now(tx) - timedelta(seconds=age_s)
            leases.take(tx, 1, holder, now=when, length_s=length_s, fenced=False)

    def ends(self):
        """Wait until no worker holds the job's lock."""
        until(lambda: not local._is_alive(self.folder))

    def finish(self):
        """Let the engine answer; every row has to come home once."""
        self.engine.gate.set()
        self.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert self.project.ok("results", "b")["outcomes"] == {"ok": ROWS}
        assert self.rows == ROWS


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project", toml=f"{IMPATIENT}lease_s = {LEASE_S}\n")


@pytest.fixture
def desk(project):
    with serving("m") as engine:
        yield Desk(project, engine)


@pytest.fixture
def stopping():
    """Stop a process; it goes on at the latest when the test is over."""
    stopped = []

    def stop(desk, pid):
        with desk.project.ledger() as ledger, ledger.write():  # so that it is not stopped within its own transaction
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    yield stop
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_killed_workers_rows_are_taken_over_and_the_lease_changes_hands(desk):
    first = desk.start()
    told = desk.job()
    assert (told["word"], told["worker_host"], told["worker_pid"]) == ("running", socket.gethostname(), first.pid)
    assert 0 <= told["heartbeat_age_s"] < 5
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: desk.job()["word"] == "stopped")
    second = desk.start()
    assert second.host == first.host
    assert second.pid != first.pid
    assert second.holder != first.holder
    desk.finish()
    until(lambda: desk.lease() is None)  # given back
    assert len(desk.engine.calls) <= ROWS + 2  # what was in flight


def test_start_after_a_kill_says_that_a_new_worker_goes_on(desk):
    os.kill(desk.start().pid, signal.SIGKILL)
    until(lambda: desk.job()["word"] == "stopped")
    assert desk.project.run("get", "b").code == 6  # waiting does not bring it back
    ran = desk.project.run("start", "b")
    assert (ran.code, "without a word" in ran.out) == (0, False)  # what was said of the dead one is over
    assert "b: a new worker goes on with the rest of part 0" in ran.err
    desk.finish()


def test_show_tells_what_answers_and_what_had_answered_before(desk):
    pid = desk.start().pid
    (now,) = desk.project.ok("show", "b")["engines"]
    assert (now["part"], now["engine"], now["base_urls"]) == (0, "server", [desk.engine.url])
    assert now["concurrency"] == 2
    assert f"base_urls {desk.engine.url}" in desk.project.run("show", "b").out
    os.kill(pid, signal.SIGKILL)
    desk.ends()
    record = desk.folder / "engine.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"before": [{"engine": "another"}]}))
    assert desk.project.ok("show", "b")["engines"] == [now | {"before": [{"engine": "another"}]}]
    assert "its first rows came from something else" in desk.project.run("show", "b").out
    desk.start()
    desk.finish()


def test_a_stopped_process_is_told_as_hanging_until_it_wakes(desk, stopping):
    pid = desk.start().pid
    assert desk.job()["word"] == "running"
    stopping(desk, pid)
    told = until(lambda: (job := desk.job())["word"] == "hangs" and job)
    assert told["heartbeat_age_s"] >= LEASE_S
    assert f"process {pid}" in told["error"]
    assert f"kill -CONT {pid}" in told["error"]
    card = desk.project.run("get", "b")
    assert card.code == 6
    assert "running (hangs)" in card.out
    assert f"process {pid}, heartbeat" in card.out
    assert "hangs" in desk.project.run("show", "b").out
    again = desk.project.run("start", "b")  # nothing to send, but somebody who types it wants it to go on
    assert (again.code, f"kill -CONT {pid}" in again.out) == (0, True)
    pauses = []
    with desk.project.ledger() as ledger:
        patient = Context(ledger, settings.load(desk.project.folder), sleep=pauses.append)
        (report,) = wait(patient, ["b"], refresh_after_s=0.0, on_report=lambda _: None)
    assert not report.finished  # a person is needed: waiting for it would not end
    assert sum(pauses) > HANGS_S
    os.kill(pid, signal.SIGCONT)
    until(lambda: desk.job()["word"] == "running")
    desk.finish()


def test_a_worker_is_said_to_hang_only_when_it_was_silent_at_the_last_look(desk):
    def told():
        """As `show` tells it, which does not look again."""
        return desk.project.ok("show", "b")["status"]["jobs"][0]["word"]

    pid = desk.start().pid
    assert desk.job()["word"] == "running"
    os.kill(pid, signal.SIGKILL)
    until(lambda: desk.lease().has_run_out(datetime.now(UTC)))
    assert told() == "running"  # it ended after the look: nobody knows, and the age of the look is on the card
    desk.taken_by(ELSEWHERE, age_s=3600)
    assert told() == "hangs"


def test_a_local_worker_is_looked_at_however_seldom_vendors_are_asked(desk):
    os.kill(desk.start().pid, signal.SIGKILL)
    until(lambda: desk.project.run("get", "b", "--json", "--refresh-after", 3600).json["jobs"][0]["word"] == "stopped")


def test_a_worker_whose_lease_was_taken_writes_no_more_rows(desk):
    desk.start()
    desk.taken_by(ELSEWHERE, length_s=3600)
    desk.ends()
    desk.engine.gate.set()
    assert desk.rows == 0
    assert "stopped: 0 of 12 rows" in desk.log
    assert "elsewhere, process 4711, has taken the job over" in desk.log
    told = desk.job()
    assert (told["word"], told["worker_host"], told["error"]) == ("running", "elsewhere", None)
    desk.taken_by(ELSEWHERE, age_s=3600)  # and then that one died
    assert "has taken the job over" in desk.job()["error"]
    assert desk.job()["word"] == "stopped"
    desk.start()
    desk.finish()


def test_a_worker_waits_for_another_hosts_lease_and_leaves_when_that_one_lives(desk):
    os.kill(desk.start().pid, signal.SIGKILL)
    desk.ends()
    desk.taken_by(ELSEWHERE, length_s=3600)
    asked = len(desk.engine.calls)
    desk.project.ok("start", "b")
    until(lambda: "waiting for the lease of elsewhere" in desk.log)
    with desk.project.ledger() as ledger, ledger.write() as tx:
        assert leases.beat(tx, 1, ELSEWHERE, now=leases.now(tx))
    desk.ends()
    assert "elsewhere, process 4711, is at work on this job" in desk.log
    assert len(desk.engine.calls) == asked
    desk.project.ok("start", "b")
    until(lambda: desk.log.count("waiting for the lease") == 2)
    desk.taken_by(ELSEWHERE, age_s=3600)  # while it waits, the other one is silent for too long
    until(lambda: len(desk.engine.calls) > asked)
    assert desk.lease().pid != ELSEWHERE.pid
    desk.finish()


def test_before_the_first_row_no_end_is_told(desk):
    desk.start()
    told = until(lambda: [line for line in desk.project.run("get", "b", "--refresh-after", 0).out.splitlines()
                          if "Speed" in line and "2 in flight" in line])  # fmt: skip
    assert "0.00 rows/s, 0 tokens/s, no row finished yet; end unknown; 2 in flight" in told[0]
    desk.finish()


def test_many_starts_make_one_worker(desk):
    first = desk.start()
    command = [sys.executable, "-m", "batchflow", "start", "b"]
    again = [subprocess.Popen(command, cwd=desk.project.folder, stdout=subprocess.DEVNULL) for _ in range(2)]
    work = [*entry.COMMAND, str(desk.folder)]
    again.append(subprocess.Popen(work, stderr=subprocess.DEVNULL))
    assert [process.wait(60) for process in again] == [0, 0, 0]
    assert desk.lease().holder == first.holder
    desk.finish()
    assert len(desk.engine.calls) == ROWS


def test_a_ledger_that_is_busy_for_longer_than_the_lease_does_not_stop_the_work(desk):
    desk.start()
    with desk.project.ledger() as ledger, ledger.write() as tx:
        held = leases.of_jobs(tx, [1])[1]
        until(lambda: held.has_run_out(leases.now(tx)) and "going on" in desk.log)
        desk.engine.gate.set()
        until(lambda: desk.rows == ROWS)
    desk.finish()


def test_without_its_ledger_a_worker_ends_and_makes_no_new_one(desk):
    desk.start()
    for path in desk.project.folder.glob("batchflow.db*"):
        path.unlink()
    desk.ends()
    assert "batchflow.db is gone" in desk.log
    work = [*entry.COMMAND, str(desk.folder)]
    done = subprocess.run(work, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "stopped: the ledger" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(desk.project.folder.glob("batchflow.db*")) == []


def test_a_worker_whose_job_the_ledger_does_not_know_ends(desk):
    os.kill(desk.start().pid, signal.SIGKILL)
    desk.ends()
    other = desk.folder.with_name("stranger")
    desk.folder.rename(other)
    work = [*entry.COMMAND, str(other)]
    done = subprocess.run(work, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "has no job stranger: its batch was deleted" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_imports_no_sdk_and_no_command_line():
    told = "import sys, batchflow.steps.workers.lease_keeper; print(*{name.split('.')[0] for name in sys.modules})"
    seen = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert {"batchflow", "sqlalchemy"} <= set(seen)
    assert not {*sdks.MODULES, "alembic", "click", "numpy"} & set(seen)


class TestOnPostgreSQL:
    """There another host may take over, and may not see the lock on the folder."""

    @pytest.fixture
    def server(self):
        """A server that the test may stop before its end."""
        with contextlib.ExitStack() as stack:
            running = stack.enter_context(postgres.running())
            yield running, stack

    @pytest.fixture
    def desk(self, project, server):
        running, _ = server
        url = running.url(running.create()).replace("postgres@", "postgres:hush-hush@")
        Ledger.open(url).close()
        project.environment["BATCHFLOW_DATABASE_URL"] = url
        with serving("m") as engine:
            yield Desk(project, engine)

    def test_a_worker_that_overslept_asks_before_it_writes(self, desk, stopping):
        pid = desk.start().pid
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert "hush-hush" not in command
        assert not any(b"hush-hush" in path.read_bytes() for path in desk.folder.iterdir())
        stopping(desk, pid)
        until(lambda: desk.job()["word"] == "hangs")
        desk.taken_by(ELSEWHERE, length_s=3600)
        desk.engine.gate.set()  # answers lie ready for it when it wakes
        os.kill(pid, signal.SIGCONT)
        desk.ends()
        assert desk.rows == 0
        assert "elsewhere, process 4711, has taken the job over" in desk.log

    def test_a_worker_that_cannot_reach_the_ledger_for_a_whole_lease_stops(self, desk, server):
        desk.start()
        server[1].close()
        desk.ends()
        assert "going on" in desk.log
        assert "no heartbeat for 1 s, another host may take the job over" in desk.log
        assert "hush-hush" not in desk.log
        assert desk.rows == 0
