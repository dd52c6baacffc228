"""Room in a vendor's queue: no job is sent that would find none, as far as this ledger knows what is out.

The limits stand in batchflow.toml, or in the vendor's module where they are the same for everybody. A job takes its
room in the commit of its claim, which looks at every job that is out: of two processes that start at once, on whatever
host, the second sees the first. The room is free again when the job has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchflow.errors import NeedsYou
from batchflow.ledger import Tx, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.prices.estimates import likely_input
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.estimating import seen_of, sizes_of
from batchflow.vendor_limits import QueueLimits
from batchflow.vendors import registry

NAMED = 3  # batches that a message names


def limits_of(context: Context, batch: BatchRecord) -> QueueLimits:
    """The limits of the queue that a batch's jobs wait in."""
    documented = registry.get(batch.provider, context.settings).LIMITS.enqueued_jobs
    return context.settings.queue_limits(batch.provider, batch.model, documented)


def names(context: Context, batch: BatchRecord) -> tuple[str, ...]:
    """The name of the queue for a transaction that takes room in it; none for one without limits."""
    world = "rehearsed" if batch.rehearsal else "real"
    return (f"the {world} queue of {batch.provider}",) if limits_of(context, batch).any else ()


def measured(context: Context, batch: BatchRecord, job: JobRecord) -> dict[int, int]:
    """Prompt tokens by job: of one to be sent, and of those that are out without a number; empty without a limit."""
    limits = limits_of(context, batch)
    if limits.tokens is None:
        return {}
    with context.ledger.read() as tx:
        loose = [
            one
            for one in _ahead(jobs.queued(tx, batch), limits, "tokens", batch, job)
            if one.job.enqueued_tokens is None
        ]
        seen = {one.batch.id: seen_of(tx, one.batch) for one in loose} | {batch.id: seen_of(tx, batch)}
    pairs = [(batch, job), *((one.batch, one.job) for one in loose)]
    return {job.id: likely_input(sizes_of(context, [job], owner.model), seen[owner.id]) for owner, job in pairs}


def lack(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord, tokens: Mapping[int, int]) -> str:
    """The reason why a job has to wait for room; empty where it has room.

    tokens: as `measured` told them. Raises NeedsYou for a job that is larger than the whole queue.
    """
    limits = limits_of(context, batch)
    wanted = {"tokens": (limits.tokens, tokens.get(job.id, 0)), "requests": (limits.requests, job.n_requests)}
    queue = jobs.queued(tx, batch) if limits.any else []
    for what, (most, own) in (wanted | {"jobs": (limits.jobs, 1)}).items():
        if most is None:
            continue
        ahead = _ahead(queue, limits, what, batch, job)
        taken = sum(_taken(what, one, tokens) for one in ahead)
        if own > most:
            raise _too_large(batch, job, what, own, most)
        if taken + own > most:
            model = f" of {batch.model}" if what in limits.of_model else ""
            return (
                f"no room in {batch.provider}'s queue: {taken:,} of {most:,} enqueued {what}{model} are taken"
                f" ({_names(ahead)}), and part {job.part} needs {own:,}"
            )
    return ""


def holders(context: Context, batch: BatchRecord) -> tuple[str, ...]:
    """Names of the batches whose running jobs take room in a batch's queue; none where it has no limits."""
    if not limits_of(context, batch).any:
        return ()
    with context.ledger.read() as tx:
        return tuple(dict.fromkeys(one.batch.name for one in jobs.queued(tx, batch) if one.job.remote_id))


def _ahead(
    queue: Sequence[jobs.Queued], limits: QueueLimits, what: str, batch: BatchRecord, job: JobRecord
) -> list[jobs.Queued]:
    """The other jobs of a queue that count for a limit."""
    is_alike = what in limits.of_model
    return [one for one in queue if one.job.id != job.id and (one.batch.model == batch.model or not is_alike)]


def _taken(what: str, one: jobs.Queued, tokens: Mapping[int, int]) -> int:
    if what == "tokens":
        return one.job.enqueued_tokens or tokens.get(one.job.id, 0)
    return one.job.n_requests if what == "requests" else 1


def _names(ahead: Sequence[jobs.Queued]) -> str:
    names = list(dict.fromkeys(one.batch.name for one in ahead))
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _too_large(batch: BatchRecord, job: JobRecord, what: str, own: int, most: int) -> NeedsYou:
    return NeedsYou(
        f"{batch.name}: part {job.part} alone has about {own:,} {what}, and {batch.provider}'s queue takes {most:,}"
        " (enqueued_" + what + " in batchflow.toml); nothing was sent",
        hint=f"prepare the batch anew in smaller parts (requests under [limits.{batch.provider}]), or raise the limit",
    )
