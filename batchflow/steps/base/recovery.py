"""Jobs that were given up for lost, taken up again once they are found: an absence may have been a wrong place.

A folder or disk that is not mounted, another host's project folder, another key or base URL: all of these look like a
job that is gone. So `lost` is left again where the job is there after all.
"""

from __future__ import annotations

from typing import Any

from batchflow.errors import VendorError
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Phase, Progress
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import here, host_of
from batchflow.steps.base.rehearsal_guard import is_elsewhere
from batchflow.steps.base.vendor_calls import VendorSession, connected
from batchflow.vendors import registry


def take_up(
    context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...], *, ask_vendors: bool = False
) -> tuple[JobRecord, ...]:
    """The jobs of a batch, where lost ones that are there after all run again.

    ask_vendors: ask also those whose calls go over the network; what is on this machine costs nothing to look at.
    """
    lost = [job for job in parts if job.state is State.LOST]
    if not lost or not (ask_vendors or batch.provider in registry.HERE):
        return parts
    if is_elsewhere(context.settings, batch.provider, rehearsal=batch.rehearsal):
        return parts
    with connected(context, batch) as session:
        for job in lost:
            _take_up(session, job, aloud=ask_vendors)
    with context.ledger.read() as tx:
        return jobs.of_batch(tx, batch.id)


def _take_up(session: VendorSession, job: JobRecord, *, aloud: bool) -> None:
    context, batch = session.context, session.batch
    try:
        progress = session.once(session.vendor.poll, session.job(job))
    except VendorError as error:
        if aloud:
            context.say(f"{batch.name}, part {job.part} is lost, and not found again: {error}")
        return
    if progress.phase is not Phase.LOST:
        with context.ledger.write(batch.id) as tx:
            _revive(context, tx, batch, job, progress)
        context.say(f"{batch.name}, part {job.part} was lost and has been found: its answers are taken in")


def _revive(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord, progress: Progress) -> None:
    """Resets a job to run again, with all its requests open but those that a retry has answered meanwhile."""
    if jobs.get(tx, job.id).state is not State.LOST:
        return  # another process was faster
    facts: dict[str, Any] = {"word": progress.word, "error": None, "checked_at": None, "next_check_at": None}
    detail = {"remote_id": job.remote_id, "was": State.LOST.value}
    jobs.move(tx, job.id, Event.ADOPT, now=context.clock(), where=jobs.as_seen(job), detail=detail, **facts)
    request_rows.clear(tx, job.id)
    for retry in batches.retries_of(tx, batch.id):
        request_rows.merge_retry(tx, retry.id, batch.id)


def started_elsewhere(context: Context, batch: BatchRecord, job: JobRecord) -> str | None:
    """The host on which a job of one's own was started, where that was in another project folder than this."""
    if batch.provider not in registry.HERE or not job.claimed_by:
        return None
    place = job.claimed_by.rpartition(":")[0]
    return None if place == here(context.settings.processed) else host_of(place)
