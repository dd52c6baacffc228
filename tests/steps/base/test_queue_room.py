"""Room in a vendor's queue, reserved in the ledger before a create: across batches, folders and both databases."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from helpers import warm
from helpers.commands import IMPATIENT, Project, dataset
from helpers.rehearsed import rehearsed

from batchflow.ledger import batches, jobs


def limited(vendor, limits):
    (vendor.project.folder / "batchflow.toml").write_text(f"{IMPATIENT}{limits}")


@pytest.fixture
def slow(tmp_path):
    """A rehearsed OpenAI whose batches are done after two looks."""
    with rehearsed(tmp_path, polls=2) as vendor:
        yield vendor


def test_a_batch_waits_for_the_room_that_another_one_takes(slow):
    limited(slow, "[limits.openai]\nenqueued_requests = 6\n")
    slow.prepare("a"), slow.prepare("b")
    assert slow.project.ok("start", "a")["sent_now"] == 1
    started = slow.project.ok("start", "b")
    assert (started["sent_now"], started["waiting"], started["waits_for"]) == (0, 1, "room at the vendor")
    why = "no room in openai's queue: 4 of 6 enqueued requests are taken (a), and part 0 needs 4"
    assert started["jobs"][0]["error"] == why
    assert (slow.calls("upload"), slow.calls("create")) == (1, 1)  # nothing is refused, nothing is sent for nothing
    assert slow.project.run("get", "a", "--refresh-after", 0).code == 0
    assert slow.project.ok("start", "b")["sent_now"] == 1
    slow.project.ok("get", "b", "--wait", "--refresh-after", 0)
    assert slow.project.ok("results", "b")["outcomes"] == {"ok": 4}


def test_start_asks_about_the_batches_that_take_the_room(vendor):
    """Nobody has looked at `a`, which is done."""
    limited(vendor, "[limits.openai]\nenqueued_jobs = 1\n")
    vendor.prepare("a"), vendor.prepare("b")
    vendor.project.ok("start", "a")
    assert vendor.project.ok("start", "b")["sent_now"] == 1
    assert vendor.project.ok("results", "a")["outcomes"] == {"ok": 4}


def test_tokens_count_for_one_model_and_are_kept_with_the_job(slow):
    limited(slow, '[limits.openai]\nenqueued_tokens = 3000\n[limits.openai."gpt-6-sol"]\nenqueued_tokens = 10\n')
    slow.prepare("a"), slow.prepare("b"), slow.prepare("c", "--model", "gpt-5-mini")
    sol = slow.prepare("d", "--model", "gpt-6-sol")
    slow.project.ok("start", "a")
    with slow.project.ledger() as ledger, ledger.read() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, "a").id)
    assert 1500 < job.enqueued_tokens < 2500
    (waiting,) = slow.project.ok("start", "b")["jobs"]
    assert waiting["error"].startswith(
        f"no room in openai's queue: {job.enqueued_tokens:,} of 3,000 enqueued tokens of gpt-6-luna are taken (a), and"
    )
    assert slow.project.ok("start", "c")["sent_now"] == 1
    said = slow.project.refused(6, "start", sol)
    assert "part 0 alone has about" in said
    assert "requests under [limits.openai]" in said


def test_what_is_out_since_before_there_was_a_limit_is_measured(slow):
    slow.started("a")
    limited(slow, "[limits.openai]\nenqueued_tokens = 3000\n")
    slow.prepare("b")
    assert slow.project.ok("start", "b")["sent_now"] == 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_of_processes_that_start_at_once_as_many_send_as_there_is_room_for(tmp_path, request, database):
    """On PostgreSQL from two folders, as from two hosts."""
    toml = f"{IMPATIENT}[limits.openai]\nenqueued_jobs = 2\n"
    with rehearsed(tmp_path, polls=99, toml=toml) as vendor:
        folders = [vendor.project]
        if database == "postgresql":
            server = request.getfixturevalue("postgres")
            name = server.create(request.getfixturevalue("migrated_database"))
            vendor.project.environment["BATCHFLOW_DATABASE_URL"] = server.url(name)
            folders.append(Project(tmp_path / "other", vendor.project.environment, toml))
        homes = [folders[number % len(folders)] for number in range(4)]
        for number, home in enumerate(homes):
            dataset(home.folder / "d.jsonl")
            home.ok(
                "prepare",
                "--provider",
                "openai",
                "--model",
                "gpt-6-luna",
                "--name",
                f"n{number}",
                "--dataset",
                "d.jsonl",
            )
        children = [
            subprocess.Popen(
                [warm.python(), "-m", "batchflow", "start", f"n{number}", "--json"],
                cwd=home.folder, env={**os.environ, **home.environment}, stdout=-1, stderr=-1,
            )
            for number, home in enumerate(homes)
        ]  # fmt: skip
        said = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0] * 4, said
        assert sorted(json.loads(text)["batches"][0]["sent_now"] for text, _ in said) == [0, 0, 1, 1]
        assert len(vendor.site.creates) == vendor.calls("create") == 2
