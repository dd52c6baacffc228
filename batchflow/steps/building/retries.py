"""Batches that ask some requests of another batch again: their numbers, their limits, and those that stand already."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from batchflow.errors import UsageError
from batchflow.ledger import batches, jobs
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context
from batchflow.steps.building.batch_builder import Made, Plan


def next_number(earlier: Iterable[BatchRecord]) -> int:
    """Returns the number of the next retry: one more than the highest, since one before it may be deleted by now."""
    numbers = (re.search(r"_retry_(\d+)$", batch.name) for batch in earlier)
    return max((int(number[1]) for number in numbers if number), default=0) + 1


def standing_retry(context: Context, name: str) -> Made:
    """A retry that was made already and is not finished: it is not made twice."""
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        paths = tuple(context.settings.project / job.path for job in jobs.of_batch(tx, batch.id))
    return Made(batch, paths, new=False)


def refuse_another_limit(standing: BatchRecord, max_tokens: int | None) -> None:
    """Raise UsageError where a retry that is not finished was made with another token limit than is asked for."""
    if max_tokens is not None and standing.params.get("max_tokens") != max_tokens:
        raise UsageError(
            f"{standing.name} was made with another token limit, and is not finished",
            hint=f"batchflow start {standing.name}, or batchflow delete {standing.name} and retry anew",
        )


def with_limit(plan: Plan, max_tokens: int | None) -> Plan:
    """A plan with another token limit; as it is where none is given."""
    return plan if max_tokens is None else replace(plan, params=replace(plan.params, max_tokens=max_tokens))
