"""The rehearsal's oracle: it knows the answers of data sets that batches were made from, also of later ones."""

from __future__ import annotations

from helpers.commands import Project

from batchflow import settings
from batchflow.steps.workers.rehearse import Known


def test_a_data_set_whose_batch_came_later_is_known(tmp_path):
    project = Project(tmp_path / "project")
    del project.environment["BATCHFLOW_TASK"]
    (project.folder / "mine.csv").write_text("question,gold\nWhat is 2 + 2?,4\n")
    known = Known(settings.load(project.folder), ())
    project.ok("prepare", "--provider", "openai", "--dataset", "mine.csv", "--map", "reference=gold")
    assert known(("What is 2 + 2?",)) == "4"
    assert known(("What is 3 + 3?",)) is None
