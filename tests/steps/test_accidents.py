"""Accidents of the machine: a clear error each, nothing lost, and the same command goes on afterwards."""

from __future__ import annotations

import os
import subprocess

import pytest
from helpers import warm
from helpers.commands import dataset

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


# a fork of a warm process that can write no file beyond so many KiB, or no longer has root's way round permissions
LIMITED = """
import ctypes, resource, sys
kib, sys.argv = int(sys.argv[1]), ["batchflow", *sys.argv[2:]]
sys.dont_write_bytecode = True  # Python 3.11 takes a cut .pyc for a whole one
if kib:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kib, 1024 * kib))
else:
    # PR_CAPBSET_DROP, and capset to nothing, for whoever is root
    ctypes.CDLL(None).syscall(126, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
from batchflow.cli.main import main
main()
"""


def limited(project, kib, *words):
    """A command on a disk with room for files of so many KiB; 0: in folders that may not be written."""
    environment = {**os.environ, **project.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [warm.python(), "-c", LIMITED, str(kib), *words], cwd=project.folder, env=environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode in {1, 4}, ran
    assert ran.stderr.startswith("batchflow: ")
    assert "what to do: " in ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr


def all_there(project, count):
    assert project.ok("results", "b")["outcomes"] == {"ok": count}
    assert [row["custom_id"] for row in project.rows("results/b.jsonl")] == [
        f"r{number + 1}" for number in range(count)
    ]
    assert project.ok("ledger", "check")["problems"] == []


def test_a_disk_that_is_full_loses_nothing_whatever_is_written(vendor):
    """A limit on the size of files stands for the disk: neither the ledger nor a payload fits."""
    project = vendor.project
    path = dataset(project.folder / "b-data.jsonl", count=40)
    given = ("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--name", "b", "--dataset", path.name)
    project.ok("list")
    for kib in (4, 8):
        limited(project, kib, *given)
    assert project.ok("list")["batches"] == []
    project.ok(*given)
    for kib in (1, 4, 16):
        limited(project, kib, "start", "b")
    assert vendor.site.creates == []
    project.ok("start", "b")
    project.run("get", "b", "--refresh-after", 0)
    for kib in (4, 20):
        limited(project, kib, "results", "b")
        assert not (project.results / "b.jsonl").exists()
    all_there(project, 40)
    limited(project, 8, "jury", "b", "--judges", "rule:exact")
    project.ok("jury", "b", "--judges", "rule:exact", "--wait", "--refresh-after", 0)
    assert project.ok("score", "b", "--field-name", "is_answer_correct")["n_judged"] == 40
    assert len(vendor.site.creates) == 1


@pytest.mark.parametrize("what", ["project", "ledger"])
def test_a_folder_that_may_not_be_written_is_told_and_nothing_is_lost(vendor, tmp_path, what):
    """The project's folder with its ledger elsewhere, and a folder that holds the ledger."""
    project, elsewhere = vendor.project, tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.environment["BATCHFLOW_DATABASE_URL"] = f"sqlite:///{elsewhere}/one.db"
    vendor.prepare("b")
    closed = [path for path in project.folder.rglob("*") if path.is_dir()] if what == "project" else [elsewhere]
    (project.folder / "results").mkdir(exist_ok=True)

    def refused(*words):
        for folder in closed:
            folder.chmod(0o555)
        files = [*elsewhere.iterdir()] if what == "ledger" else []
        for path in files:
            path.chmod(0o444)
        said = limited(project, 0, *words)
        assert "permission" in said
        for path in [*files, *closed]:
            path.chmod(0o755)

    refused("start", "b")
    assert vendor.site.creates == []
    project.ok("start", "b")
    project.run("get", "b", "--refresh-after", 0)
    refused("results", "b")
    all_there(project, 4)
    assert len(vendor.site.creates) == 1
