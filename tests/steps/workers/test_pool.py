"""Endpoints that come and go while a batch runs."""

from __future__ import annotations

import json

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.engine import serving
from helpers.until import until

ROWS = 40
ELSEWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project", toml=IMPATIENT)


def rows_of(project):
    return {row["url"]: row for row in project.ok("pool", "list")["endpoints"]}


def log(project):
    return "".join(path.read_text() for path in project.folder.glob("processed_files/.local/*/worker.log"))


def test_an_endpoint_joins_takes_its_share_and_leaves_what_it_answered(project):
    """The first one is removed while it holds requests: it answers these, and the second one does the rest."""
    dataset(project.folder / "d.jsonl", count=ROWS)
    with serving("m") as first, serving("m") as second, serving("other") as third:
        flags = (
            "--provider",
            "local",
            "--base-url",
            first.url,
            "--model",
            "m",
            "--concurrency",
            4,
            "--per-endpoint",
            2,
        )
        project.ok("prepare", *flags, "--name", "b", "--dataset", "d.jsonl")
        first.gate.clear(), second.gate.clear()
        project.ok("start", "b")
        until(lambda: len(first.calls) == 2)  # its window is full
        for url in (third.url, second.url):
            project.ok("pool", "add", url)
        until(lambda: len(second.calls) == 2)
        until(lambda: f"{third.url} does not join yet" in log(project))
        seen = until(lambda: (rows := rows_of(project)).get(second.url, {}).get("in_flight") == 2 and rows)
        assert {url: row["state"] for url, row in seen.items()} == {first.url: "own", second.url: "in", third.url: "in"}
        assert (seen[second.url]["window"], seen[second.url]["workers"], seen[third.url]["workers"]) == (2, 1, 0)
        project.ok("pool", "remove", first.url)
        until(lambda: f"{first.url} has left the pool" in log(project))
        first.gate.set(), second.gate.set()
        project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert project.ok("results", "b")["outcomes"] == {"ok": ROWS}
        assert (len(first.calls), len(second.calls), len(third.calls)) == (2, ROWS - 2, 0)
        assert rows_of(project)[first.url]["state"] == "out"
        (engine,) = project.ok("show", "b")["engines"]
        assert engine["base_urls"] == [second.url]


def test_the_file_is_changed_by_url_and_what_nobody_asks_is_refused(project):
    assert project.ok("pool", "list")["endpoints"] == []
    (row,) = project.ok("pool", "add", "127.0.0.1:9", "--model", "m")["endpoints"]
    assert (row["url"], row["model"], row["state"]) == (ELSEWHERE, "m", "in")
    assert "127.0.0.1:9/v1" in project.run("pool", "list").out
    assert f"no batch asks it\n  what to do: endpoints: {ELSEWHERE}" in project.refused(2, "pool", "remove", "h:1")
    assert "is not a base URL" in project.refused(2, "pool", "add", "ftp://h")
    assert project.ok("pool", "remove", ELSEWHERE)["endpoints"] == []
    path = project.folder / "processed_files/.local/pool.json"
    path.write_text(json.dumps({"endpoints": [1]}))
    assert "remove it, and add the endpoints again" in project.refused(3, "pool", "list")
