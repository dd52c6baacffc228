"""What does not change the question is no part of a batch: `prepare` and `start` change it, and say so."""

from __future__ import annotations

import json
import os
import signal

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until

from batchflow.ledger import batches, jobs
from batchflow.steps.building.writing import taken
from batchflow.vendors.inhouse import local

ROWS = 6
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def project(tmp_path):
    place = Project(tmp_path / "project", toml=f"{IMPATIENT}lease_s = 1.0\n")
    dataset(place.folder / "d.jsonl", count=ROWS)
    yield place
    for lock in place.folder.glob("processed_files/*/*/lock"):
        if local._is_alive(lock.parent):
            os.kill(int(lock.read_text()), signal.SIGKILL)


def prepare(project, *flags):
    ours = ("prepare", "--provider", "local", "--model", "m", "--name", "b", "--dataset", "d.jsonl")
    return project.ok(*ours, *flags)


def batch(project):
    with project.ledger() as ledger, ledger.read() as tx:
        return batches.get(tx, "b")


def spec(project):
    (path,) = project.folder.glob("processed_files/.local/*/spec.json")
    return json.loads(path.read_text())


def test_prepare_again_with_another_pace_keeps_the_batch_and_says_what_changed(project):
    first = prepare(project, "--base-url", NOWHERE, "--concurrency", 8, "--timeout", "5m")
    nonce, sent = batch(project).nonce, (project.folder / first["files"][0]).read_bytes()
    again = prepare(project, "--base-url", "http://127.0.0.1:10/v1", "--concurrency", 4, "--rps", 2)
    assert (again["new"], again["base_url"]) == (False, "http://127.0.0.1:10/v1")
    said = " ".join(again["notes"])
    for change in ("concurrency: 8 -> 4", "timeout_s: 5m -> not set", "rps: not set -> 2.0", f"base_url: {NOWHERE} ->"):
        assert change in said
    assert (batch(project).nonce, (project.folder / first["files"][0]).read_bytes()) == (nonce, sent)
    assert batch(project).options == {"base_url": ["http://127.0.0.1:10/v1"], "concurrency": 4, "rps": 2.0}
    assert not prepare(project, "--base-url", "http://127.0.0.1:10/v1", "--concurrency", 4, "--rps", 2)["notes"]


def test_another_question_is_another_batch_still(project):
    prepare(project, "--base-url", NOWHERE, "--concurrency", 8)
    ours = ("prepare", "--provider", "local", "--model", "m", "--name", "b", "--dataset", "d.jsonl")
    said = project.refused(2, *ours, "--base-url", NOWHERE, "--mode", "completion")
    assert "mode: not set there, completion here" in said
    assert "concurrency" not in said


def test_engine_arguments_are_parted_by_what_they_change(project):
    ours = (
        "prepare",
        "--provider",
        "local",
        "--engine",
        "hf",
        "--model",
        "org/m",
        "--name",
        "b",
        "--dataset",
        "d.jsonl",
    )
    project.ok(*ours, "--engine-arg", "batch_rows=8", "--engine-arg", "dtype=float32")
    again = project.ok(*ours, "--engine-arg", "batch_rows=16", "--engine-arg", "dtype=float32")
    assert "batch_rows=16" in " ".join(again["notes"])
    assert "dtype=bfloat16" in project.refused(2, *ours, "--engine-arg", "dtype=bfloat16").replace("'", "").replace(
        ": ", "="
    )


def test_a_batch_of_an_older_ledger_is_the_same_batch(project):
    """Its specification held the pace, and its nonce was made of it: both stay."""
    prepare(project, "--base-url", NOWHERE, "--concurrency", 8)
    old = {**batch(project).spec, "base_url": [NOWHERE], "concurrency": 8}
    with project.ledger() as ledger, ledger.write() as tx:
        batches.note(tx, batch(project).id, spec=old, spec_sha256=taken.digest(old), nonce="01234567")
    again = prepare(project, "--base-url", NOWHERE, "--concurrency", 4)
    assert (again["new"], batch(project).nonce) == (False, "01234567")
    assert "concurrency: 8 -> 4" in " ".join(again["notes"])


def test_start_changes_the_pace_of_what_is_stopped_and_refuses_while_a_worker_is_at_it(project):
    with serving("m") as engine:
        engine.gate.clear()
        prepare(project, "--base-url", engine.url, "--concurrency", 2)
        project.ok("start", "b", "--concurrency", 3, "--retries", 0)
        assert (spec(project)["options"]["concurrency"], spec(project)["options"]["retries"]) == (3, 0)
        until(lambda: len(engine.calls) == 3)
        (lock,) = project.folder.glob("processed_files/*/*/lock")
        pid = int(lock.read_text())
        said = project.refused(7, "start", "b", "--concurrency", 1)
        assert f"process {pid}" in said
        assert f"kill {pid}" in said
        assert batch(project).options["concurrency"] == 3
        os.kill(pid, signal.SIGKILL)
        until(lambda: not local._is_alive(lock.parent))
        with serving("m") as moved:
            ran = project.run("start", "b", "--concurrency", 1, "--base-url", moved.url, "--timeout", "9s")
            assert ran.code == 0, ran
            assert "concurrency: 3 -> 1" in ran.err
            assert f"-> {moved.url}" in ran.err
            assert project.ok("get", "b", "--wait", "--refresh-after", 0)["base_url"] == moved.url
            assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
            assert len(moved.calls) == ROWS
            assert spec(project)["options"]["timeout_s"] == "9s"
        assert "nothing is left to do" in project.refused(2, "start", "b", "--concurrency", 5)


def test_start_refuses_a_pace_that_makes_no_sense_and_changes_nothing(project):
    prepare(project, "--base-url", NOWHERE)
    before = batch(project).options
    assert "is not a duration" in project.refused(2, "start", "b", "--timeout", "soon")
    with project.ledger() as ledger, ledger.read() as tx:
        assert {job.state.value for job in jobs.of_batch(tx, 1)} == {"prepared"}
    assert batch(project).options == before


def test_a_vendors_batch_has_no_pace(project):
    project.ok("prepare", "--provider", "openai", "--name", "v", "--dataset", "d.jsonl")
    assert "for --provider local, not for openai" in project.refused(2, "start", "v", "--concurrency", 5)


def test_pointed_at_tells_where_the_calls_go(project):
    with serving("m") as engine:
        prepare(project, "--base-url", engine.url)
        project.environment["BATCHFLOW_LOCAL_BASE_URL"] = NOWHERE
        assert project.ok("start", "b")["base_url"] == engine.url
        assert project.ok("get", "b", "--wait", "--refresh-after", 0)["base_url"] == engine.url


@pytest.mark.parametrize("option", ["outage_s", "backoff_s", "timeout_s", "backoff_cap_s"])
def test_documented_options_work_in_the_file_and_in_the_environment(project, option):
    toml = project.folder / "batchflow.toml"
    toml.write_text(f'{IMPATIENT}[prepare]\n{option} = "7s"\n')
    prepare(project, "--base-url", NOWHERE)
    assert batch(project).options[option] == "7s"
    project.environment[f"BATCHFLOW_{option.upper()}"] = "8s"
    assert f"{option}: 7s -> 8s" in " ".join(prepare(project, "--base-url", NOWHERE)["notes"])


def test_samples_that_will_be_the_same_are_told_of(project):
    said = prepare(project, "--base-url", NOWHERE, "--samples", 3, "--temperature", 0)
    assert "3 samples of an item will be the same" in " ".join(said["notes"])


def test_cancelled_rows_are_no_failed_ones_and_a_stopped_job_is_not_running(project):
    with serving("m") as engine:
        engine.gate.clear()
        prepare(project, "--base-url", engine.url, "--concurrency", 2)
        project.ok("start", "b")
        until(lambda: len(engine.calls) == 2)
        (lock,) = project.folder.glob("processed_files/*/*/lock")
        os.kill(int(lock.read_text()), signal.SIGKILL)
        until(lambda: not local._is_alive(lock.parent))
        assert "b is stopped" in project.refused(7, "results", "b", "--refresh-after", 0)
        project.ok("cancel", "b")
        seen = until(
            lambda: (asked := project.run("get", "b", "--json", "--refresh-after", 0).json)["finished"] and asked
        )
        assert seen["counts"] == {"requests": ROWS, "pending": 0, "done": 0, "failed": 0, "cancelled": ROWS}
        project.ok("results", "b")
        assert project.ok("get", "b")["counts"] == seen["counts"]
