"""Claims of parts, as hosts with one ledger see them; each host is a project folder with a store in common."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import timedelta

import pytest
from helpers import warm
from helpers.commands import IMPATIENT, Project
from helpers.rehearsed import rehearsed
from helpers.until import until

from batchflow import settings
from batchflow.ledger import batches, jobs
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.sending import claims, journal


@pytest.fixture(params=["sqlite", "postgresql"])
def team(request, tmp_path):
    """The rehearsed OpenAI and the folders of three hosts; those of the last two are empty."""
    store = tmp_path / "store"
    store.mkdir()
    url = f"sqlite:///{tmp_path}/one.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.url(server.create(request.getfixturevalue("migrated_database")))
    with rehearsed(tmp_path, polls=9) as vendor:
        vendor.project.environment |= {"BATCHFLOW_DATABASE_URL": url, "BATCHFLOW_STORE": f"file://{store}"}
        others = [Project(tmp_path / name, dict(vendor.project.environment), IMPATIENT) for name in "bc"]
        yield vendor, vendor.project, *others


def the_job(project):
    with project.ledger() as ledger, ledger.read() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        return job, jobs.history(tx, job.batch_id)


def starting(project):
    """A `start` of a host, in a process of its own."""
    return subprocess.Popen(
        [warm.batchflow(), "start", "b"], cwd=project.folder, env={**os.environ, **project.environment}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def killed_while_it_uploads(vendor, project):
    vendor.prepare("b")
    vendor.fault("hang", call="upload", seconds=60.0)
    child = starting(project)
    until(lambda: vendor.calls("upload"))
    child.kill()
    child.communicate()
    assert the_job(project)[0].state is State.STARTING


def silent(project, seconds):
    """Dates the claim of the part back, as if no sign of it had come for so long."""
    with project.ledger() as ledger, ledger.write() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        jobs.note(tx, job.id, claimed_at=jobs.clock(tx) - timedelta(seconds=seconds))


def test_a_dead_hosts_claim_is_taken_over_once_after_a_silence(team):
    vendor, a, b, c = team
    killed_while_it_uploads(vendor, a)
    assert "last sign of it" in b.refused(7, "start", "b")
    silent(a, claims.SILENT_S + 1)
    vendor.fault("hang", call="upload", seconds=0.5)  # the first is still at it when the second looks
    children = [starting(host) for host in (b, c)]
    texts = [child.communicate(timeout=60) for child in children]
    assert all("Traceback" not in err for _, err in texts)
    assert {child.returncode for child in children} <= {0, 4, 7}, texts  # 4: both saw the dead one's
    assert len(vendor.site.creates) == 1
    job, history = the_job(a)
    assert job.state is State.RUNNING
    assert [event.event for event in history].count(Event.CLAIM) == 2
    assert a.ok("start", "b")["sent_now"] == 0


def test_a_host_that_uploads_for_long_gives_signs_of_life(team, monkeypatch):
    vendor, a, b, _ = team
    killed_while_it_uploads(vendor, a)
    silent(a, claims.SILENT_S - 1)
    monkeypatch.setattr(claims, "BEAT_S", 0.05)
    job, _ = the_job(a)
    with a.ledger() as ledger:
        context = Context(ledger, settings.load(a.folder, a.environment))
        with claims.kept_up(context, job):
            until(lambda: the_job(a)[0].claimed_at > job.claimed_at)
        latest = the_job(a)[0].claimed_at
        time.sleep(0.2)
        assert the_job(a)[0].claimed_at == latest  # the last sign was given before the block was left
        b.refused(7, "start", "b")
        silent(a, claims.SILENT_S + 1)
        assert b.ok("start", "b")["sent_now"] == 1
        with ledger.write() as tx:
            assert not jobs.renew(tx, job, now=jobs.clock(tx))  # one that was taken over stays so
    assert len(vendor.site.creates) == 1


def test_who_was_taken_over_while_it_slept_sends_nothing(team):
    """A machine that was suspended wakes up in the middle of its upload."""
    vendor, a, b, _ = team
    vendor.prepare("b")
    vendor.fault("hang", call="upload", seconds=1.5)
    sleeper = starting(a)
    until(lambda: vendor.calls("upload"))
    silent(a, claims.SILENT_S + 1)
    assert b.ok("start", "b")["sent_now"] == 1
    _, said = sleeper.communicate(timeout=60)
    assert "another process moved it" in said
    assert len(vendor.site.creates) == 1
    assert the_job(a)[0].remote_id == vendor.site.creates[0].job_id


def test_a_machine_that_slept_between_intent_and_create_sends_nothing(team, monkeypatch):
    vendor, a, *_ = team
    vendor.prepare("b")
    with monkeypatch.context() as asleep:
        asleep.setattr(journal, "since_intent_s", lambda *_: journal.LATEST_S + 1)
        assert "61 s went by between intent and create; nothing was sent" in a.refused(5, "start", "b")
    assert vendor.site.creates == []
    assert the_job(a)[0].state is State.PREPARED
    assert a.ok("start", "b")["sent_now"] == 1


def test_a_claim_to_create_holds_for_an_hour(team):
    """Its process may be asleep with its machine, and sends when it wakes."""
    vendor, a, b, _ = team
    killed_while_it_uploads(vendor, a)
    with a.ledger() as ledger, ledger.write() as tx:
        job = jobs.get(tx, 1)
        earlier = jobs.clock(tx) - timedelta(seconds=claims.SENDING_S - 60)
        jobs.move(tx, job.id, Event.SEND, now=earlier, sending_at=earlier)
    assert "has been sending part 0" in b.refused(7, "start", "b")
    assert vendor.site.creates == []
