"""A ledger whose values were damaged: the check finds it and never fails, and no command ends as unexpected."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing

import pytest
from helpers.crossed import WHOLE
from helpers.rehearsed import rehearsed

TABLES = {
    "batches": ("kind", "provider", "params", "options", "spec", "hint_counts", "notes", "created_at", "n_requests",
                "task", "results_at", "parent_id", "retries_id"),
    "jobs": ("state", "raw", "oddities", "ended_at", "checked_at", "n_requests", "bytes", "speed", "done", "path"),
    "requests": ("outcome", "parsed", "columns", "raw_job_id", "raw_file", "raw_offset", "raw_length", "custom_id",
                 "item_id", "sample", "input_tokens", "subject_id"),
    "events": ("event", "state", "at", "detail"),
    "votes": ("status", "subject_id", "value", "field"),
    "scores": ("summary", "made_at"),
}  # fmt: skip
VALUES = ("", "nonsense", "{", "null", "[]", "{}", "[1]", '{"a": 1}', -1, 10**12, 1.5, b"\xff\x00", "2026-13-45", "é")
COMMANDS = (("list",), ("show", "b"), ("get", "b"), ("results", "b"), ("score", "b"), ("retry", "b"), ("jury", "b"),
            ("cancel", "b"), ("start", "b"))  # fmt: skip
ALLOWED = {0, 2, 3, 4, 5, 6, 7}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A judged and scored batch with a retry, and a copy of its ledger to put back."""
    with rehearsed(tmp_path_factory.mktemp("whole")) as vendor:
        project = vendor.project
        vendor.fault("errors", call="job", fraction=0.25)
        vendor.finished(count=8)
        project.ok("retry", "b")
        project.ok("start", "b_retry_1")
        project.ok("get", "b_retry_1", "--wait", "--refresh-after", 0)
        project.ok("results", "b")
        project.ok("jury", "b", "--judges", "rule:exact,rule:normalised", "--wait")
        project.ok("score", "b")
        copy = project.folder / "kept.copy"
        project.ok("ledger", "backup", copy)
        yield vendor, copy


def put_back(project, copy):
    for suffix in ("", "-wal", "-shm"):
        project.folder.joinpath(f"batchflow.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, project.folder / "batchflow.db")


def damage(project, draw):
    """Write one value that does not belong there, as no constraint of the database's own would let through."""
    table = draw.choice(list(TABLES))
    column, value = draw.choice(TABLES[table]), draw.choice(VALUES)
    with closing(sqlite3.connect(project.folder / "batchflow.db")) as ledger:
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        key = "rowid" if table != "votes" else "request_id || field"
        (row,) = ledger.execute(f"SELECT {key} FROM {table} ORDER BY random() LIMIT 1").fetchone()
        before = ledger.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (row,)).fetchone()[0]
        try:
            ledger.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, row))
        except sqlite3.IntegrityError:
            return None
        ledger.commit()
    return table, column, before, value


@pytest.mark.parametrize("seed", range(60 if WHOLE else 30))
def test_no_command_is_surprised_and_the_check_tells(whole, seed):
    vendor, copy = whole
    put_back(vendor.project, copy)
    draw = random.Random(seed)
    what = damage(vendor.project, draw)
    if what is None:  # the database refused it
        return
    checked = vendor.project.run("ledger", "check", "--json")
    assert checked.code in {0, 4}, (what, checked)
    assert "problems" in checked.json, (what, checked)
    for words in draw.sample(COMMANDS, 4):
        ran = vendor.project.run(*words)
        assert ran.code in ALLOWED, (what, words, ran)
        assert "unexpected" not in ran.err, (what, words, ran)
        assert "Traceback" not in ran.err, (what, words, ran)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE jobs SET raw = '{'", "jobs 1"),
        ("UPDATE jobs SET raw = '[1]'", "raw holds"),
        ("UPDATE jobs SET state = 'runing'", "state holds 'runing'"),
        ("UPDATE batches SET params = '{\"heat\": 1}'", "params holds ['heat']"),
        ("UPDATE batches SET options = '[]'", "options holds"),
        ("UPDATE batches SET created_at = 'soon'", "created_at"),
        ("UPDATE batches SET n_requests = 7 WHERE name = 'b'", "batches whose requests do not add up: 1 rows"),
        ("UPDATE requests SET outcome = 'fine' WHERE outcome = 'ok'", "outcome holds 'fine'"),
        ("UPDATE requests SET outcome = NULL WHERE outcome = 'ok'", "no outcome"),
        ("UPDATE requests SET columns = 'x'", "columns holds 'x'"),
        ("UPDATE requests SET raw_offset = NULL", "without the place of their bytes"),
        ("UPDATE votes SET status = 'yes'", "status holds 'yes'"),
        ("UPDATE votes SET value = 'yes'", "votes: value is no number in 16 rows"),
        ("UPDATE events SET detail = 'x'", "events "),
        ("UPDATE scores SET summary = ''", "scores 1"),
    ],
)
def test_the_check_names_what_is_damaged(whole, statement, text):
    vendor, copy = whole
    put_back(vendor.project, copy)
    with closing(sqlite3.connect(vendor.project.folder / "batchflow.db")) as ledger:
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        ledger.execute(statement)
        ledger.commit()
    checked = vendor.project.run("ledger", "check", "--json")
    assert checked.code == 4
    assert any(text in problem for problem in checked.json["problems"]), checked.json["problems"]


@pytest.mark.parametrize("value", ["", "{", "null", "[1]", "7"])
def test_columns_that_are_no_object_are_told_wherever_they_are_read(whole, value):
    vendor, copy = whole
    put_back(vendor.project, copy)
    with closing(sqlite3.connect(vendor.project.folder / "batchflow.db")) as ledger:
        ledger.execute("UPDATE requests SET columns = ? WHERE id = (SELECT min(id) FROM requests)", (value,))
        ledger.commit()
    for command in (("score", "b"), ("score", "b", "--by", "category")):
        assert "the ledger is damaged: request" in vendor.project.refused(4, *command)
    assert vendor.project.run("ledger", "check").code == 4
