"""The report of `get` and `show`: how a batch is going, from what the ledger holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchflow.ledger import Tx, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.states import Stage, State, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.failure_reasons import Reason, reasons
from batchflow.steps.base.progress.next_command import next_command
from batchflow.steps.base.progress.situation import read_situation
from batchflow.steps.base.progress.worker_liveness import Pulse
from batchflow.steps.base.rehearsal_guard import typed_here
from batchflow.steps.watching import counts
from batchflow.vendors import registry


@dataclass(frozen=True, slots=True)
class JobProgress:
    """One job as last heard of. word: the vendor's own status.

    counting: of one that is out, whether its vendor's counts move: `moves`, `still` or `none`; counts_note: if not.

    worker_*, heartbeat_age_s: the process that works a local job off, and how long ago it gave a sign of life.
    """

    part: int
    state: str
    word: str | None
    remote_id: str | None
    requests: int
    done: int | None
    failed: int | None
    error: str | None
    counting: str | None
    counts_note: str | None
    speed: dict[str, Any]
    worker_host: str | None = None
    worker_pid: int | None = None
    heartbeat_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class GetReport:
    """Report of `get`. checked_at: RFC 3339 UTC, age_s: how old the vendors' answers are; None: never asked.

    counts: requests by what is known of them: pending, done and failed always (while it runs as the vendor counts
    them), and each outcome once none is pending; then done are the answered ones, and cancelled ones have not failed.
    finished: nothing more will happen at the vendor. trouble: why the vendor could not be asked just now.
    unanswered: requests that ended without an answer, by kind. why: their reasons, the commonest first. Both are known
    once results were fetched.
    """

    name: str
    handle: str
    kind: str
    provider: str
    model: str
    state: str
    finished: bool
    counts: dict[str, int]
    jobs: tuple[JobProgress, ...]
    checked_at: str | None
    age_s: float | None
    base_url: str | None
    notes: tuple[str, ...]
    rehearsal: bool
    trouble: str | None
    unanswered: dict[str, int]
    why: tuple[Reason, ...]
    next: str

    def is_out_as(self, *words: str) -> bool:
        """Tells whether a job that is out has one of these words."""
        return any(job.word in words and job.state == State.RUNNING for job in self.jobs)


def told(context: Context, tx: Tx, batch: BatchRecord, trouble: str | None = None) -> GetReport:
    """Builds the report of a batch from what the ledger holds."""
    parts, tally = jobs.of_batch(tx, batch.id), request_rows.tally(tx, batch.id)
    pulses = worker_liveness.pulses(tx, batch, parts)
    seen = tuple(worker_liveness.judged(context, batch, job, pulses.get(job.id)) for job in parts)
    command = next_command(read_situation(tx, batch, seen, tally))
    follow = typed_here(context.settings, batch, str(command))
    return _report(context, batch, seen, tally, pulses, trouble, reasons(tx, batch, tally), follow)


def _report(
    context: Context,
    batch: BatchRecord,
    parts: tuple[JobRecord, ...],
    tally: Tally,
    pulses: Mapping[int, Pulse],
    trouble: str | None,
    why: tuple[Reason, ...],
    follow: str,
) -> GetReport:
    where = stage(job.state for job in parts)
    live = [job.checked_at for job in parts if job.checked_at and job.state is State.RUNNING]
    latest = max((job.checked_at for job in parts if job.checked_at), default=None)
    oldest = min(live, default=latest)  # what still runs is as old as its oldest answer
    return GetReport(
        name=batch.name,
        handle=batch.handle,
        kind=batch.kind.value,
        provider=batch.provider,
        model=batch.model,
        state=where.value,
        finished=where in {Stage.ENDED, Stage.FINISHED},
        counts=counts.of_batch(parts, tally),
        jobs=tuple(_job_progress(batch, job, pulses.get(job.id)) for job in parts),
        checked_at=f"{oldest:%Y-%m-%dT%H:%M:%SZ}" if oldest else None,
        age_s=round(max(0.0, (context.clock() - oldest).total_seconds()), 1) if oldest else None,
        base_url=_where_sent(batch, parts),
        notes=tuple(batch.notes),
        rehearsal=batch.rehearsal,
        trouble=trouble,
        unanswered=tally.unanswered,
        why=why,
        next=follow,
    )


def _where_sent(batch: BatchRecord, parts: tuple[JobRecord, ...]) -> str | None:
    """Base URLs of its jobs as they were sent; of a local batch, as they are now."""
    own = batch.options.get("base_url") if registry.traits_of(batch.provider).own_engine else None
    if own and any(job.remote_id for job in parts):
        return own if isinstance(own, str) else ", ".join(own)
    return next((job.base_url for job in parts if job.base_url), None)


def _job_progress(batch: BatchRecord, job: JobRecord, pulse: Pulse | None) -> JobProgress:
    traits = registry.traits_of(batch.provider)
    counting = counts.counting(job, is_ours=traits.own_engine, at_end=traits.counts_at_end)
    return JobProgress(
        part=job.part,
        state=job.state.value,
        word=job.word,
        remote_id=job.remote_id,
        requests=job.n_requests,
        done=job.done,
        failed=job.failed,
        error=job.error,
        counting=counting.value if counting else None,
        counts_note=counts.sentence(job, batch.provider, counting),
        speed=dict(job.speed or {}),
        worker_host=pulse.host if pulse else None,
        worker_pid=pulse.pid if pulse else None,
        heartbeat_age_s=round(pulse.age_s, 1) if pulse else None,
    )
