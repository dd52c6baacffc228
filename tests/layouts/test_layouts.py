"""Layouts through the command line: results written in another one, and files that are recognised."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from helpers.commands import Project
from helpers.crossed import WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from batchflow.layouts import registry, table
from batchflow.layouts.base import About, Settled
from batchflow.records import Item

PACKAGE = Path(__file__).parents[1] / "packages" / "acme_eval"
QUESTIONS = "id,question,reference\na,One and one?,2\nb,Two and two?,4\n"
ANSWERS = "custom_id;answer;model;note\na;=2;m;x\nb;4;m;y\n"


@pytest.fixture
def project(tmp_path):
    """A project whose batch `mine` was imported from a table."""
    made = Project(tmp_path / "project")
    del made.environment["BATCHFLOW_TASK"]
    (made.folder / "questions.csv").write_text(QUESTIONS)
    (made.folder / "mine.csv").write_text(ANSWERS)
    report = made.ok("import", "predictions", "mine.csv", "--dataset", "questions.csv")
    assert (report["name"], report["model"], report["outcomes"]) == ("mine", "m", {"ok": 2})
    return made


def test_results_are_written_once_more_for_a_spreadsheet_and_read_back(project):
    report = project.ok("results", "mine", "--layout", "csv")
    assert (report["path"], report["also"]) == ("results/mine.jsonl", ["results/csv/mine.csv"])
    with (project.folder / "results/csv/mine.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["question"], row["reference"], row["answer"]) for row in rows] == [
        ("One and one?", "2", "'=2"),  # no spreadsheet computes it
        ("Two and two?", "4", "4"),
    ]
    project.ok("import", "predictions", "results/csv/mine.csv", "--dataset", "questions.csv", "--name", "again")
    assert [row["answer"] for row in project.rows("results/again.jsonl")] == ["=2", "4"]
    assert project.ok("results", "mine")["also"] == []


def test_predictions_and_labels_of_parquet(project):
    answers = [{"custom_id": 1, "answer": "=2", "model": "m"}, {"custom_id": 2, "answer": None, "model": "m"}]
    parquet.write_table(pa.Table.from_pylist(answers), project.folder / "mine.parquet")
    (project.folder / "numbered.csv").write_text("question,reference\nOne and one?,2\nTwo and two?,4\n")
    project.ok("import", "predictions", "mine.parquet", "--dataset", "numbered.csv", "--name", "typed")
    assert [row["answer"] for row in project.rows("results/typed.jsonl")] == ["=2", None]
    labels = [{"custom_id": "1", "human_answer_correct": True}, {"custom_id": "2", "human_answer_correct": None}]
    parquet.write_table(pa.Table.from_pylist(labels), project.folder / "labels.parquet")
    assert project.ok("import", "labels", "labels.parquet", "--batch", "typed")["new"] == 1
    parquet.write_table(pa.Table.from_pylist([{"id": "a"}]), project.folder / "other.parquet")
    refusal = project.refused(3, "import", "predictions", "other.parquet", "--dataset", "questions.csv")
    assert "other.parquet, row 1, field custom_id: there is no such column" in refusal


def test_a_package_adds_a_layout_that_is_written_and_recognised(project, monkeypatch):
    assert "layouts: layton, csv" in project.refused(2, "results", "mine", "--layout", "tree")
    monkeypatch.syspath_prepend(str(PACKAGE))
    report = project.ok("results", "mine", "--layout", "tree")
    assert report["also"] == [f"results/tree/mine/{name}" for name in ("tree.txt", "a.0.txt", "b.0.txt")]
    assert (project.folder / "results/tree/mine/a.0.txt").read_text() == "One and one?\n=2"
    made = project.ok("import", "predictions", "results/tree/mine", "--dataset", "questions.csv", "--name", "back")
    assert (made["model"], made["outcomes"]) == ("m", {"ok": 2})


def test_a_layout_that_wants_items_says_when_the_data_set_was_changed(project):
    (project.folder / "questions.csv").write_text(QUESTIONS.replace("One", "1"))
    assert "was changed" in project.refused(3, "results", "mine", "--layout", "csv")
    assert not (project.folder / "results/csv").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("custom_id,model\na,m\n", "line 2, field answer: there is no such column"),
        ("custom_id,answer,model,sample\na,4,m,-1\n", "line 2, field sample: '-1' is not a number from 0"),
        ("custom_id,answer\na,4\n", "line 2, field model: it is missing"),
    ],
)
def test_a_faulty_table_names_line_and_field(project, text, why):
    (project.folder / "faulty.csv").write_text(text)
    assert why in project.refused(3, "import", "predictions", "faulty.csv", "--dataset", "questions.csv")


def test_a_folder_that_no_layout_recognises_is_refused(project):
    assert "no layout recognises this folder" in project.refused(3, "import", "predictions", "results")


class _Here:
    """An `Out` whose files are given to the test."""

    def __init__(self, folder):
        self.folder, self.names = folder, []

    @contextmanager
    def file(self, name):
        self.names.append(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as handle:
            yield handle


@pytest.mark.parametrize("name", sorted(registry.LAYOUTS))
@settings(max_examples=100 if WHOLE else 40)
@given(answers=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_what_a_layout_writes_it_reads(tmp_path_factory, name, answers):
    layout, out = registry.get(name), _Here(tmp_path_factory.mktemp("layout"))
    about = About("b", "openai", "m", "qa", "all", 0, True, "data", datetime.now(UTC), {}, {})
    fields = {"bootcamp": "=i", "ground_truth": "1", "half": "free-form", "source": "MATH"}
    item = Item({"mixeval": "ff-0"}.get(name, "=i-0"), "all", fields)
    rows = [
        Settled(None, item.id, text, "m", None, "ok", "strict", None, None, n, False, f"c{n}", item)
        for n, text in enumerate(answers)
    ]
    layout.write(about, rows, out)
    first = Path(out.names[0])
    path = out.folder / (first.parent if name == "mixeval" else first.parts[0])
    assert registry.of(path) is layout
    brought = list(layout.read(path))
    assert [row.key for row in brought] == [(item.id, n) for n in range(len(answers))]
    empty = None if layout is table else ""  # a cell has no way to tell the two apart
    assert [row.text for row in brought] == [text or empty for text in answers]
    assert {row.model for row in brought} == {"m"}
