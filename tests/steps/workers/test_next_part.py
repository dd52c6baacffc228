"""Hosts that share a batch: each takes a part at a time, and the next free one when one is done; one of them dies."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.hosts import Host
from helpers.until import until

from batchflow.ledger import jobs, leases
from batchflow.states import State
from batchflow.vendors.inhouse import local

ROWS = 24
LEASE_S = 1.0
TOML = f"{IMPATIENT}lease_s = {LEASE_S}\n"


@pytest.fixture(params=["sqlite", "postgres"])
def project(request, tmp_path):
    environment = {}
    if request.param == "postgres":
        server, database = (request.getfixturevalue(name) for name in ("postgres", "migrated_database"))
        environment["BATCHFLOW_DATABASE_URL"] = server.url(server.create(database))
    made = Project(tmp_path / "project", environment, TOML)
    yield made
    for folder in made.folder.glob("processed_files/.local/*/"):  # after a failure
        if local._is_alive(folder):
            os.kill(int((folder / "lock").read_bytes()), signal.SIGKILL)


def prepared(project, engine, shards):
    dataset(project.folder / "d.jsonl", count=ROWS)
    flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
    project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl", "--shards", shards)


def held(project):
    """The living leases by part."""
    with project.ledger() as ledger, ledger.read() as tx:
        parts = {job.id: job.part for job in jobs.of_batch(tx, 1)}
        now = leases.now(tx)
        standing = leases.of_jobs(tx, parts).items()
        return {parts[job_id]: lease for job_id, lease in standing if not lease.has_run_out(now)}


def hosts_of(project):
    return {lease.host.partition("/")[0] for lease in held(project).values()}


def states(project):
    with project.ledger() as ledger, ledger.read() as tx:
        return [job.state for job in jobs.of_batch(tx, 1)]


def owners(project):
    """The hosts that parts were started on."""
    with project.ledger() as ledger, ledger.read() as tx:
        return [(job.claimed_by or "").partition("/")[0] for job in jobs.of_batch(tx, 1)]


def whole(project, engine, again=0):
    """Every row came home once; `again` may have been asked twice."""
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
    assert [row["custom_id"] for row in project.rows("results/b.jsonl")] == [f"r{n}" for n in range(1, ROWS + 1)]
    called = Counter(str(body["messages"]) for _, body in engine.calls)
    assert len(called) == ROWS
    assert sum(called.values()) <= ROWS + again
    outputs = project.folder.glob("processed_files/.local/*/output.jsonl")
    assert sum(path.read_bytes().count(b"\n") for path in outputs) == ROWS
    until(lambda: held(project) == {})


def test_two_hosts_share_a_batch_and_the_living_one_takes_over_from_the_dead_one(project, tmp_path):
    one, two = (Host(project, name, tmp_path) for name in ("one", "two"))
    with serving("m") as engine:
        prepared(project, engine, shards=4)
        engine.gate.clear()
        for host in (one, two):
            host.ok("start", "b", "--jobs", 1)
        until(lambda: hosts_of(project) == {"one", "two"})
        assert sorted(states(project)) == sorted([State.RUNNING] * 2 + [State.PREPARED] * 2)
        assert "2 jobs wait to be sent, of 4" in project.run("get", "b").out
        until(lambda: len(engine.calls) == 4)
        dead = next(part for part, lease in held(project).items() if lease.host.startswith("one/"))
        os.kill(held(project)[dead].pid, signal.SIGKILL)
        project.run("tick")  # a host where nobody has started it takes nothing
        assert states(project).count(State.PREPARED) == 2
        engine.gate.set()
        until(lambda: State.PREPARED not in states(project))
        until(lambda: owners(project) == ["two"] * 4)
        host_report = two.ok("get", "b", "--wait", "--refresh-after", "0")
        assert "24" in host_report
        whole(project, engine, again=2)


def test_shards_are_worked_off_one_after_another(project):
    """Nobody says --jobs: of a batch in shards, a host takes one at a time."""
    with serving("m") as engine:
        prepared(project, engine, shards=3)
        engine.gate.clear()
        report = project.ok("start", "b")
        assert (report["waiting"], report["at_once"], report["sent_now"]) == (2, 1, 1)
        assert "2 jobs wait for a worker that is free; this host takes 1 at a time" in project.run("start", "b").out
        seen = []

        def is_done():
            seen.append(len(held(project)))
            return State.PREPARED not in states(project) and not held(project)

        engine.gate.set()
        until(is_done)
        assert max(seen) == 1
        project.ok("get", "b", "--wait", "--refresh-after", 0)
        whole(project, engine)


def test_a_host_takes_as_many_parts_as_it_is_told_and_cancel_leaves_none(project):
    with serving("m") as engine:
        prepared(project, engine, shards=4)
        engine.gate.clear()
        assert project.ok("start", "b", "--jobs", 2)["sent_now"] == 2
        assert project.ok("start", "b")["sent_now"] == 0  # it is remembered
        assert project.ok("start", "b", "--jobs", 3)["sent_now"] == 1
        until(lambda: len(held(project)) == 3)
        project.ok("cancel", "b")
        until(lambda: held(project) == {})
        engine.gate.set()
        project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert project.ok("results", "b")["outcomes"] == {"cancelled": ROWS}
        assert len(list(project.folder.glob("processed_files/.local/*/spec.json"))) == 3
        project.ok("delete", "b")
        assert not list(project.folder.glob("processed_files/.locks/*.share*"))


def test_the_number_of_parts_is_refused_for_vendors(tmp_path):
    project = Project(tmp_path / "project", {"OPENAI_API_KEY": "sk-none"})
    dataset(project.folder / "d.jsonl", count=2)
    project.ok("prepare", "--provider", "openai", "--name", "b", "--dataset", "d.jsonl")
    text = project.refused(2, "start", "b", "--jobs", 2)
    assert "--jobs 2: for --provider local; b is at openai" in text
    assert "enqueued_jobs = 2 under [limits.openai]" in text
    assert states(project) == [State.PREPARED]
