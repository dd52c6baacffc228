"""Projects with answers and votes in them, made once and copied for each test."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.pipeline import rehearsed, to_results, to_votes

from batchflow.rehearsal import server
from batchflow.rehearsal.faults import Fault


@pytest.fixture
def project(tmp_path):
    """An empty project."""
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def _answered(tmp_path_factory):
    """One batch with results, made once."""
    made = Project(tmp_path_factory.mktemp("answered"))
    with rehearsed(tmp_path_factory.mktemp("vendors")) as vendors:
        made.environment.update(vendors.environment)
        made.outside(*to_results(limit=40))
    return made.folder


@pytest.fixture(scope="session")
def _judged(_answered, tmp_path_factory):
    """The same with a jury of three vendors, each wrong once in ten verdicts, made once."""
    made = Project(tmp_path_factory.mktemp("judged") / "project")
    shutil.copytree(_answered, made.folder, dirs_exist_ok=True)
    with rehearsed(tmp_path_factory.mktemp("vendors")) as vendors:
        made.environment.update(vendors.environment)
        made.outside(*to_votes())
    return made.folder


@pytest.fixture
def _inside(monkeypatch):
    """As under `batchflow rehearse`: elsewhere no vendor is asked to judge made-up answers."""
    monkeypatch.setenv("BATCHFLOW_REHEARSAL", "1")


@pytest.fixture
def answered(_answered, _inside, tmp_path):
    """A project with batch `p`, 40 answers of an OpenAI model that nobody judged yet."""
    return Project(Path(shutil.copytree(_answered, tmp_path / "project")))


@pytest.fixture
def judged(_judged, _inside, tmp_path):
    """A project with batch `p`, judged by Gemini, Anthropic and Mistral."""
    return Project(Path(shutil.copytree(_judged, tmp_path / "project")))


@pytest.fixture
def vendors(tmp_path_factory):
    """Starts rehearsed vendors for a project; the arguments are those of `rehearsed`."""
    with contextlib.ExitStack() as stack:

        def up(project: Project, *faults: Fault, **rule: float) -> server.Running:
            running = stack.enter_context(rehearsed(tmp_path_factory.mktemp("vendors"), *faults, **rule))
            project.environment.update(running.environment)
            return running

        yield up
