"""Two hosts on one PostgreSQL ledger work on one batch; one of them dies by kill -9, and the other takes over, once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.hosts import Host
from helpers.until import until

from batchflow.ledger import leases

ROWS = 12
LEASE_S = 1.0


@pytest.fixture
def project(tmp_path, postgres, migrated_database):
    toml = f"{IMPATIENT}lease_s = {LEASE_S}\n[limits.local]\nrequests = {ROWS // 2}\n"
    url = postgres.url(postgres.create(migrated_database))
    return Project(tmp_path / "project", {"BATCHFLOW_DATABASE_URL": url}, toml)


def held(project) -> dict[int, leases.LeaseRecord]:
    with project.ledger() as ledger, ledger.read() as tx:
        return dict(leases.of_jobs(tx, [1, 2]))


def test_kill_9_of_one_of_two_workers_loses_and_doubles_no_row(project, tmp_path):
    """The dead one's part is taken over by one of two hosts that both try; the living one works on."""
    dataset(project.folder / "d.jsonl", count=ROWS)
    far, third = (Host(project, name, tmp_path) for name in ("far", "third"))
    with serving("m") as engine:
        flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
        project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl")
        engine.gate.clear()
        project.ok("start", "b")
        before = until(lambda: len(engine.calls) >= 4 and len(held(project)) == 2 and held(project))
        os.kill(before[1].pid, signal.SIGKILL)
        died = time.monotonic()
        both = [host.begin("start", "b") for host in (far, third)]
        said = [child.communicate(timeout=120) for child in both]
        assert [child.returncode for child in both] == [0, 0], said
        after = until(lambda: (now := held(project)).get(1) and now[1].holder != before[1].holder and now)
        assert time.monotonic() - died < 60
        assert after[1].host.partition("/")[0] in {"far", "third"}
        assert after[2].holder == before[2].holder  # the living one kept its own
        engine.gate.set()
        project.ok("get", "b", "--wait", "--refresh-after", 0)
    assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
    assert [row["custom_id"] for row in project.rows("results/b.jsonl")] == [f"r{n}" for n in range(1, ROWS + 1)]
    asked = Counter(str(body["messages"]) for _, body in engine.calls)
    assert len(asked) == ROWS
    assert sum(asked.values()) <= ROWS + 2  # what the dead one had in flight
    outputs = [path.read_bytes().count(b"\n") for path in project.folder.glob("processed_files/.local/*/output.jsonl")]
    assert sorted(outputs) == [ROWS // 2, ROWS // 2]
