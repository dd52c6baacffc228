"""cancel and delete: what they leave to do."""

from __future__ import annotations

from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until


def test_nobody_has_to_start_what_was_cancelled_while_its_worker_was_gone(tmp_path):
    """The card of a stopped job says that cancel gives up the rows that are left."""
    project = Project(tmp_path / "project", toml=IMPATIENT)
    dataset(project.folder / "d.jsonl", count=8)
    with serving("m") as engine:
        engine.gate.clear()
        flags = ("--provider", "local", "--base-url", engine.url, "--model", "m", "--concurrency", 2)
        project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl")
        project.ok("start", "b")
        until(lambda: len(engine.calls) >= 2)
        engine.model = "another"
        engine.gate.set()
        until(lambda: project.run("get", "b", "--refresh-after", 0, "--json").json["next"] == "batchflow start b")
        assert project.ok("cancel", "b")["next"] == "batchflow get b --wait"
        project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert project.ok("results", "b")["outcomes"] == {"cancelled": 8}
