"""Estimates of a batch's cost: its requests' sizes, the price of today, and what this ledger has seen of the model."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.prices.estimates import Caching, Estimate, Seen, estimate
from batchflow.prices.sizes import MOST_COUNTED, Sizes, measured, together
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import quote_for
from batchflow.steps.base.money.prompt_cache import PromptCache
from batchflow.steps.base.payloads import sent_file
from batchflow.texts import tokens
from batchflow.vendors.registry import traits_of

if TYPE_CHECKING:
    from batchflow.prices.rates import Quote

LATEST = 20
"""Batches from which experience is taken, the newest first."""

WINDOW = timedelta(days=1)
"""Time after which a batch that was sent is billed no more."""


def price_of(context: Context, provider: str, model: str) -> Quote:
    """Price of a batch that is sent now, at its dearest until its window closes. Raises UsageError."""
    now = context.clock()
    return quote_for(context.settings, provider, model, now).until(
        quote_for(context.settings, provider, model, now + WINDOW)
    )


def sizes_of(context: Context, parts: Iterable[JobRecord], model: str = "") -> Sizes:
    """Sizes of the requests of jobs, from their files; of one that is gone, nothing. model: whose tokenizer counts."""
    paths = [sent_file(context, job) for job in parts]
    count = tokens.counter(model) if model else None
    return together([measured(path, count) for path in paths if path.exists()])


def _with_tokens(context: Context, parts: Iterable[JobRecord], model: str, sizes: Sizes) -> Sizes:
    """Sizes that were taken while the requests were written, with the tokens of the first ones."""
    count = tokens.counter(model) if model else None
    if count is None:
        return sizes
    paths = [sent_file(context, job) for job in parts]
    first = together([measured(path, count, MOST_COUNTED) for path in paths if path.exists()])
    return Sizes(sizes.rows, first.counted)


def estimate_of(context: Context, batch: BatchRecord, parts: Iterable[JobRecord]) -> Estimate:
    """Estimates the cost of jobs of a batch."""
    parts = tuple(parts)
    with context.ledger.read() as tx:
        seen = seen_of(tx, batch)
        caching = caching_of(tx, batch, parts)
    return estimate(
        sizes_of(context, parts, _counted_for(batch)), price_of(context, batch.provider, batch.model), seen, caching
    )


def _counted_for(batch: BatchRecord) -> str:
    """The model whose tokenizer counts; none where nobody is paid."""
    return batch.model if traits_of(batch.provider).pays else ""


def caching_of(tx: Tx, batch: BatchRecord, due: Iterable[JobRecord]) -> Caching:
    """Beginning of a batch's prompts that the vendor keeps, as far as its due jobs are concerned."""
    if not traits_of(batch.provider).caches_on_request or batch.is_brought:
        return Caching()
    cache = PromptCache.of(batch.spec)
    if cache is None:
        return Caching(by_itself=False)
    canary = jobs.of_batch(tx, batch.id)[0]
    size = int(batch.options.get("canary") or 1)
    fills = size if any(job.id == canary.id for job in due) else 0
    return Caching(by_itself=False, bytes=cache.bytes, pictures=cache.pictures, fills=fills)


def noted(context: Context, batch: BatchRecord, *, new: bool = True, sizes: Sizes | None = None) -> Estimate:
    """The estimate of a batch that was made just now; the ledger keeps it, so that the bill can stand beside it.

    sizes: of its requests, where they were taken while these were written.
    """
    with context.ledger.read() as tx:
        parts, seen = jobs.of_batch(tx, batch.id), seen_of(tx, batch)
        caching = caching_of(tx, batch, parts)
    counted_for = _counted_for(batch)
    sizes = sizes_of(context, parts, counted_for) if sizes is None else _with_tokens(context, parts, counted_for, sizes)
    expected = estimate(sizes, price_of(context, batch.provider, batch.model), seen, caching)
    if new or batch.estimate is None:
        with context.ledger.write(batch.id) as tx:
            batches.note(tx, batch.id, estimate=expected.to_json() | {"text_bytes": sizes.text_bytes})
    return expected


def seen_of(tx: Tx, batch: BatchRecord) -> Seen:
    """Use of earlier requests of the same kind: the batch's own canary first, then the newest alike batches."""
    total, count = Seen(), 0
    for other in reversed(batches.listing(tx)):
        if count == LATEST:
            break
        if _kind_of(other) == _kind_of(batch) and (used := _used(tx, other)).requests:
            total, count = _plus(total, used), count + 1
    return total


def _kind_of(batch: BatchRecord) -> tuple[object, ...]:
    """Facts on which the length of prompts and answers depends."""
    thinking = (batch.params.get("thinking_level"), batch.params.get("thinking_budget"))
    judged = batch.spec.get("judge_kind")
    return (batch.provider, batch.model, batch.task, batch.split, batch.kind, str(judged), batch.endpoint, *thinking)


def _used(tx: Tx, batch: BatchRecord) -> Seen:
    rows = [row for job in jobs.of_batch(tx, batch.id) for row in job.usage or ()]
    count = sum(row[1] for row in rows)
    if not count:
        return Seen()
    text = int((batch.estimate or {}).get("text_bytes") or 0) * count // max(batch.n_requests, 1)
    return Seen(
        count, text, sum(row[2] for row in rows), sum(row[6] for row in rows), request_rows.longest(tx, batch.id)
    )


def _plus(one: Seen, two: Seen) -> Seen:
    """Both together; bytes of text count only where all have them."""
    text = one.text + two.text if two.text and (one.text or not one.requests) else 0
    return Seen(
        one.requests + two.requests, text, one.read + two.read, one.said + two.said, max(one.longest, two.longest)
    )
