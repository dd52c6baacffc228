"""The hosts that work on local batches, as `workers` lists them."""

from __future__ import annotations

import os
import signal

from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until

ROWS = 12


def test_workers_are_listed_with_heartbeat_and_speed_until_they_end(tmp_path):
    project = Project(tmp_path / "project", toml=f"{IMPATIENT}lease_s = 1\n")
    assert project.ok("list")["batches"] == []
    assert "no worker is at work" in project.run("workers").out
    dataset(project.folder / "d.jsonl", count=ROWS)
    with serving("m") as engine:
        flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
        project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl", "--shards", 2)
        engine.gate.clear()
        project.ok("start", "b", "--jobs", 2)
        report = until(lambda: len((seen := project.ok("workers"))["workers"]) == 2 and seen)
        (host,) = report["hosts"]
        assert host["workers"] == 2
        first, second = report["workers"]
        assert [(row["batch"], row["part"], row["done"], row["silent"]) for row in (first, second)] == [
            ("b", 0, 0, False),
            ("b", 1, 0, False),
        ]
        assert max(first["heartbeat_age_s"], second["heartbeat_age_s"]) < 5
        os.kill(first["pid"], signal.SIGKILL)
        until(lambda: project.ok("workers")["workers"][0]["silent"])
        assert "silent" in project.run("workers").out
        assert project.ok("workers")["hosts"][0]["workers"] == 1
        engine.gate.set()
        until(lambda: project.ok("workers")["workers"] == [])
        project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
