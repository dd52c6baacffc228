from __future__ import annotations

import pytest
from helpers.commands import Project
from helpers.rehearsed import rehearsed


@pytest.fixture
def project(tmp_path):
    """A project without keys."""
    return Project(tmp_path / "project")


@pytest.fixture
def vendor(tmp_path):
    """A project with OpenAI's key and base URL, and the rehearsed OpenAI behind it: done after one look."""
    with rehearsed(tmp_path) as made:
        yield made
