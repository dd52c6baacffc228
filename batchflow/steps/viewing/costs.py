"""Costs of a report's batches, in words: their sum, and what has no known price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from batchflow.ledger import Tx
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.money import billing


def of_batches(tx: Tx, records: Iterable[BatchRecord]) -> tuple[str, tuple[str, ...]]:
    """Cost of batches with their retries and juries, and notes on what the sum lacks."""
    total, unpriced = billing.Cost(is_free=True), Counter[str]()
    for record in records:
        root, retries, jury = billing.family(tx, record)
        for member in (root, *retries, *jury):
            cost = billing.cost_of(tx, member)
            total += cost
            if cost.unknown:
                unpriced[f"{member.provider}:{member.model}"] += cost.unknown
    notes = [f"price unknown: {name}, {_requests(count)}" for name, count in unpriced.items()]
    return in_words(total), (*notes, *([f"not billed yet: {_requests(total.open)}"] if total.open else ()))


def in_words(cost: billing.Cost) -> str:
    """A cost in words: an amount, a range, or what is not known of it; and what caches saved.

    >>> in_words(billing.Cost(0.25, 0.25)), in_words(billing.Cost(1, None)), in_words(billing.Cost())
    ('$0.2500', 'at least $1.00', 'unknown')
    >>> in_words(billing.Cost(2.5, 2.5, saved_usd=1.5))
    '$2.50 (the cache saved $1.50)'
    """
    return _amount(cost) + (f" (the cache saved {_dollars(cost.saved_usd)})" if cost.saved_usd > 0 else "")


def _amount(cost: billing.Cost) -> str:
    low, high = cost.low_usd, cost.high_usd
    if low is None:
        return "nothing: nobody is paid" if cost.is_free else "unknown"
    if high is None:
        return f"at least {_dollars(low)}"
    return _dollars(low) if low == high else f"{_dollars(low)} – {_dollars(high)}"


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


def _requests(count: int) -> str:
    return f"{count:,} {'request' if count == 1 else 'requests'}"
