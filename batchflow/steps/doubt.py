"""Jobs of which nobody knows whether the vendor accepted them: ask the vendor, else a person."""

from __future__ import annotations

from typing import Any

from batchflow.errors import NeedsYou, UsageError
from batchflow.ledger import Tx, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import Event, State
from batchflow.steps.calls import patiently, vendor_job
from batchflow.steps.context import Context
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

FIND_GRACE_S = 10.0  # a vendor's list may lag behind its create: only then does an absence prove anything


def account(context: Context, batch: BatchRecord, job: JobRecord) -> dict[str, str]:
    """Which key a job is sent with, as its history keeps it: a mark that tells keys apart and does not show them."""
    return {"key_mark": context.settings.key_mark(batch.provider, job.token or "")}


def ask_about(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> JobRecord:
    """Settle a job in `sending`: adopt what the vendor has, release what it provably has not, else `unsure`.

    Returns it as it stands then. Raises NeedsYou for the last, StaleState where another host settled it meanwhile.
    """
    _let_it_show(context, job)
    with context.ledger.read() as tx:
        known = jobs.remote_ids(tx)
        moved = _moved(context, tx, batch, job)
    asked = vendor_job(context, batch, job, known)
    found = patiently(context, vendor, lambda: vendor.find(client, asked))
    now, guard = context.clock(), jobs.as_seen(job)  # what was asked says nothing of another host's later create
    with context.ledger.write() as tx:
        if len(found.ids) == 1 and (found.sure or not moved):
            facts: dict[str, Any] = {
                "remote_id": found.ids[0],
                "accepted_at": now,
                "adopted": not found.sure,
                "error": None,
            }
            detail = {"remote_id": found.ids[0], "sure": found.sure}
            jobs.move(tx, job.id, Event.ADOPT, now=now, where=guard, detail=detail, **facts)
            context.say(f"{batch.name}: found again at {batch.provider} as {found.ids[0]}, nothing was sent twice")
            return jobs.get(tx, job.id)
        if not found.ids and found.sure and not moved:
            nothing = {"find": "nothing was created"}
            jobs.move(tx, job.id, Event.RELEASE, now=now, where=guard, detail=nothing, claimed_by=None)
            return jobs.get(tx, job.id)
        candidates = found.ids or found.unlikely
        text = _unsure_text(batch, candidates, moved)
        jobs.move(tx, job.id, Event.DOUBT, now=now, where=guard, detail={"candidates": list(candidates)}, error=text)
    raise NeedsYou(f"{batch.name}, part {job.part}: {text}", hint=unsure_hint(batch))


def _let_it_show(context: Context, job: JobRecord) -> None:
    """Wait until the vendor's list has to hold what was sent. A clock that was put back makes no wait longer."""
    grace = context.tuned("find_grace_s", FIND_GRACE_S)
    since = (context.clock() - job.sending_at).total_seconds() if job.sending_at else 0.0
    if (wait := grace - max(since, 0.0)) > 0:
        context.sleep(wait)


def _moved(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord) -> str | None:
    """How whom we would ask differs from whom the job was sent to; None where it does not, or nobody knows.

    Another server, and another account or project of the same one, know nothing of a batch that is paid for. A
    rehearsal costs nothing, has one key and another port each time.
    """
    if batch.rehearsal or batch.provider in registry.HERE:
        return None
    place = context.settings.base_url(batch.provider)
    if (place or "").rstrip("/") != (job.base_url or "").rstrip("/"):
        return f"it was sent to {job.base_url or 'the usual address'}, and {place or 'the usual address'} is asked now"
    noted = jobs.last_detail(tx, job.id, Event.SEND).get("key_mark")
    if noted is not None and noted != account(context, batch, job)["key_mark"]:
        return "it was sent with another key, whose project this one may not see"
    return None


def _unsure_text(batch: BatchRecord, candidates: tuple[str, ...], moved: str | None) -> str:
    if moved:
        named = f"; may be this one: {', '.join(candidates[:5])}" if candidates else ""
        return f"{batch.provider} may or may not have accepted it: {moved}{named}"
    if not candidates:
        return f"{batch.provider} may or may not have accepted it, and cannot be asked"
    count = f"{len(candidates)} batches" if len(candidates) > 1 else "a batch"
    return f"{batch.provider} has {count} that may be this one: {', '.join(candidates[:5])}"


def unsure_hint(batch: BatchRecord) -> str:
    """What a person can do about an unsure job."""
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
        raise NeedsYou(f"{batch.name}, part {unsure[0].part}: {unsure[0].error}", hint=unsure_hint(batch))
    if adopt and len(unsure) > 1:
        raise UsageError(f"{batch.name}: {len(unsure)} jobs are unsure, --adopt takes one id", hint="use --resend")
    now = context.clock()
    with context.ledger.write() as tx:
        if adopt and adopt in jobs.remote_ids(tx):
            text = f"{batch.name}: {adopt} is another part's already, of this batch or another"
            raise UsageError(text, hint="batchflow show NAME tells the ids of a batch's parts")
        for job in unsure:
            if adopt:
                facts: dict[str, Any] = {"remote_id": adopt, "accepted_at": now, "adopted": True, "error": None}
                jobs.move(tx, job.id, Event.ADOPT, now=now, detail={"by": "user"}, **facts)
            else:
                jobs.move(tx, job.id, Event.RESEND, now=now, detail={"by": "user"}, error=None)
        return jobs.of_batch(tx, batch.id)
