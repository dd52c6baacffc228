"""A whole batch, with the fast way on and off: the same outcomes and votes in the ledger, the same results file."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from helpers.commands import dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow import files
from batchflow import settings as configuration
from batchflow.ledger import batches, jobs, request_rows
from batchflow.settings import VENDORS
from batchflow.steps.base import answer_form
from batchflow.steps.base.context import Context
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import fetch
from batchflow.vendors import registry

COUNT = 6
_TEXTS = [
    '{"justification": "It is.", "answer": "4"}', '{"answer":"4","justification":"Ünder 😀"}', '{"answer": "4"}', "no",
    '{"justification": "\\\\text{x}", "answer": "4"}', '{"justification": "a", "answer": "b", "answer": "c"}', "",
    '```json\n{"justification": "x", "answer": "y"}\n```', '<think>hm</think>{"justification":"a","answer":"b"}',
]  # fmt: skip


_VERDICTS = [
    '{"is_answer_correct": true, "is_justification_correct": false}', '{"is_answer_correct":false}', "true", "",
    '```json\n{"is_answer_correct": true, "is_justification_correct": true}\n```',
    '<think>no</think>{"is_answer_correct": false, "is_justification_correct": null}',
]  # fmt: skip


def _openai(custom_id, text):
    body = {"model": "m", "choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": {
        "prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def _responses(custom_id, text):
    content = [{"type": "output_text", "text": text}]
    body = {"object": "response", "model": "m", "status": "completed", "output": [
        {"type": "message", "content": content}], "usage": {"input_tokens": 3, "output_tokens": 2}}  # fmt: skip
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def _anthropic(custom_id, text):
    message = {"id": "r", "model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": text}]}
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}


def _gemini(custom_id, text):
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return {"key": custom_id, "response": {"candidates": [candidate], "modelVersion": "m"}}


_SHAPES = {"anthropic": [_anthropic], "gemini": [_gemini], "openai": [_openai, _responses]}


def _prepared(project, provider):
    dataset(project.folder / "data.jsonl", count=COUNT)
    options = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1") if provider == "local" else ()
    project.ok("prepare", "--provider", provider, *options, "--dataset", "data.jsonl", "--name", "b")
    with sqlite3.connect(project.folder / "batchflow.db") as database:
        database.execute("UPDATE jobs SET state = 'ended', remote_id = 'r'")
        return [row[0] for row in database.execute("SELECT custom_id FROM requests ORDER BY id")]


def _taken_up(project, raw, name="b"):
    """What the ledger and the results file hold of a batch of one job once these bytes are taken up."""
    with project.ledger() as ledger:
        context = Context(ledger, configuration.load(project.folder, {}))
        with ledger.read() as tx:
            batch = batches.get(tx, name)
            ((number, path),) = (
                (job.id, Path(job.path).with_suffix(".output.raw")) for job in jobs.of_batch(tx, batch.id)
            )
        with sqlite3.connect(project.folder / "batchflow.db") as database:
            database.execute(
                "UPDATE jobs SET state = 'ended', remote_id = 'r' || id, raw = '[]', oddities = '{}' WHERE id = ?",
                (number,),
            )
            database.execute("UPDATE requests SET outcome = NULL, raw_file = NULL WHERE job_id = ?", (number,))
        with ledger.read() as tx:
            (job,) = jobs.of_batch(tx, batch.id)
        (project.folder / path).write_bytes(raw)
        file = {"kind": "output", "path": str(path), "bytes": len(raw), "sha256": files.digest(raw)}
        session = VendorSession(context, registry.get(batch.provider), None, batch)
        fetch.decode(session, job, fetch.Brought([file]))
        written = fetch.write_results(context, batch).read_bytes()
    with sqlite3.connect(project.folder / "batchflow.db") as database:
        rows = database.execute("SELECT * FROM requests WHERE job_id = ? ORDER BY id", (number,)).fetchall()
        votes = database.execute("SELECT * FROM votes ORDER BY request_id, field").fetchall()
        (oddities,) = database.execute("SELECT oddities FROM jobs WHERE id = ?", (number,)).fetchone()
    return rows, votes, json.loads(oddities), written


def _agreeing(project, ids, shapes, texts, name="b", examples=12):
    """Take up rows of any texts, whole and cut, the fast way and the tolerant way."""
    line = st.builds(
        lambda shape, custom_id, text: files.dumps(shape(custom_id, text)),
        *(st.sampled_from(choices) for choices in (shapes, [*ids, ids[0][:-1], "99-00000000-x"], texts)),
    )
    scrap = st.sampled_from([b"", b" ", b"1e999", b"\xff", b"\\ud800", b'"', b"{}", b"[", b'"error":{},', b"\r\n"])
    cut = st.builds(lambda row, at, scrap: row[:at] + scrap + row[at + 1 :], line, st.integers(0, 300), scrap)

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(lines=st.lists(line | cut, max_size=2 * COUNT))
    def agrees(lines):
        raw = b"\n".join(lines)
        fast = _taken_up(project, raw, name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registry, "plain_reader", lambda name: None)
            patch.setattr(registry, "whole_reader", lambda name: None)
            patch.setattr(answer_form, "strict_answers", lambda schema: None)
            assert _taken_up(project, raw, name) == fast

    agrees()


@pytest.mark.parametrize("provider", [*VENDORS, "local"])
def test_the_fast_way_changes_nothing(project, provider):
    ids = _prepared(project, provider)
    _agreeing(project, ids, _SHAPES.get(provider, [_openai]), _TEXTS)


@pytest.mark.parametrize("provider", VENDORS)
def test_the_fast_way_changes_no_vote(project, provider):
    ids = _prepared(project, "openai")
    _taken_up(project, b"\n".join(files.dumps(_openai(custom_id, _TEXTS[0])) for custom_id in ids))
    (judge,) = project.ok("jury", "b", "--judges", provider)["batches"]
    shapes, shape = _SHAPES.get(provider, [_openai]), _SHAPES.get(provider, [_openai])[0]
    with project.ledger() as ledger, ledger.read() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, judge["name"]).id)
        asked = list(request_rows.custom_ids(tx, job.id))
    rows = [files.dumps(shape(custom_id, text)) for custom_id, text in zip(asked, _VERDICTS, strict=False)]
    _, votes, _, _ = _taken_up(project, b"\n".join(rows), judge["name"])
    assert {vote[4] for vote in votes} > {1.0, 0.0}
    _agreeing(project, asked, shapes, _VERDICTS, judge["name"], examples=6)


def test_rows_in_any_order_and_in_many_chunks(project, monkeypatch):
    ids = _prepared(project, "openai")
    monkeypatch.setattr("batchflow.steps.collecting.outcomes.CHUNK", 2)
    lines = [files.dumps(_openai(custom_id, _TEXTS[0])) for custom_id in ids]
    failed = files.dumps({"id": "r", "custom_id": ids[3], "error": {"message": "no"}})
    stranger = files.dumps(_openai(ids[2] + "x", _TEXTS[0]))
    raw = b"\n".join([failed, stranger, *reversed(lines), lines[1], failed, b"garbage"])
    _, _, oddities, written = _taken_up(project, raw)
    assert oddities == {"unknown_id": 1, "duplicate": 3, "garbage_line": 1}
    assert [json.loads(line)["request"] for line in written.splitlines()] == ids
    assert {json.loads(line)["outcome"] for line in written.splitlines()} == {"ok"}
