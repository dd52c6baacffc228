"""cancel --lost: close jobs that nobody will ever finish."""

from __future__ import annotations

from collections.abc import Mapping

from batchflow.errors import NotReady, UsageError
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Outcome
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.next_command import NOT_FOUND, next_of
from batchflow.steps.base.progress.worker_liveness import Pulse
from batchflow.steps.base.recovery import started_elsewhere
from batchflow.steps.verbs.maintenance.delete import CancelReport
from batchflow.steps.watching import counts

_SENT = frozenset({State.RUNNING, State.ENDED})
_CANCELLING = "cancelling"
"""Word of a gateway for a batch that it was asked to stop."""


def give_up(context: Context, name: str) -> CancelReport:
    """Close the jobs that are gone or that a gateway has forgotten. Raises UsageError when there are none."""
    now = context.clock()
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        name = batch.name
    with context.ledger.write(batch.id) as tx:
        parts = [job for job in jobs.of_batch(tx, batch.id) if job.state in _SENT]
        gone = {job.id: why for job in parts if (why := _why_gone(context, batch, job))}
        _refuse_living(batch, [job for job in parts if job.id in gone], worker_liveness.pulses(tx, batch, parts))
        for job in parts:
            if why := gone.get(job.id):
                jobs.move(tx, job.id, Event.LOSE, now=now, detail={"by": "user", "was": job.remote_id})
                request_rows.close_open(tx, job.id, Outcome.MISSING.value, why)
    if not gone:
        raise UsageError(f"{name}: no vendor has reported this batch as missing", hint=_hint(context, batch))
    return CancelReport(name, 0, 0, next_of(context, name), lost=len(gone))


def _why_gone(context: Context, batch: BatchRecord, job: JobRecord) -> str | None:
    """Reason for which a job may be given up; None where its vendor may still finish it.

    The vendor says that it has no such batch; or it is another folder's, which nobody may ever see again; or a gateway
    was asked to stop it, and neither does so nor counts a request more: a restart has made it forget the work.
    """
    if job.word == NOT_FOUND or started_elsewhere(context, batch, job) is not None:
        return "the vendor no longer knows this batch"
    if batch.provider in context.settings.gateways and job.word == _CANCELLING and counts.is_stuck(job):
        return f"{batch.provider} neither went on with this batch nor stopped it"
    return None


def _hint(context: Context, batch: BatchRecord) -> str:
    if batch.provider not in context.settings.gateways:
        return f"batchflow get {batch.name}"
    return (
        f"where {batch.provider} has forgotten it: batchflow cancel {batch.name}, and --lost once it has been"
        f" `{_CANCELLING}` without a count more for {counts.STILL_S / 60:.0f} minutes (batchflow get {batch.name})"
    )


def _refuse_living(batch: BatchRecord, gone: list[JobRecord], beats: Mapping[int, Pulse]) -> None:
    """Raise NotReady where the worker of a job that is not seen here gives signs of life elsewhere."""
    for job in gone:
        if (pulse := beats.get(job.id)) and pulse.age_s <= pulse.length_s:
            text = f"{batch.name}, part {job.part} is not lost: process {pulse.pid} on {pulse.host} is at work on it"
            raise NotReady(text, hint=f"batchflow cancel {batch.name} there, in the project folder that it has")
