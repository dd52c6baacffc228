"""Texts and counts of whole jobs that no database, terminal or JSON document can hold as they are: all six vendors."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from helpers.between import between
from helpers.commands import Project, dataset
from helpers.crossed import crossed

from batchflow.rehearsal import server
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import VENDORS

KEY = server.KEY
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # what Gemini's SDK leaves open
HOSTILE = (rb"no \ud800 thing", rb"no \u0000 thing", rb"no \u001b]0;owned\u0007\u202e thing")
_WORD = re.compile(rb'("(?:status|processing_status|state)":\s*)"[^"]*"')
_COUNT = re.compile(
    rb'("(?:total|total_requests|completed|completed_requests|succeeded|succeeded_requests|failed|failed_requests'
    rb"|processing|errored|canceled|expired|requestCount|successfulRequestCount|failedRequestCount|pendingRequestCount"
    rb'|progress|created_at)":\s*)"?\d+"?'
)


def database(request):
    """The URL of a new PostgreSQL ledger."""
    server = request.getfixturevalue("postgres")
    return server.url(server.create(request.getfixturevalue("migrated_database")))


@pytest.fixture(params=crossed(VENDORS, ("sqlite", "postgresql"), each=1), ids="-".join)
def told(request, tmp_path):
    """(project with a prepared batch `b`, the server between it and the vendor, the vendor's memory)."""
    with contextlib.ExitStack() as stack:
        up = stack.enter_context(server.running(tmp_path / "vendor", faults=Faults(), pace=Pace(polls=6)))
        way = stack.enter_context(between(up.base))
        environment = server.environment(way.base)
        name, kind = request.param
        if kind == "postgresql":
            environment["BATCHFLOW_DATABASE_URL"] = database(request)
        project = Project(tmp_path / "project", environment)
        path = dataset(project.folder / "d.jsonl")
        project.ok("prepare", "--provider", name, "--name", "b", "--dataset", path.name)
        yield project, way, up.site


def everything_is_told(project, *commands):
    """Run each command plainly and as JSON: one text or document, no log, no traceback, nothing raw on the terminal."""
    for words in commands:
        plain, document = project.run(*words), project.run(*words, "--json")
        assert plain.code in {0, 5, 7}, plain
        assert json.loads(document.out.encode())
        for text in (plain.out, plain.err, document.err):
            assert "Traceback" not in text
            assert not re.search(r"unexpected \w+Error|please report|[\ud800\0\x1b\x07\u202e]", text)
    assert not list(Path(project.environment.get("BATCHFLOW_HOME", project.folder)).rglob("failure-*.log"))


def test_statuses_and_counts_that_cannot_be_stored_stop_nothing(told):
    project, way, site = told
    project.ok("start", "b")
    looks = [("get", "b", "--refresh-after", 0), ("results", "b", "--refresh-after", 0), ("show", "b")]
    for hostile in HOSTILE:
        way.rewrite = lambda _, body, text=hostile: _WORD.sub(lambda found: found[1] + b'"' + text + b'"', body)
        everything_is_told(project, *looks[: 3 if hostile is HOSTILE[0] else 1])
    way.rewrite = lambda _, body: _COUNT.sub(lambda found: found[1] + b"1" + b"0" * 30, body)
    everything_is_told(project, *looks[:1])
    way.rewrite = None
    assert project.run("get", "b", "--wait", "--refresh-after", 0).code == 0
    assert sum(project.ok("results", "b")["outcomes"].values()) == 4
    assert len(site.creates) == 1


def test_a_create_that_is_refused_in_such_words_is_not_left_on_its_way(told):
    project, way, site = told
    for hostile in HOSTILE:
        site.faults.add(Fault("status", call="create", status=400, message=f"MARK {KEY}"))
        way.rewrite = lambda _, body, text=hostile: body.replace(b"MARK", text)
        ran = project.run("start", "b")
        assert ran.code == 5, ran
        assert "Traceback" not in ran.err
        assert KEY not in ran.err
        assert project.ok("list")["batches"][0]["state"] != "starting"
        everything_is_told(project, ("show", "b"))
    way.rewrite = None
    assert site.creates == []
    project.ok("start", "b")
    with project.ledger() as ledger, ledger.read() as tx:
        assert tx.exec_driver_sql("SELECT state FROM jobs").scalar() == "running"
    assert len(site.creates) == 1
