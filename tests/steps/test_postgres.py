"""The whole pipeline on a PostgreSQL ledger, as a team uses it: every statement of every step is understood there."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from helpers import warm
from helpers.commands import Project

RULES = "rule:exact,rule:normalised,rule:numeric"


@pytest.fixture
def team(vendor, postgres, migrated_database):
    """A project without a ledger of its own, and the rehearsed OpenAI."""
    vendor.project.environment["BATCHFLOW_DATABASE_URL"] = postgres.url(postgres.create(migrated_database))
    yield vendor
    assert not (vendor.project.folder / "batchflow.db").exists()


def test_every_step_and_the_commands_around_them(team):
    project = team.project
    for name in ("b", "c"):
        team.finished(name)
        project.ok("jury", f"results/{name}.jsonl", "--judges", RULES, "--wait", "--refresh-after", 0)
    scored = project.ok("score", "b", "--field-name", "is_answer_correct", "--by", "category")
    assert (scored["score"], scored["n_items"], scored["votes_missing"]) == (1.0, 4, 0)
    assert [row["group"] for row in scored["groups"]["category"]] == ["arithmetic"]
    said = [{"custom_id": f"r{number}", "human_answer_correct": True} for number in range(1, 5)]
    (project.folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    assert project.ok("import", "labels", "labels.jsonl", "--batch", "b")["batches"] == {"b": 4}
    assert len(project.ok("score", "--field-name", "is_answer_correct")["batches"]) == 2
    project.ok("compare", "b", "c", "--field-name", "is_answer_correct")
    project.ok("show", "b")
    (project.folder / "own.jsonl").write_bytes((project.folder / "results/b.jsonl").read_bytes())
    project.ok("import", "predictions", "own.jsonl", "--dataset", "b-data.jsonl", "--name", "own")
    assert len(project.ok("list")["batches"]) == 9
    assert project.ok("ledger", "check")["problems"] == []
    for name in ("own", "b", "c"):
        project.ok("delete", name)
    assert project.ok("list")["batches"] == []


def test_a_project_moves_to_postgresql_between_start_and_results(vendor, postgres):
    project, url = vendor.project, postgres.url(postgres.create())
    vendor.started("b")
    assert project.ok("ledger", "copy", "--to", url)["next"].startswith("set BATCHFLOW_DATABASE_URL")
    assert "holds batches already" in project.refused(4, "ledger", "copy", "--to", url)
    project.environment["BATCHFLOW_DATABASE_URL"] = url
    (project.folder / "batchflow.db").rename(project.folder / "old.db")
    project.run("get", "b", "--refresh-after", 0)
    assert project.ok("results", "b")["outcomes"] == {"ok": 4}
    assert len(vendor.site.creates) == 1


def test_what_failed_is_asked_again_and_what_runs_is_cancelled(team):
    project = team.project
    team.fault("errors", call="job", fraction=0.5)
    team.finished("b")
    project.ok("jury", "b", "--judges", RULES, "--wait", "--refresh-after", 0)
    retry = project.ok("retry", "b")["name"]
    project.ok("start", retry)
    project.run("get", retry, "--refresh-after", 0)
    project.ok("results", retry)
    assert project.ok("results", "b")["outcomes"] == {"ok": 4}
    assert len(project.ok("jury", "b", "--retry", "--wait", "--refresh-after", 0)["batches"]) == 3
    assert project.ok("score", "b", "--field-name", "is_answer_correct")["n_judged"] == 4
    project.ok("cancel", team.started("c"))
    assert project.ok("ledger", "check")["problems"] == []


def test_results_of_two_folders_at_once_are_taken_up_by_one(team, tmp_path):
    """As from two hosts: each has a folder of its own, whose file locks the other cannot see."""
    team.ended(count=8)
    team.fault("trickle", call="download", seconds=0.3, times=0)
    other = Project(tmp_path / "other", team.project.environment)
    command = [warm.python(), "-m", "batchflow", "results", "b"]
    environment = {**os.environ, **team.project.environment}
    both = [
        subprocess.Popen(command, cwd=project.folder, env=environment, stdout=-1, stderr=-1)
        for project in (team.project, other)
    ]
    said = [(child.communicate(timeout=120)[1].decode(), child.returncode) for child in both]
    assert sorted(code for _, code in said) == [0, 3], said
    assert team.calls("download") == 1
    assert any("the raw output cannot be read" in text for text, _ in said)
    (rows,) = [each.rows("results/b.jsonl") for each in (team.project, other) if (each.results / "b.jsonl").exists()]
    assert all(row["original"]["custom_id"] == row["request"] for row in rows)
