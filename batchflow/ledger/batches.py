"""Batches: insert, look up, list, delete."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batchflow.errors import UnknownBatch, UsageError
from batchflow.ledger import suites
from batchflow.ledger.columns import MOST
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


LAST = "@last"
"""Handle of the batch of questions that was made last: the one whose pipeline a user is in."""

CANDIDATES = 8
"""Most names that an error lists."""


def get(tx: sa.Connection, text: str, *, whole: bool = False) -> BatchRecord:
    """The batch of a name, of a handle (`@3`, `@last`), or of the beginning of one name only.

    whole: only a whole name or a number, which mean the same batch whenever they are typed. A beginning that a batch
    and its retries share means that batch. Raises UnknownBatch, naming those that are close or those that begin so,
    and UsageError for the name of a suite.
    """
    match = find(tx, text) or _by_handle(tx, text)
    if match is None and (suite := suites.find(tx, text)):
        raise UsageError(
            f"{text} is a suite of {len(suite.members)} batches, and this takes a single batch",
            hint=f"name one of them: {', '.join(member.batch for member in suite.members)}",
        )
    begun = [] if match else _begun(tx, text)
    if whole and (text == LAST or len(begun) == 1) and (meant := match or begun[0]):
        text = f"{text!r} may mean another batch the next time: this command takes whole names and numbers only"
        raise UnknownBatch(text, hint=f"did you mean {meant.name} ({meant.handle})?")
    if match is not None:
        return match
    if len(begun) == 1:
        return begun[0]
    if len(begun) > 1:
        shown = ", ".join(f"{batch.name} ({batch.handle})" for batch in begun[:CANDIDATES])
        more = f" and {len(begun) - CANDIDATES} more" if len(begun) > CANDIDATES else ""
        raise UnknownBatch(f"{len(begun)} batches have a name that begins with {text!r}", hint=f"{shown}{more}")
    raise _unknown(tx, text)


def _by_handle(tx: sa.Connection, text: str) -> BatchRecord | None:
    query = sa.select(BATCHES)
    if text == LAST:
        questions = _B.kind == Kind.PREDICTION.value, _B.retries_id.is_(None)
        query = query.where(*questions).order_by(_B.id.desc()).limit(1)
    elif text[:1] == "@" and text[1:].isascii() and text[1:].isdecimal() and int(text[1:]) <= MOST:
        query = query.where(_B.id == int(text[1:]))
    else:
        return None
    row = tx.execute(query).first()
    return BatchRecord.from_row(row) if row is not None else None


def _begun(tx: sa.Connection, text: str) -> list[BatchRecord]:
    """Batches whose name begins so, without the retries of one that does."""
    query = sa.select(BATCHES).where(_B.name.startswith(text, autoescape=True)).order_by(_B.id)
    rows = [BatchRecord.from_row(row) for row in tx.execute(query)] if text else []
    candidates = [batch for batch in rows if batch.name.startswith(text)]  # LIKE may be blind to case
    ids = {batch.id for batch in candidates}
    return [batch for batch in candidates if batch.retries_id not in ids]


def _unknown(tx: sa.Connection, text: str) -> UnknownBatch:
    names = [str(row[0]) for row in tx.execute(sa.select(_B.name))]
    close = difflib.get_close_matches(text, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "batchflow list shows the names"
    if not names:
        hint = "this ledger has no batches: is it the right folder? --project names another one"
    if text.startswith("@"):
        return UnknownBatch(f"no batch has the handle {text!r}", hint=hint)
    return UnknownBatch(f"no batch is named {text!r}", hint=hint)


def with_id(tx: sa.Connection, batch_id: int) -> BatchRecord | None:
    """One batch by its key; None where it was deleted."""
    row = tx.execute(sa.select(BATCHES).where(_B.id == batch_id)).first()
    return BatchRecord.from_row(row) if row is not None else None


def by_id(tx: sa.Connection, batch_id: int) -> BatchRecord:
    """One batch by its key. Raises UnknownBatch."""
    if (batch := with_id(tx, batch_id)) is None:
        raise UnknownBatch(f"batch {batch_id} was deleted meanwhile", hint="batchflow list")
    return batch


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


def scored_at(tx: sa.Connection, batch_id: int) -> datetime | None:
    """Time of a batch's last score; None before there is one."""
    query = sa.select(SCORES.c.made_at).where(SCORES.c.batch_id == batch_id).order_by(SCORES.c.made_at.desc()).limit(1)
    return tx.execute(query).scalar()


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
