"""Accidents of the machine: a clear error each, nothing lost, and the same command goes on afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from batchflow.ledger import dialect, transactions

HELD = {
    "sqlite": ("database is locked", "is another program using it?"),
    "postgresql": ("canceling statement due to lock timeout", "pg_stat_activity tells which"),
}


@pytest.mark.parametrize("database", HELD)
def test_a_ledger_that_another_program_holds_is_told_and_nothing_is_sent(vendor, monkeypatch, request, database):
    """Instead of after 30 s (SQLite) and 10 minutes, commands give up after a tenth of a second."""
    project, (what, hint) = vendor.project, HELD[database]
    if database == "postgresql":
        server = request.getfixturevalue("postgres")
        name = server.create(request.getfixturevalue("migrated_database"))
        project.environment["BATCHFLOW_DATABASE_URL"] = server.url(name)
    vendor.prepare("b")
    monkeypatch.setattr(dialect, "BUSY_S", 0.1)
    monkeypatch.setattr(transactions, "WAIT_S", 0.1)
    for words in (("start", "b"), ("prepare", "--provider", "openai", "--dataset", "b-data.jsonl", "--name", "c")):
        with project.ledger() as ledger, ledger.write():
            said = project.refused(4, *words)
        assert f"cannot be used: {what}" in said
        assert hint in said
    assert vendor.site.creates == []
    assert project.ok("start", "b")["sent_now"] == 1
    with project.ledger() as ledger, ledger.write():
        assert len(project.ok("list")["batches"]) == 1  # who only reads does not wait
    project.run("get", "b", "--refresh-after", 0)
    with project.ledger() as ledger, ledger.write():
        assert what in project.refused(4, "results", "b")
    assert project.ok("results", "b")["outcomes"] == {"ok": 4}
    assert len(vendor.site.creates) == 1


def test_a_disk_that_is_full_while_results_arrive_loses_no_row(vendor):
    """A limit on the size of files stands for the disk: neither the ledger nor the raw output fits."""
    project = vendor.project
    vendor.ended("b", count=40)
    environment = {**os.environ, **project.environment}
    for blocks in (4, 20):
        command = f'ulimit -f {blocks}; exec "{sys.executable}" -m batchflow results b'
        ran = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=project.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode in {1, 4}, ran
        assert ran.stderr.startswith("batchflow: ")
        assert "what to do: " in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not (project.results / "b.jsonl").exists()
    assert project.ok("results", "b")["outcomes"] == {"ok": 40}
    assert [row["custom_id"] for row in project.rows("results/b.jsonl")] == [f"r{number}" for number in range(1, 41)]
    assert project.ok("ledger", "check")["problems"] == []
