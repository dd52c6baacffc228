from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers import viewed
from helpers.commands import Project


@pytest.fixture(scope="session")
def _viewed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewed") / "project"
    return viewed.build(folder, tmp_path_factory.mktemp("vendors")).folder


@pytest.fixture
def viewed_project(_viewed, tmp_path, monkeypatch):
    """A copy of the project with the judged batches `a` and `b`."""
    monkeypatch.setenv("BATCHFLOW_REHEARSAL", "1")
    return Project(Path(shutil.copytree(_viewed, tmp_path / "project")), {"BATCHFLOW_TASK": "qa"})
