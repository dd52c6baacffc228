"""prepare --ids: a subset of a data set by a list of ids."""

from __future__ import annotations

import json

import pytest
from helpers.commands import Project, dataset

ASK = ("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--dataset", "d.jsonl")


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    dataset(project.folder / "d.jsonl", count=6)
    return project


def asked(project, name):
    return [row["item"] for row in json.loads(project.run("show", name, "--items", "--json").out)["items"]]


def test_only_the_listed_items_are_asked_in_the_order_of_the_data_set(project):
    (project.folder / "ids.txt").write_text("r5\n\n r2\n")
    (project.folder / "ids.json").write_text('["r2", "r5"]')
    made = project.ok(*ASK, "--ids", "ids.txt", "--name", "a")
    assert (made["requests"], asked(project, "a")) == (2, ["r2", "r5"])
    assert project.ok(*ASK, "--ids", "ids.json", "--name", "b")["requests"] == 2
    assert project.ok(*ASK, "--ids", "ids.txt", "--limit", 1, "--name", "c")["requests"] == 1
    assert project.ok(*ASK, "--ids", "ids.txt", "--name", "a")["new"] is False
    (project.folder / "ids.txt").write_text("r1\n")
    assert "taken by another batch" in project.refused(2, *ASK, "--ids", "ids.txt", "--name", "a")
    (project.folder / "two.toml").write_text('[[data]]\ndataset = "d.jsonl"\ntask = "riddles"\nids = "ids.json"\n')
    suite = project.ok("prepare", "--suite", "two.toml", "--name", "s", "--provider", "openai", "--model", "gpt-6-luna")
    assert suite["requests"] == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("r1\nr9\nr8\n", "2 of 3 ids are not in the data set: r9, r8"),
        ("\n", "it holds no id"),
        ("r1\nr1\n", "id r1 is there twice"),
        ("[1, null]", "a list of ids, texts or whole numbers, is expected"),
        ("[1", "not JSON"),
    ],
)
def test_a_faulty_list_is_refused_and_nothing_is_written(project, text, told):
    (project.folder / "ids.txt").write_text(text)
    assert told in project.refused(3, *ASK, "--ids", "ids.txt")
    assert project.files() == {"d.jsonl", "ids.txt"}
