"""Raw rows are read while nobody waits for the ledger."""

from __future__ import annotations

import sqlite3

from batchflow.steps.base import answer_form
from batchflow.texts import parsing
from batchflow.vendors import registry

JUDGE = "openai:gpt-6-sol"


def _ledger(folder):
    return next(path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:6] == b"SQLite")


def test_answers_and_votes_are_read_outside_of_the_write_transaction(vendor, monkeypatch):
    seen = []

    def watched(read):
        def reader(*told):
            with sqlite3.connect(_ledger(vendor.project.folder), timeout=0) as other:
                other.execute("BEGIN IMMEDIATE")  # fails where another writes
                other.rollback()
            seen.append(read.__name__)
            return read(*told)

        return reader

    vendor.ended(count=3)
    with monkeypatch.context() as patch:
        patch.setattr(answer_form, "strict_answers", lambda schema: watched(registry.strict_answers(schema)))
        vendor.project.ok("results", "b")
    (judge,) = vendor.project.ok("jury", "b", "--judges", JUDGE, "--start")["batches"]
    vendor.project.run("get", judge["name"], "--refresh-after", 0)
    with monkeypatch.context() as patch:
        patch.setattr(parsing, "parse_verdict", watched(parsing.parse_verdict))
        vendor.project.ok("results", judge["name"])
    assert set(seen) == {"is_strict", "parse_verdict"}
    assert vendor.project.ok("score", "b")["votes_missing"] == 0


def test_the_votes_on_another_jobs_rows_stay_when_one_is_read(vendor):
    (vendor.project.folder / "batchflow.toml").write_text(vendor.project.toml + "[limits.openai]\nrequests = 2\n")
    vendor.finished(count=4)
    (judge,) = vendor.project.ok("jury", "b", "--judges", JUDGE, "--start")["batches"]
    vendor.project.run("get", judge["name"], "--refresh-after", 0)
    made = vendor.project.ok("results", judge["name"])
    assert len(judge["files"]) == 2
    assert made["outcomes"] == {"ok": 4}
    score = vendor.project.ok("score", "b")
    assert (score["n_judged"], score["votes_missing"], score["votes_unparsed"]) == (4, 0, 0)
