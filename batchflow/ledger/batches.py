"""Batches: insert, look up, list, delete."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batchflow.errors import UnknownBatch
from batchflow.ledger.models import (
    BATCHES,
    EVENTS,
    JOBS,
    LABELS,
    LEASES,
    META,
    REQUESTS,
    SCORES,
    SEQ_BITS,
    UPLOADS,
    VOTES,
)
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind

_B = BATCHES.c


def request_range(batch_id: int) -> tuple[int, int]:
    """First id of a batch's requests, and the first one beyond."""
    return batch_id << SEQ_BITS, (batch_id + 1) << SEQ_BITS


def ledger_id(tx: sa.Connection) -> str:
    """Id that tells this ledger's batches from another's at the same vendor."""
    return str(tx.scalar(sa.select(META.c.value).where(META.c.key == "ledger_id")))


def insert(tx: sa.Connection, **facts: Any) -> int:
    """Add a batch and return its id."""
    return int(tx.execute(sa.insert(BATCHES).values(**facts).returning(_B.id)).scalar_one())


def find(tx: sa.Connection, name: str) -> BatchRecord | None:
    """The batch of that name, or None."""
    row = tx.execute(sa.select(BATCHES).where(_B.name == name)).first()
    return BatchRecord.from_row(row) if row is not None else None


def get(tx: sa.Connection, name: str) -> BatchRecord:
    """The batch of that name. Raises UnknownBatch, naming those that are close."""
    found = find(tx, name)
    if found is None:
        names = [str(row[0]) for row in tx.execute(sa.select(_B.name))]
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "batchflow list shows the names"
        if not names:
            hint = "this ledger has no batches: is it the right folder? --project names another one"
        raise UnknownBatch(f"no batch is named {name!r}", hint=hint)
    return found


def by_id(tx: sa.Connection, batch_id: int) -> BatchRecord:
    """One batch by its key. Raises UnknownBatch."""
    row = tx.execute(sa.select(BATCHES).where(_B.id == batch_id)).first()
    if row is None:
        raise UnknownBatch(f"batch {batch_id} was deleted meanwhile", hint="batchflow list")
    return BatchRecord.from_row(row)


def listing(tx: sa.Connection) -> tuple[BatchRecord, ...]:
    """All batches, oldest first."""
    return tuple(BatchRecord.from_row(row) for row in tx.execute(sa.select(BATCHES).order_by(_B.id)))


def judges_of(tx: sa.Connection, parent_id: int) -> tuple[BatchRecord, ...]:
    """The jury of a batch, oldest first; batches that retry a judge are not judges of their own."""
    query = (
        sa.select(BATCHES)
        .where(_B.parent_id == parent_id, _B.kind == Kind.JUDGE.value, _B.retries_id.is_(None))
        .order_by(_B.id)
    )
    return tuple(BatchRecord.from_row(row) for row in tx.execute(query))


def retries_of(tx: sa.Connection, batch_id: int) -> tuple[BatchRecord, ...]:
    """Batches that ask some of this one's requests again, oldest first."""
    query = sa.select(BATCHES).where(_B.retries_id == batch_id).order_by(_B.id)
    return tuple(BatchRecord.from_row(row) for row in tx.execute(query))


def note(tx: sa.Connection, batch_id: int, **facts: Any) -> None:
    """Set columns of a batch."""
    tx.execute(sa.update(BATCHES).where(_B.id == batch_id).values(**facts))


def record_score(tx: sa.Connection, batch_id: int, *, field: str, method: str, now: datetime, summary: Any) -> None:
    """Keep a score that was shown."""
    tx.execute(sa.insert(SCORES).values(batch_id=batch_id, field=field, method=method, made_at=now, summary=summary))


def delete(tx: sa.Connection, batch_ids: Iterable[int]) -> None:
    """Remove batches with everything that belongs to them. The caller names children before their parents."""
    for batch_id in batch_ids:
        low, high = request_range(batch_id)
        tx.execute(sa.delete(LABELS).where(LABELS.c.request_id >= low, LABELS.c.request_id < high))
        tx.execute(sa.delete(VOTES).where(VOTES.c.request_id >= low, VOTES.c.request_id < high))
        tx.execute(sa.delete(REQUESTS).where(REQUESTS.c.id >= low, REQUESTS.c.id < high))
        tx.execute(sa.delete(EVENTS).where(EVENTS.c.batch_id == batch_id))
        its_jobs = sa.select(JOBS.c.id).where(JOBS.c.batch_id == batch_id)
        tx.execute(sa.delete(LEASES).where(LEASES.c.job_id.in_(its_jobs)))
        tx.execute(sa.delete(UPLOADS).where(UPLOADS.c.job_id.in_(its_jobs)))
        tx.execute(sa.delete(JOBS).where(JOBS.c.batch_id == batch_id))
        tx.execute(sa.delete(SCORES).where(SCORES.c.batch_id == batch_id))
        tx.execute(sa.delete(BATCHES).where(_B.id == batch_id))
