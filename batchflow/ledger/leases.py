"""Leases: which process works a local job off, and when it gave its last sign of life.

At most one row a job. A holder beats in time or loses it: a lease holds for `length_s` after `beat_at`, both by the
ledger's own clock (`now`), so that hosts whose clocks disagree agree on whether it has run out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from batchflow.ledger import dialect
from batchflow.ledger.models import BATCHES, JOBS, LEASES
from batchflow.ledger.records import LeaseRecord

_L = LEASES.c


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that wants to work on a job. token: random, so that a later process with its pid is another one.

    host: the place whose processes see one another's file locks (`steps.base.locks`).
    """

    token: str
    host: str
    pid: int


def now(tx: sa.Connection) -> datetime:
    """The time by which leases are counted."""
    return dialect.now(tx)


def job_of(tx: sa.Connection, token: str) -> int | None:
    """The job that was started under a token, None when the ledger has none."""
    job_id = tx.scalar(sa.select(JOBS.c.id).where(JOBS.c.token == token))
    return None if job_id is None else int(job_id)


def take(
    tx: sa.Connection, job_id: int, holder: Holder, *, now: datetime, length_s: float, fenced: bool
) -> LeaseRecord:
    """Take a job's lease if it is free; returns the lease that stands afterwards, which may be another holder's.

    It is free when there is none and when it has run out. fenced: the caller holds the job's file lock, so a lease of
    this host is free as well, since its holder is dead. The transaction has to be a writing one.
    """
    standing = of_jobs(tx, [job_id]).get(job_id)
    if standing is not None:
        dead = fenced and standing.host == holder.host
        if not (dead or standing.has_run_out(now)):
            return standing
        tx.execute(sa.delete(LEASES).where(_L.job_id == job_id))
    taken = LeaseRecord(job_id, holder.token, holder.host, holder.pid, now, now, length_s)
    values = {column.name: getattr(taken, column.name) for column in _L}
    tx.execute(sa.insert(LEASES).values(values))
    return taken


def beat(tx: sa.Connection, job_id: int, holder: Holder, *, now: datetime) -> bool:
    """Give a sign of life; False when the lease is another one's or gone. One that has run out is good again."""
    mine = sa.update(LEASES).where(_L.job_id == job_id, _L.holder == holder.token)
    return tx.execute(mine.values(beat_at=now)).rowcount == 1


def release(tx: sa.Connection, job_id: int, holder: Holder) -> bool:
    """Give the lease back; False when it was not the holder's any more."""
    mine = sa.delete(LEASES).where(_L.job_id == job_id, _L.holder == holder.token)
    return tx.execute(mine).rowcount == 1


def of_jobs(tx: sa.Connection, job_ids: Iterable[int]) -> Mapping[int, LeaseRecord]:
    """The leases of some jobs, by job; jobs on which nobody works have none."""
    rows = tx.execute(sa.select(LEASES).where(_L.job_id.in_(list(job_ids))))
    return {row.job_id: LeaseRecord.from_row(row) for row in rows}


def standing(tx: sa.Connection) -> tuple[LeaseRecord, ...]:
    """Every lease, those that have run out included."""
    return tuple(LeaseRecord.from_row(row) for row in tx.execute(sa.select(LEASES).order_by(_L.job_id)))


def sharing_hosts(tx: sa.Connection, job_id: int, now: datetime) -> int:
    """Counts the hosts with a living worker whose batch has a limit and a server in common with this job's; at least 1.

    Workers of one host share their limits there; hosts divide them.
    """
    columns = (_L.job_id, _L.host, _L.beat_at, _L.length_s, BATCHES.c.options)
    joined = LEASES.join(JOBS, JOBS.c.id == _L.job_id).join(BATCHES, BATCHES.c.id == JOBS.c.batch_id)
    rows = tx.execute(sa.select(*columns).select_from(joined)).all()
    alive = [row for row in rows if row.job_id == job_id or now - row.beat_at <= timedelta(seconds=row.length_s)]
    servers = {row.job_id: _limited_servers(row.options) for row in alive}
    own = servers.get(job_id, frozenset())
    return len({row.host.partition("/")[0] for row in alive if own & servers[row.job_id]}) or 1


def _limited_servers(options: Mapping[str, Any]) -> frozenset[str]:
    """The servers of a batch whose requests or tokens are limited."""
    return frozenset(options.get("base_url") or ()) if options.get("rps") or options.get("tpm") else frozenset()
