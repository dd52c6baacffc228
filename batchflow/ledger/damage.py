"""Values that no batchflow writes: what a disk, an editor or a bug made of the ledger, row by row.

Every row is read as the program reads it. One that cannot be read is a problem that is told, never an error: whoever
asks for the damage has to hear of all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from batchflow import files
from batchflow.errors import DamagedLedger
from batchflow.ledger.models import (
    BATCHES,
    EVENTS,
    JOBS,
    LABELS,
    LEASES,
    REQUESTS,
    RUNS,
    SCORES,
    SHEETS,
    SUITES,
    UPLOADS,
    VOTES,
)
from batchflow.ledger.records import BatchRecord, EventRecord, JobRecord, LeaseRecord
from batchflow.records import Outcome, Params, Parsed, VoteStatus

_RECORDS = ((BATCHES, BatchRecord), (JOBS, JobRecord), (EVENTS, EventRecord), (LEASES, LeaseRecord))
_PLAIN = (UPLOADS, LABELS, SHEETS, SUITES, SCORES, RUNS)
MOST = 20
"""Problems of one kind that are told one by one."""


def values(tx: sa.Connection) -> list[str]:
    """Lists damaged values of the ledger, at most `MOST` of each table."""
    problems: list[str] = []
    for damaged in (*(_unread(tx, *pair) for pair in _RECORDS), *(_unread(tx, table) for table in _PLAIN)):
        problems += _first(damaged)
    return [*problems, *_first(_parameters(tx)), *_first(_requests(tx)), *_first(_dangling(tx))]


def _first(problems: Iterator[str]) -> list[str]:
    first = [problem for problem, _ in zip(problems, range(MOST), strict=False)]
    return [*first, "and more of this kind"] if len(first) == MOST else first


def _unread(tx: sa.Connection, table: sa.Table, record: type[BatchRecord] | type | None = None) -> Iterator[str]:
    """Rows that the program could not read."""
    key = [sa.type_coerce(column, sa.types.NullType()) for column in table.primary_key.columns]
    for row_id in tx.execute(sa.select(*key)).fetchall():
        own = [column == value for column, value in zip(key, row_id, strict=True)]
        try:
            row = tx.execute(sa.select(table).where(*own)).one()
            if record is not None:
                record.from_row(row)  # type: ignore[attr-defined]
        except DamagedLedger as error:
            text = str(error).removeprefix("the ledger is damaged: ")
            where = next((f" {column.name}:" for column in table.columns if not _is_read(tx, column, own)), "")
            yield f"{table.name} {' '.join(map(str, row_id))}:{where} {text}"


def _is_read(tx: sa.Connection, column: sa.Column[Any], own: Sequence[sa.ColumnElement[bool]]) -> bool:
    try:
        tx.execute(sa.select(column).where(*own)).scalar_one()
    except DamagedLedger:
        return False
    return True


def _parameters(tx: sa.Connection) -> Iterator[str]:
    """Batches whose settings are none."""
    names = set(Params.__dataclass_fields__)
    for name, text in tx.execute(sa.text("SELECT name, CAST(params AS TEXT) FROM batches")):
        try:
            params = files.loads(text)
        except (ValueError, TypeError):
            continue  # told with its row
        if isinstance(params, dict) and set(params) - names:
            yield f"batches {name}: params holds {sorted(set(params) - names)}"


def _requests(tx: sa.Connection) -> Iterator[str]:
    """Requests with a word that is none, numbers that are none, or columns that are no JSON object."""
    words: dict[str, set[str]] = {"outcome": {*Outcome}, "parsed": {*Parsed}}
    for name, vocabulary in words.items():
        for (word,) in tx.execute(sa.text(f"SELECT DISTINCT {name} FROM requests WHERE {name} IS NOT NULL")):  # noqa: S608
            if word not in vocabulary:
                yield f"requests: {name} holds {str(word)[:60]!r}"
    for (word,) in tx.execute(sa.select(VOTES.c.status).distinct()):
        if word not in set(VoteStatus):
            yield f"votes: status holds {str(word)[:60]!r}"
    for (text,) in tx.execute(sa.select(REQUESTS.c.columns).distinct()):
        try:
            fits = isinstance(files.loads(text), dict)
        except (ValueError, TypeError):
            fits = False
        if not fits:
            yield f"requests: columns holds {str(text)[:60]!r}"
    yield from _wrong_types(tx)


_NUMBERS = (
    "id", "job_id", "sample", "subject_id", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens",
    "written_tokens", "written_1h_tokens", "raw_job_id", "raw_file", "raw_offset", "raw_length",
)  # fmt: skip
_TEXTS = ("custom_id", "item_id", "content", "columns", "outcome", "parsed", "error", "model")


def _wrong_types(tx: sa.Connection) -> Iterator[str]:
    """Values of another kind than their column's, which only SQLite takes."""
    if tx.dialect.name != "sqlite":
        return
    for names, kind in ((_NUMBERS, "integer"), (_TEXTS, "text")):
        for name in names:
            query = f"SELECT count(*) FROM requests WHERE typeof({name}) NOT IN ('null', '{kind}')"  # noqa: S608
            if count := tx.scalar(sa.text(query)):
                yield f"requests: {name} is no {kind} in {count} rows"
    for table, kinds in (("votes", "'null', 'real', 'integer'"), ("labels", "'real', 'integer'")):
        query = f"SELECT count(*) FROM {table} WHERE typeof(value) NOT IN ({kinds})"  # noqa: S608 - our own names
        if count := tx.scalar(sa.text(query)):
            yield f"{table}: value is no number in {count} rows"


def _dangling(tx: sa.Connection) -> Iterator[str]:
    """Answers whose bytes lie in a job that is gone."""
    query = sa.text(
        "SELECT b.name, count(*) FROM requests r JOIN jobs j ON j.id = r.job_id JOIN batches b ON b.id = j.batch_id"
        " WHERE r.raw_job_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs g JOIN batches o ON o.id = g.batch_id"
        " WHERE g.id = r.raw_job_id AND (o.id = b.id OR o.retries_id = b.id)) GROUP BY b.name"
    )
    for name, count in tx.execute(query):
        answers = "1 answer" if count == 1 else f"{count:,} answers"
        yield f"{name}: {answers} came from a retry that is gone: batchflow results {name} --again"
