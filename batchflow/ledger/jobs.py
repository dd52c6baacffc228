"""Jobs: queries, and `move`, the only writer of `jobs.state`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from batchflow.errors import StaleState
from batchflow.ledger import dialect
from batchflow.ledger.models import BATCHES, EVENTS, JOBS
from batchflow.ledger.records import BatchRecord, EventRecord, JobRecord
from batchflow.states import MOVES, Event, State

CLOCKS_APART = timedelta(minutes=1)  # how far the clocks of hosts that share a ledger may be from each other

_IN_QUEUE = [state.value for state in (State.STARTING, State.SENDING, State.RUNNING, State.UNSURE)]


def insert(tx: sa.Connection, batch_id: int, **facts: Any) -> int:
    """Add a job in state `prepared` and return its id."""
    values = {"batch_id": batch_id, "state": State.PREPARED.value, "raw": [], "oddities": {}, "adopted": False, **facts}
    return int(tx.execute(sa.insert(JOBS).values(values).returning(JOBS.c.id)).scalar_one())


def of_batch(tx: sa.Connection, batch_id: int) -> tuple[JobRecord, ...]:
    """The jobs of a batch, by part."""
    rows = tx.execute(sa.select(JOBS).where(JOBS.c.batch_id == batch_id).order_by(JOBS.c.part))
    return tuple(JobRecord.from_row(row) for row in rows)


def with_retries(tx: sa.Connection, batch_id: int) -> tuple[JobRecord, ...]:
    """The jobs whose raw output may hold a batch's answers: its own, and those of the batches that retry it."""
    retries = sa.select(BATCHES.c.id).where(BATCHES.c.retries_id == batch_id)
    query = sa.select(JOBS).where(sa.or_(JOBS.c.batch_id == batch_id, JOBS.c.batch_id.in_(retries)))
    return tuple(JobRecord.from_row(row) for row in tx.execute(query.order_by(JOBS.c.id)))


def get(tx: sa.Connection, job_id: int) -> JobRecord:
    """One job. Raises StaleState when it was deleted meanwhile."""
    row = tx.execute(sa.select(JOBS).where(JOBS.c.id == job_id)).first()
    if row is None:
        raise StaleState(f"job {job_id} was deleted meanwhile", hint="batchflow list")
    return JobRecord.from_row(row)


def move(
    tx: sa.Connection,
    job_id: int,
    what: Event,
    *,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
    where: sa.ColumnElement[bool] | None = None,
    **facts: Any,
) -> State:
    """Apply one event: a guarded UPDATE and a row of history in the caller's transaction.

    facts: columns to set with it. where: a further guard. Raises StaleState when no row moved.
    """
    befores, after = MOVES[what]
    statement = sa.update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state.in_([state.value for state in befores]))
    if where is not None:
        statement = statement.where(where)
    if tx.execute(statement.values(state=after.value, **facts)).rowcount != 1:
        current = tx.scalar(sa.select(JOBS.c.state).where(JOBS.c.id == job_id))
        raise StaleState(
            f"job {job_id} is {current or 'gone'}: another process moved it before this one could {what.value} it",
            hint="run the same command again",
        )
    batch_id = sa.select(JOBS.c.batch_id).where(JOBS.c.id == job_id).scalar_subquery()
    row = {"batch_id": batch_id, "job_id": job_id, "event": what.value, "state": after.value, "at": now}
    tx.execute(sa.insert(EVENTS).values(**row, detail=dict(detail or {})))
    return after


def as_seen(job: JobRecord) -> sa.ColumnElement[bool]:
    """Guard for `move`: state and owner are still those that were seen."""
    owner = JOBS.c.claimed_by.is_(None) if job.claimed_by is None else JOBS.c.claimed_by == job.claimed_by
    return sa.and_(JOBS.c.state == job.state.value, owner)


def renew(tx: sa.Connection, job: JobRecord, *, now: datetime) -> bool:
    """Give a sign of life for the claim under which a job is; False where it is under another one, or none."""
    mine = sa.update(JOBS).where(JOBS.c.id == job.id, JOBS.c.token == job.token, JOBS.c.state == State.STARTING.value)
    return tx.execute(mine.values(claimed_at=now)).rowcount == 1


def note(tx: sa.Connection, job_id: int, **facts: Any) -> None:
    """Set facts that are not the state: progress, file ids, errors."""
    if "state" in facts:
        raise ValueError("the state is written by move() only")
    tx.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(**facts))


def may_ask(tx: sa.Connection, job_id: int, *, now: datetime, answered_before: datetime, until: datetime) -> bool:
    """Take the right to ask the vendor about a job until `until`; False when somebody asked or heard a moment ago.

    answered_before: an answer that is younger is young enough. A vendor's wish to be left alone is kept. An answer from
    the future was noted by a clock that was put back since: it and what it asked for count for nothing.
    """
    ahead = sa.update(JOBS).where(JOBS.c.id == job_id, JOBS.c.checked_at > now + CLOCKS_APART)
    tx.execute(ahead.values(checked_at=None, next_check_at=None))
    free = sa.or_(JOBS.c.next_check_at.is_(None), JOBS.c.next_check_at <= now)
    old = sa.or_(JOBS.c.checked_at.is_(None), JOBS.c.checked_at <= answered_before)
    statement = sa.update(JOBS).where(JOBS.c.id == job_id, free, old).values(next_check_at=until)
    return tx.execute(statement).rowcount == 1


def history(tx: sa.Connection, batch_id: int) -> tuple[EventRecord, ...]:
    """Events of a batch's jobs, oldest first."""
    rows = tx.execute(sa.select(EVENTS).where(EVENTS.c.batch_id == batch_id).order_by(EVENTS.c.id))
    return tuple(EventRecord.from_row(row) for row in rows)


def last_detail(tx: sa.Connection, job_id: int, what: Event) -> Mapping[str, Any]:
    """Returns the details of the latest event of a kind; empty without one."""
    query = sa.select(EVENTS.c.detail).where(EVENTS.c.job_id == job_id, EVENTS.c.event == what.value)
    return tx.scalar(query.order_by(EVENTS.c.id.desc()).limit(1)) or {}


def tokens(tx: sa.Connection, job_id: int) -> frozenset[str]:
    """Every token under which a job was ever claimed, as far as its history tells."""
    query = sa.select(EVENTS.c.detail).where(EVENTS.c.job_id == job_id, EVENTS.c.event == Event.CLAIM.value)
    return frozenset(str(detail["token"]) for detail in tx.scalars(query) if detail and "token" in detail)


def others_out(tx: sa.Connection, job: JobRecord, provider: str) -> int:
    """Counts the other running jobs of a provider."""
    there = sa.select(BATCHES.c.id).where(BATCHES.c.provider == provider)
    out = (JOBS.c.state == State.RUNNING.value, JOBS.c.id != job.id, JOBS.c.batch_id.in_(there))
    return int(tx.scalar(sa.select(sa.func.count()).select_from(JOBS).where(*out)) or 0)


class Queued(NamedTuple):
    """A job that is out, or about to be, and its batch."""

    batch: BatchRecord
    job: JobRecord


def queued(tx: sa.Connection, batch: BatchRecord) -> list[Queued]:
    """The jobs that stand in the same vendor's queue as a batch's, those whose create is in doubt included."""
    same = (BATCHES.c.provider == batch.provider, BATCHES.c.rehearsal == batch.rehearsal)
    query = sa.select(JOBS).join(BATCHES, BATCHES.c.id == JOBS.c.batch_id).where(*same, JOBS.c.state.in_(_IN_QUEUE))
    parts = [JobRecord.from_row(row) for row in tx.execute(query.order_by(JOBS.c.id))]
    owners = sa.select(BATCHES).where(BATCHES.c.id.in_({job.batch_id for job in parts}))
    by_id = {row.id: BatchRecord.from_row(row) for row in tx.execute(owners)} if parts else {}
    return [Queued(by_id[job.batch_id], job) for job in parts]


def remote_ids(tx: sa.Connection) -> frozenset[str]:
    """Vendor ids that the ledger owns already."""
    return frozenset(str(row[0]) for row in tx.execute(sa.select(JOBS.c.remote_id)) if row[0])


def adopted_ids(tx: sa.Connection) -> frozenset[str]:
    """Vendor ids that jobs were given after a lost create, and that no fetched custom_id has confirmed yet."""
    open_ = JOBS.c.state.in_([State.RUNNING.value, State.ENDED.value])
    query = sa.select(JOBS.c.remote_id).where(JOBS.c.adopted, open_)
    return frozenset(str(row[0]) for row in tx.execute(query) if row[0])


def rivals(tx: sa.Connection, job: JobRecord, provider: str) -> tuple[str, ...]:
    """Names of batches whose jobs of the same size may be at a provider too, as far as anybody knows."""
    doubtful = JOBS.c.state.in_([State.SENDING.value, State.UNSURE.value])
    alike = (doubtful, JOBS.c.n_requests == job.n_requests, JOBS.c.id != job.id, BATCHES.c.provider == provider)
    query = sa.select(BATCHES.c.name).join(JOBS, JOBS.c.batch_id == BATCHES.c.id).where(*alike)
    return tuple(str(name) for name in tx.scalars(query.distinct().order_by(BATCHES.c.name)))


def durations(tx: sa.Connection, provider: str, *, rehearsal: bool, most: int) -> tuple[tuple[str, int, float], ...]:
    """The last jobs of a provider that came to their end: model, requests, and seconds from its yes to its end.

    Jobs that were cancelled or lost tell nothing. rehearsal: of rehearsed batches, else of real ones.
    """
    query = sa.select(BATCHES.c.model, JOBS.c.n_requests, JOBS.c.accepted_at, JOBS.c.ended_at, JOBS.c.word)
    query = query.join(JOBS, JOBS.c.batch_id == BATCHES.c.id).where(
        BATCHES.c.provider == provider,
        BATCHES.c.rehearsal == rehearsal,
        JOBS.c.state.in_([State.ENDED.value, State.FETCHED.value]),
        JOBS.c.accepted_at.is_not(None),
        JOBS.c.ended_at.is_not(None),
    )
    rows = tx.execute(query.order_by(JOBS.c.ended_at.desc()).limit(most))
    return tuple(
        (str(row.model), int(row.n_requests), (row.ended_at - row.accepted_at).total_seconds())
        for row in rows
        if "cancel" not in (row.word or "").lower() and row.ended_at > row.accepted_at
    )


def clock(tx: sa.Connection) -> datetime:
    """The ledger's own time, which all hosts that share it share as well: claims are dated and judged by it."""
    return dialect.now(tx)
