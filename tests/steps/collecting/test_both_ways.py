"""A whole batch, with the fast way on and off: the same outcomes and votes in the ledger, the same results file."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from helpers.commands import dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow import files
from batchflow import settings as configuration
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.models import JOBS
from batchflow.settings import VENDORS
from batchflow.states import State
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


def _openai(custom_id, text, used=3):
    details = {"cached_tokens": used and used // 2, "cache_write_tokens": used and used // 3}
    usage = used and {"prompt_tokens": used, "completion_tokens": 2, "prompt_tokens_details": details}
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    body = {"model": f"m{used}", "choices": [choice], "usage": usage}
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def _responses(custom_id, text, used=3):
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    usage = used and {"input_tokens": used, "output_tokens": 2}
    body = {"object": "response", "model": "m", "status": "completed", "output": output, "usage": usage}
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def _anthropic(custom_id, text, used=None):
    usage = used and {"input_tokens": used, "cache_read_input_tokens": 5, "output_tokens": 2}
    message = {"id": "r", "model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": text}]}
    message |= {"usage": usage} if used else {}
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}


def _gemini(custom_id, text, used=None):
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    response = {"candidates": [candidate], "modelVersion": "m"}
    response |= {"usageMetadata": {"promptTokenCount": used, "thoughtsTokenCount": 7}} if used else {}
    return {"key": custom_id, "response": response}


_SHAPES = {"anthropic": [_anthropic], "gemini": [_gemini], "openai": [_openai, _responses]}


def _prepared(project, provider):
    dataset(project.folder / "data.jsonl", count=COUNT)
    options = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1") if provider == "local" else ()
    project.ok("prepare", "--provider", provider, *options, "--dataset", "data.jsonl", "--name", "b")
    with sqlite3.connect(project.folder / "batchflow.db") as database:
        database.execute("UPDATE jobs SET state = 'ended', remote_id = 'r'")
        return [row[0] for row in database.execute("SELECT custom_id FROM requests ORDER BY id")]


def _adds_up(ledger, number):
    """What a job keeps of its rows is what the ledger's own queries say of them."""
    with ledger.read() as tx:
        job, counts = jobs.get(tx, number), tx.scalar(sa.select(JOBS.c.counts).where(JOBS.c.id == number))
        assert job.usage == request_rows.usage_of(tx, number)
        blind = 0 if job.cost["free"] else request_rows.without_usage(tx, number)
        assert job.cost["requests"] == sum(row[1] for row in job.usage) + blind
        assert sorted(counts or [], key=str) == (sorted(request_rows.counts_of(tx, number), key=str) if counts else [])
        assert bool(counts) is (job.state is State.FETCHED)


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
        with ledger.read() as tx:
            (job,) = jobs.of_batch(tx, batch.id)
        (project.folder / path).write_bytes(raw)
        file = {"kind": "output", "path": str(path), "bytes": len(raw), "sha256": files.digest(raw)}
        session = VendorSession(context, registry.get(batch.provider), None, batch)
        fetch.decode(session, job, fetch.Brought([file]))
        _adds_up(ledger, number)
        written = fetch.write_results(context, batch).read_bytes()
    with sqlite3.connect(project.folder / "batchflow.db") as database:
        rows = database.execute("SELECT * FROM requests WHERE job_id = ? ORDER BY id", (number,)).fetchall()
        votes = database.execute("SELECT * FROM votes ORDER BY request_id, field").fetchall()
        (oddities,) = database.execute("SELECT oddities FROM jobs WHERE id = ?", (number,)).fetchone()
    return rows, votes, json.loads(oddities), written


_USED = [None, 3, 3, 3, 1000, 1001, 70_000, 2**31 - 2, 2**31 + 5]


def _strangers(custom_id):
    """Ids that are none of a batch's, however like one they look."""
    place, nonce, item = custom_id.split("-", 2)
    others = [
        f"{place}-{nonce}",
        f"-{nonce}-{item}",
        f"x-{nonce}-{item}",
        f"+{place}-{nonce}-{item}",
        f"{place}-{nonce}x",
    ]
    others += [f"0{place}-{nonce}-{item}", f"{'0' * 10}{place}-{nonce}-{item}", f"\u0661-{nonce}-{item}", f"9-{nonce}-"]
    return [custom_id[:-1], "99-00000000-x", *others]


def _agreeing(project, ids, shapes, texts, name="b", examples=12):
    """Take up rows of any texts, whole and cut, the fast way and the tolerant way."""
    line = st.builds(
        lambda *row: files.dumps(row[0](*row[1:])),
        *(st.sampled_from(choices) for choices in (shapes, [*ids, *_strangers(ids[0])], texts, _USED)),
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
