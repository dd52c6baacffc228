"""A job that is not to be seen is no end: another folder, a disk that is not mounted. What is found again goes on."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until

from batchflow.ledger import jobs, leases, request_rows
from batchflow.states import Event
from batchflow.vendors.inhouse import local

ROWS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    server = request.getfixturevalue("postgres")
    return server.url(server.create(request.getfixturevalue("migrated_database")))


@pytest.fixture
def engine():
    with serving("m") as running:
        running.gate.clear()
        yield running


@pytest.fixture
def project(tmp_path, ledger_url, engine):
    """A project whose local batch `b` was started and waits for the engine's gate."""
    place = Project(tmp_path / "a", {"BATCHFLOW_DATABASE_URL": ledger_url}, f"{IMPATIENT}lease_s = 1.0\n")
    dataset(place.folder / "d.jsonl", count=ROWS)
    flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
    place.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl")
    place.ok("start", "b")
    until(lambda: len(engine.calls) >= 2)
    yield place
    for lock in place.folder.glob("processed_files/*/*/lock"):
        if local._is_alive(lock.parent):
            os.kill(int(lock.read_text()), signal.SIGKILL)


@pytest.fixture
def elsewhere(project, tmp_path):
    """Another project folder with the same ledger."""
    return Project(tmp_path / "b", dict(project.environment))


def job_folder(project):
    (spec,) = project.folder.glob("processed_files/.local/*/spec.json")
    return spec.parent


def state(project):
    with project.ledger() as ledger, ledger.read() as tx:
        return jobs.get(tx, 1).state.value


def kill_worker(project):
    folder = job_folder(project)
    os.kill(int((folder / "lock").read_text()), signal.SIGKILL)
    until(lambda: not local._is_alive(folder))


def finish(project, engine):
    engine.gate.set()
    project.ok("get", "b", "--wait", "--refresh-after", 0)
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}


def aside(project):
    folder = project.folder / "processed_files"
    (folder / ".local").rename(folder / "aside")


def back(project):
    folder = project.folder / "processed_files"
    (folder / "aside").rename(folder / ".local")


def lost_by_an_older_version(project):
    """What `get` wrote where it did not see the folder."""
    with project.ledger() as ledger, ledger.write() as tx:
        jobs.move(tx, 1, Event.LOSE, now=datetime.now(UTC), word="missing")
        request_rows.close_open(tx, 1, "missing", "the folder is gone")


def test_a_folder_that_is_away_for_a_while_costs_nothing(project, engine):
    kill_worker(project)
    aside(project)
    asked = project.run("get", "b", "--json", "--refresh-after", 0)
    assert asked.code == 6
    assert "is not here" in asked.json["trouble"]
    assert state(project) == "running"
    for verb in ("start", "cancel", "results"):
        assert "is not here" in project.run(verb, "b").err
    assert state(project) == "running"
    back(project)
    assert project.ok("start", "b")["jobs"][0]["state"] == "running"
    finish(project, engine)


def test_the_output_of_a_finished_job_that_is_away_is_not_taken_for_an_empty_one(project, engine):
    engine.gate.set()
    project.ok("get", "b", "--wait", "--refresh-after", 0)
    aside(project)
    assert "is not here" in project.run("results", "b").err
    assert state(project) == "ended"
    back(project)
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}


def test_another_folder_sees_that_it_is_at_work_elsewhere_and_ends_nothing(project, elsewhere, engine):
    asked = elsewhere.run("get", "b", "--json", "--refresh-after", 0)
    assert "another project folder or machine" in asked.json["trouble"]
    assert (asked.json["state"], asked.json["finished"]) == ("running", False)
    assert asked.json["jobs"][0]["word"] != "not found"  # what is noted is for all
    for verb in ("start", "cancel", "results"):
        assert elsewhere.run(verb, "b").code != 0
    assert "is at work on it" in elsewhere.refused(7, "cancel", "b", "--lost")
    assert elsewhere.run("delete", "b").code != 0
    finish(project, engine)


def test_what_nobody_will_see_again_is_given_up_from_another_folder_and_asked_again(project, elsewhere, engine):
    kill_worker(project)
    with project.ledger() as ledger:
        until(lambda: _is_stale(ledger))
    assert elsewhere.ok("cancel", "b", "--lost")["lost"] == 1
    assert state(elsewhere) == "lost"
    aside(project)  # for good
    elsewhere.ok("delete", "b")


def _is_stale(ledger):
    with ledger.read() as tx:
        lease = leases.of_jobs(tx, [1]).get(1)
        return lease is None or (leases.now(tx) - lease.beat_at).total_seconds() > lease.length_s


@pytest.mark.parametrize("verb", ["get", "start", "results", "cancel", "delete"])
def test_what_an_older_version_lost_is_taken_up_by_whatever_command_sees_it(project, engine, verb):
    lost_by_an_older_version(project)
    ran = project.run(verb, "b", *(("--refresh-after", 0) if verb in {"get", "results"} else ()))
    assert "has been found" in ran.err
    if verb == "cancel":
        until(lambda: project.run("get", "b", "--json", "--refresh-after", 0).json["finished"])
        assert sum(project.ok("results", "b")["outcomes"].values()) == ROWS
        return
    finish(project, engine)


def test_what_a_retry_answered_meanwhile_stays_answered(project, engine):
    kill_worker(project)
    aside(project)
    lost_by_an_older_version(project)
    retried = project.ok("retry", "b")
    assert retried["requests"] == ROWS
    engine.gate.set()
    project.ok("start", retried["name"])
    project.ok("get", retried["name"], "--wait", "--refresh-after", 0)
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
    (project.folder / "processed_files/aside").rename(project.folder / "processed_files/there")
    for job in (project.folder / "processed_files/there").iterdir():
        if job.is_dir():
            job.rename(project.folder / "processed_files/.local" / job.name)
    assert "has been found" in project.run("get", "b", "--refresh-after", 0).err
    project.run("cancel", "b")
    until(lambda: project.run("get", "b", "--json", "--refresh-after", 0).json["finished"])
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}


def test_verdicts_of_a_rule_that_are_not_here_are_no_end(project, engine):
    finish(project, engine)
    judge = project.ok("jury", "results/b.jsonl", "--judges", "rule:exact")["batches"][0]["name"]
    project.ok("start", judge)
    (verdicts,) = project.folder.glob("processed_files/*.verdicts")
    verdicts.rename(project.folder / "away")
    with project.ledger() as ledger, ledger.write() as tx:
        job = next(job for job in jobs.of_batch(tx, 2))
        assert job.state.value in {"running", "ended"}
    said = project.run("get", judge, "--json", "--refresh-after", 0)
    assert "is not here" in json.dumps(said.json)
    (project.folder / "away").rename(verdicts)
    assert project.ok("results", judge, "--refresh-after", 0)["outcomes"] == {"ok": ROWS}
