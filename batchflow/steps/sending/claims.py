"""Claims: which process brings a job to its vendor, and signs that it is alive while it uploads.

In one project folder on one machine the lock of a job tells whether the claimer lives. Elsewhere only its claim does.
One that uploads renews it, and may be taken over after a silence, since nobody sends under a claim that was taken over.
One that creates may be asleep with its machine, and would send when it wakes: its claim holds for an hour.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from batchflow.errors import LedgerError, NotReady
from batchflow.ledger import jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import Event, State
from batchflow.steps.base import queue_room
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import here, host_of
from batchflow.steps.base.money import caps

BEAT_S = 20.0
SILENT_S = 120.0  # of an upload: six signs of life are missed
SENDING_S = 3600.0  # of a create: none lasts that long
PATIENCE_S = 5.0  # with a sign that is under way


def owner(context: Context) -> str:
    """This process as the ledger names it: its place, and its number there."""
    return f"{here(context.settings.processed)}:{os.getpid()}"


def refuse_foreign_claim(context: Context, batch: BatchRecord, job: JobRecord, *, hint: str = "") -> None:
    """Raise NotReady while a process elsewhere may be uploading or creating: its lock cannot be seen from here.

    Here the job's lock is held, so that whoever claimed it here is dead. hint: for who does not want it sent.
    """
    if job.state not in {State.STARTING, State.SENDING} or not job.claimed_by or not job.claimed_at:
        return
    place, since = job.claimed_by.rpartition(":")[0], job.sending_at or job.claimed_at
    if place == here(context.settings.processed):
        return
    with context.ledger.read() as tx:
        now = jobs.clock(tx)  # by which it was claimed: two hosts' clocks may be hours apart
    if now - since < timedelta(seconds=SILENT_S if job.state is State.STARTING else SENDING_S):
        what = "is bringing" if job.state is State.STARTING else "has been sending"
        raise NotReady(
            f"{batch.name}: {host_of(place)}, from another project folder or machine than this, {what} part {job.part}"
            f" to {batch.provider} (last sign of it at {since:%H:%M:%S} UTC)",
            hint=hint or f"if that process is dead: batchflow start {batch.name} --takeover",
        )


def claim(context: Context, batch: BatchRecord, job: JobRecord, most: Mapping[int, float]) -> JobRecord | None:
    """Commit that this process works on the job, from here on under a new token; returns it as claimed.

    None, noted as its error, where the vendor's queue has no room for it. most: see `caps.most_of`. Raises NeedsYou
    where the job could bring its run above its cap.
    """
    token = secrets.token_hex(12)
    tokens, held = queue_room.measured(context, batch, job), caps.roots(context, batch)
    with context.ledger.write(batch.id, *held, names=queue_room.names(context, batch)) as tx:
        if why := queue_room.lack(context, tx, batch, job, tokens):
            jobs.note(tx, job.id, error=why)
            context.say(f"{batch.name}: {why}; the rest waits")
            return None
        now = jobs.clock(tx)
        # a claim is only taken from the state and owner that were seen: another host may have been faster
        facts: dict[str, Any] = {
            "claimed_by": owner(context),
            "claimed_at": now,
            "token": token,
            "sending_at": None,
            "error": None,
            "reserved_usd": caps.reserve(tx, batch, job, most, held),
            "enqueued_tokens": tokens.get(job.id),
        }
        jobs.move(tx, job.id, Event.CLAIM, now=now, where=jobs.as_seen(job), detail={"token": token}, **facts)
        return jobs.get(tx, job.id)


@contextlib.contextmanager
def kept_up(context: Context, job: JobRecord) -> Iterator[None]:
    """Give signs of life for a claim while the block runs, from a thread of their own."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(context, job, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)


def _beat(context: Context, job: JobRecord, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        # a ledger that is away now may be back for the next one; without them others go on, and this one is refused
        with contextlib.suppress(LedgerError), context.ledger.write(job.batch_id) as tx:
            jobs.renew(tx, job, now=jobs.clock(tx))
