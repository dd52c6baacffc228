"""Liveness of a local job's worker, from its lease and from the job's folder.

The folder tells whether some process of this machine holds the job's lock. The lease tells which process that is, and
whether it still gives signs of life: a worker that was stopped by a signal keeps its lock for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from batchflow.ledger import Tx, leases
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import State
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import here, host_of
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import LOADING, RUNNING, STOPPED

HANGS = "hangs"  # in place of the worker's own word: it holds the job and gives no sign of life
_AT_WORK = frozenset({LOADING, RUNNING})  # words of a worker that had its lease when it said them


@dataclass(frozen=True, slots=True)
class Pulse:
    """A job's lease as it is now. age_s: of the last heartbeat. The worker is silent for too long after length_s."""

    place: str
    pid: int
    age_s: float
    length_s: float

    @property
    def host(self) -> str:
        """The host's name."""
        return host_of(self.place)


def pulses(tx: Tx, batch: BatchRecord, parts: Sequence[JobRecord]) -> Mapping[int, Pulse]:
    """The workers of a batch's running jobs, by job; none for batches that a vendor works on."""
    has_workers = traits_of(batch.provider).own_engine
    running = [job.id for job in parts if job.state is State.RUNNING] if has_workers else []
    held = leases.of_jobs(tx, running) if running else {}
    if not held:
        return {}
    now = leases.now(tx)
    return {
        job_id: Pulse(lease.host, lease.pid, max(0.0, (now - lease.beat_at).total_seconds()), lease.length_s)
        for job_id, lease in held.items()
    }


def judged(context: Context, batch: BatchRecord, job: JobRecord, pulse: Pulse | None) -> JobRecord:
    """The job's status, checked against its lease: `hangs`, or `running` on a host whose locks are not seen here."""
    if pulse is None:
        return job
    if job.word in _AT_WORK and _was_silent(context, job, pulse):
        return replace(job, word=HANGS, error=_what_to_do(batch, pulse), speed=None)
    if job.word == STOPPED and pulse.place != here(context.settings.processed) and pulse.age_s <= pulse.length_s:
        return replace(job, word=RUNNING, error=None)
    return job


def _was_silent(context: Context, job: JobRecord, pulse: Pulse) -> bool:
    """Tells whether the heartbeat was too old already when the lock was last seen held, and nothing was heard since.

    Later silence proves nothing: the worker may have ended after that look. Each age is told by its own clock.
    """
    if job.checked_at is None:
        return False
    since_look_s = (context.clock() - job.checked_at).total_seconds()
    return pulse.age_s - since_look_s > pulse.length_s


def _what_to_do(batch: BatchRecord, pulse: Pulse) -> str:
    return (
        f"its worker hangs: process {pulse.pid} on {pulse.host} holds the job, but its last heartbeat is"
        f" {pulse.age_s:.0f} s old (it was stopped, or it starves). `kill -CONT {pulse.pid}` there wakes a stopped one;"
        f" `kill -9 {pulse.pid}`, then `batchflow start {batch.name}`, lets another one go on with the rest"
    )
