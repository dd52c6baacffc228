"""workers: the hosts that work on local batches now, with the heartbeat and the speed of each of their workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from batchflow import files
from batchflow.ledger import batches, jobs, leases
from batchflow.ledger.records import BatchRecord, JobRecord, LeaseRecord
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import host_of
from batchflow.vocabulary import JOBS, PROGRESS


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker. done: rows of its part that are over. rows_per_s: None before the first row, and where nobody tells.

    silent: its heartbeat is older than its lease: it is dead, stopped or starved, and another one may take over.
    """

    host: str
    pid: int
    batch: str
    part: int
    requests: int
    done: int
    rows_per_s: float | None
    heartbeat_age_s: float
    silent: bool


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host: its workers that give signs of life, what they do together, and its latest heartbeat."""

    host: str
    workers: int
    rows_per_s: float
    heartbeat_age_s: float


@dataclass(frozen=True, slots=True)
class WorkersReport:
    """Report of `workers`."""

    hosts: tuple[HostRow, ...]
    workers: tuple[WorkerRow, ...]
    next: str


def listing(context: Context) -> WorkersReport:
    """The workers that hold a lease of this ledger, by host."""
    with context.ledger.read() as tx:
        now, standing = leases.now(tx), leases.standing(tx)
        parts = [(lease, jobs.get(tx, lease.job_id)) for lease in standing]
        rows = [
            _row(context, lease, job, batches.by_id(tx, job.batch_id), (now - lease.beat_at).total_seconds())
            for lease, job in parts
        ]
    rows.sort(key=lambda row: (row.host, row.batch, row.part))
    names = " ".join(dict.fromkeys(row.batch for row in rows))
    return WorkersReport(tuple(_hosts(rows)), tuple(rows), f"batchflow get {names}" if rows else "batchflow list")


def _row(context: Context, lease: LeaseRecord, job: JobRecord, batch: BatchRecord, age_s: float) -> WorkerRow:
    progress = _progress(context, lease, job)
    rate = progress.get("rows_per_s")
    return WorkerRow(
        host=host_of(lease.host),
        pid=lease.pid,
        batch=batch.name,
        part=job.part,
        requests=job.n_requests,
        done=int(progress.get("done") or 0),
        rows_per_s=None if rate is None else round(float(rate), 2),
        heartbeat_age_s=round(max(0.0, age_s), 1),
        silent=age_s > lease.length_s,
    )


def _progress(context: Context, lease: LeaseRecord, job: JobRecord) -> dict[str, Any]:
    """The worker's own word, where its folder is seen here; else what the ledger heard last."""
    path = context.settings.processed / JOBS / (job.remote_id or job.token or "-") / PROGRESS
    try:
        progress = files.loads(path.read_bytes())
    except (OSError, ValueError):
        progress = None
    if isinstance(progress, dict) and progress.get("pid") == lease.pid:
        return progress
    return {"done": (job.done or 0) + (job.failed or 0), **(job.speed or {})}


def _hosts(rows: Iterable[WorkerRow]) -> Iterable[HostRow]:
    by_host = dict[str, list[WorkerRow]]()
    for row in rows:
        by_host.setdefault(row.host, []).append(row)
    for host, workers in by_host.items():
        alive = [worker for worker in workers if not worker.silent]
        speed = round(sum(worker.rows_per_s or 0.0 for worker in alive), 2)
        yield HostRow(host, len(alive), speed, min(worker.heartbeat_age_s for worker in workers))
