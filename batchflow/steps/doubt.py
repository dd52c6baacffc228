"""Jobs of which nobody knows whether the vendor accepted them: ask the vendor, else a person."""

from __future__ import annotations

from typing import Any

from batchflow.errors import NeedsYou, UsageError
from batchflow.ledger import jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import Event, State
from batchflow.steps.calls import patiently, vendor_job
from batchflow.steps.context import Context
from batchflow.vendors.base import Vendor

FIND_GRACE_S = 10.0  # a vendor's list may lag behind its create: only then does an absence prove anything


def ask_about(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> None:
    """Settle a job in `sending`: adopt what the vendor has, release what it provably has not, else `unsure`."""
    since = (context.clock() - job.sending_at).total_seconds() if job.sending_at else 0.0
    if (wait := context.tuned("find_grace_s", FIND_GRACE_S) - since) > 0:
        context.sleep(wait)
    with context.ledger.read() as tx:
        known = jobs.remote_ids(tx)
    asked = vendor_job(context, batch, job, known)
    found = patiently(context, vendor, lambda: vendor.find(client, asked))
    now = context.clock()
    with context.ledger.write() as tx:
        if len(found.ids) == 1:
            facts: dict[str, Any] = {
                "remote_id": found.ids[0],
                "accepted_at": now,
                "adopted": not found.sure,
                "error": None,
            }
            detail = {"remote_id": found.ids[0], "sure": found.sure}
            jobs.move(tx, job.id, Event.ADOPT, now=now, detail=detail, **facts)
            context.say(f"{batch.name}: found again at {batch.provider} as {found.ids[0]}, nothing was sent twice")
            return
        if not found.ids and found.sure:
            jobs.move(tx, job.id, Event.RELEASE, now=now, detail={"find": "nothing was created"}, claimed_by=None)
            return
        text = _unsure_text(batch, found.ids)
        jobs.move(tx, job.id, Event.DOUBT, now=now, detail={"candidates": list(found.ids)}, error=text)
    raise NeedsYou(f"{batch.name}, part {job.part}: {text}", hint=_unsure_hint(batch))


def _unsure_text(batch: BatchRecord, candidates: tuple[str, ...]) -> str:
    if not candidates:
        return f"{batch.provider} may or may not have accepted it, and cannot be asked"
    return f"{batch.provider} has {len(candidates)} batches that may be this one: {', '.join(candidates[:5])}"


def _unsure_hint(batch: BatchRecord) -> str:
    return (
        f"look at {batch.provider}'s console, then: batchflow start {batch.name} --adopt ID if it is there,"
        " --resend if it is not"
    )


def decide(
    context: Context, batch: BatchRecord, found: tuple[JobRecord, ...], *, adopt: str | None, resend: bool
) -> tuple[JobRecord, ...]:
    """Apply the user's --adopt or --resend to unsure jobs. Raises NeedsYou when there are some and neither is given."""
    unsure = [job for job in found if job.state is State.UNSURE]
    if (adopt or resend) and not unsure:
        raise UsageError(f"{batch.name}: no job is unsure, there is nothing to adopt or resend")
    if not unsure:
        return found
    if adopt and resend:
        raise UsageError("--adopt and --resend exclude each other")
    if not adopt and not resend:
        raise NeedsYou(f"{batch.name}, part {unsure[0].part}: {unsure[0].error}", hint=_unsure_hint(batch))
    if adopt and len(unsure) > 1:
        raise UsageError(f"{batch.name}: {len(unsure)} jobs are unsure, --adopt takes one id", hint="use --resend")
    now = context.clock()
    with context.ledger.write() as tx:
        for job in unsure:
            if adopt:
                facts: dict[str, Any] = {"remote_id": adopt, "accepted_at": now, "adopted": True, "error": None}
                jobs.move(tx, job.id, Event.ADOPT, now=now, detail={"by": "user"}, **facts)
            else:
                jobs.move(tx, job.id, Event.RESEND, now=now, detail={"by": "user"}, error=None)
        return jobs.of_batch(tx, batch.id)
