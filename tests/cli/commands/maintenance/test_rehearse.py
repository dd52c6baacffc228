"""`batchflow rehearse -- COMMAND`, as processes: each has a server of its own, and they are one rehearsal."""

from __future__ import annotations

from helpers import warm
from helpers.commands import Project


def test_the_next_command_finds_what_the_last_one_sent(tmp_path):
    project = Project(tmp_path / "project")
    batchflow = (warm.python(), "-m", "batchflow")
    assert project.run("rehearse", "--", *batchflow, "prepare", "--limit", 1, "--name", "b").code == 0
    assert project.run("rehearse", "--", *batchflow, "start", "b").code == 0
    assert project.run("rehearse", "--polls", 1, "--", *batchflow, "get", "b", "--refresh-after", 0).code == 0
    assert project.run("rehearse", "--", *batchflow, "results", "b").code == 0
    assert project.rows("results/b.jsonl")[0]["rehearsal"] is True
    assert len(project.rows("processed_files/.rehearsal/creates.jsonl")) == 1


def test_a_folder_of_ones_own_holds_all_of_it(tmp_path):
    project = Project(tmp_path / "project")
    assert project.run("rehearse", "--folder", "kept", "--", warm.python(), "-c", "").code == 0
    assert (project.folder / "kept").is_dir()
    assert not (project.folder / "processed_files").exists()


def test_two_rehearsals_at_once_do_not_share_a_memory(tmp_path):
    project = Project(tmp_path / "project")
    inside = (warm.python(), "-m", "batchflow", "rehearse", "--", warm.python(), "-c", "")
    ran = project.run("rehearse", "--", *inside)
    assert ran.code == 7
    assert project.run("rehearse", "--", *inside[:4], "--folder", "apart", *inside[4:]).code == 0
    assert project.run("rehearse", "--", warm.python(), "-c", "").code == 0  # the first one is over


def test_a_command_of_ones_own_is_named_with_its_program(tmp_path):
    said = Project(tmp_path / "project").refused(2, "rehearse", "--", "prepare", "--split", "vlm")
    assert "batchflow rehearse -- batchflow prepare --split vlm" in said
