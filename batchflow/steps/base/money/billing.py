"""Costs of batches: each job is priced once its rows are there, and the ledger keeps the number.

`list` and `show` read it without any price set. `cost_of` is one batch by itself, `cost_of_run` everything that belongs
to its answers: its retries, its jury, and the jury's retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Kind
from batchflow.settings import IMPORT, LOCAL, Settings
from batchflow.states import NOT_OUT, State
from batchflow.steps.base.context import Context
from batchflow.vendors.registry import HERE, traits_of

if TYPE_CHECKING:
    from batchflow.prices.rates import Quote

_WHY_FREE = {
    LOCAL: "own engine: nobody is paid",
    IMPORT: "imported: paid elsewhere, if at all",
}
_BILLED = frozenset({State.FETCHED})


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of requests by the usage that the vendor reports, in USD.

    low_usd, high_usd: equal where the prices are known, a range where they are not. usd: the one number, where they are
    equal. low_usd None: nothing is known of any. high_usd None: some have no price at all, so that there is no upper
    end. requests: those that the numbers are about. open: sent, and not back yet. unknown: back, and without a known
    price. saved_usd: what caches saved; below 0 for a loss. estimate_low_usd, estimate_high_usd: what was expected
    before. estimate_saved_usd: what a cache was expected to save, where the vendor was asked for one. why:
    reasons for a range or a gap. source: where the prices come from. is_free: nobody is paid.
    """

    low_usd: float | None = None
    high_usd: float | None = None
    requests: int = 0
    open: int = 0
    unknown: int = 0
    saved_usd: float = 0.0
    estimate_low_usd: float | None = None
    estimate_high_usd: float | None = None
    estimate_saved_usd: float | None = None
    why: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    is_free: bool = False
    usd: float | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "usd", self.low_usd if self.low_usd == self.high_usd else None)

    def __add__(self, other: Cost) -> Cost:
        """Both together. One without an upper end leaves the sum without one; one that is not billed yet does not."""
        parts = [cost for cost in (self, other) if cost.requests]
        lows = [cost.low_usd for cost in parts if cost.low_usd is not None]
        highs = [cost.high_usd for cost in parts]
        bounds = [high for high in highs if high is not None]
        return Cost(
            low_usd=sum(lows) if lows else None,
            high_usd=sum(bounds) if bounds and len(bounds) == len(highs) else None,
            requests=self.requests + other.requests,
            open=self.open + other.open,
            unknown=self.unknown + other.unknown,
            saved_usd=self.saved_usd + other.saved_usd,
            estimate_low_usd=_sum(self.estimate_low_usd, other.estimate_low_usd),
            estimate_high_usd=_sum(self.estimate_high_usd, other.estimate_high_usd),
            estimate_saved_usd=_sum(self.estimate_saved_usd, other.estimate_saved_usd),
            why=tuple(dict.fromkeys((*self.why, *other.why))),
            source=tuple(dict.fromkeys((*self.source, *other.source))),
            is_free=self.is_free and other.is_free,
        )


@dataclass(frozen=True, slots=True)
class RunCost:
    """The cost of a batch with everything that belongs to its answers."""

    batch: Cost
    retries: Cost
    jury: Cost
    total: Cost

    def __add__(self, other: RunCost) -> RunCost:
        """Both runs together."""
        return RunCost(
            self.batch + other.batch,
            self.retries + other.retries,
            self.jury + other.jury,
            self.total + other.total,
        )


def _sum(one: float | None, other: float | None) -> float | None:
    numbers = [value for value in (one, other) if value is not None]
    return sum(numbers) if numbers else None


# -- pricing ------------------------------------------------------------------------------------------------------


def quote_for(settings: Settings, provider: str, model: str, when: datetime) -> Quote:
    """Price of a model's batch that is sent at a time. Raises UsageError for a broken `[prices]`."""
    from batchflow.prices import overrides, quotes
    from batchflow.prices.rates import Quote as Priced

    own = settings.section("prices")
    if provider in HERE:
        mine = overrides.find(own, provider, model)
        if mine is not None and mine.rate is not None:
            return Priced(provider, model, mine.rate, mine.rate, overrides.SOURCE)
        return quotes.free(provider, model, _WHY_FREE.get(provider, "a rule: computed on this machine"))
    return quotes.quote(provider, model, when.date(), own=own, keep_in=settings.home / "prices")


def job_quote(settings: Settings, batch: BatchRecord, job: JobRecord, now: datetime) -> Quote:
    """Price of a job, as of the day on which it was sent."""
    return quote_for(settings, batch.provider, batch.model, job.accepted_at or job.sending_at or now)


def bill(tx: Tx, job: JobRecord, quote: Quote, used: tuple[list[list[int]], int] | None = None) -> None:
    """Note what a job's own requests used, and what that cost. Before retries are merged: they replace usage.

    used: `request_rows.usage_of` and `without_usage` of the job, where the caller knows them already.
    """
    usage, blind = used or (request_rows.usage_of(tx, job.id), request_rows.without_usage(tx, job.id))
    jobs.note(tx, job.id, usage=usage, cost=_priced(quote, usage, blind))


def bill_anew(context: Context, batch: BatchRecord) -> None:
    """Price fetched jobs by the prices that are known now; jobs of an older ledger for the first time."""
    with context.ledger.read() as tx:
        due = [job for job in jobs.of_batch(tx, batch.id) if job.state in _BILLED]
        usages = {job.id: request_rows.usage_of(tx, job.id) if job.usage is None else job.usage for job in due}
        blind = {job.id: request_rows.without_usage(tx, job.id) for job in due}
    quotes = {job.id: job_quote(context.settings, batch, job, context.clock()) for job in due}
    costs = {job.id: _priced(quotes[job.id], usages[job.id], blind[job.id]) for job in due}
    changed = [job for job in due if (usages[job.id], costs[job.id]) != (job.usage, job.cost)]
    if changed:
        with context.ledger.write(batch.id) as tx:
            for job in changed:
                jobs.note(tx, job.id, usage=usages[job.id], cost=costs[job.id])


def _priced(quote: Quote, usage: Sequence[Sequence[int]], blind: int) -> dict[str, Any]:
    """The bill of a job. blind: answers for which the vendor reports no usage."""
    low, high = quote.low, quote.high
    blind = 0 if quote.is_free else blind
    why = [text for text in (quote.why, *quote.notes) if text]
    if blind:
        why.append(f"the vendor reports no usage for {blind:,} answers")
    return {
        "low": None if low is None else low.cost(usage),
        "high": None if high is None or blind else high.cost(usage),
        "saved": 0.0 if high is None else high.saved(usage),
        "requests": sum(row[1] for row in usage) + blind,
        "unknown": blind if low else sum(row[1] for row in usage) + blind,
        "why": why,
        "source": quote.source,
        "free": quote.is_free,
    }


# -- reading ------------------------------------------------------------------------------------------------------


def cost_of(tx: Tx, batch: BatchRecord, parts: Iterable[JobRecord] | None = None) -> Cost:
    """Cost of a batch by itself. parts: its jobs, where the caller has them."""
    own = jobs.of_batch(tx, batch.id) if parts is None else tuple(parts)
    cost = Cost(is_free=not traits_of(batch.provider).pays)
    for job in own:
        cost += _of_job(job)
    expected = batch.estimate or {}
    return replace(
        cost,
        estimate_low_usd=expected.get("low_usd"),
        estimate_high_usd=expected.get("high_usd"),
        estimate_saved_usd=expected.get("saved_high_usd"),
    )


def _of_job(job: JobRecord) -> Cost:
    if job.cost is None:
        is_out = job.state not in NOT_OUT and job.state is not State.LOST
        return Cost(open=job.n_requests if is_out else 0, is_free=True)
    cost = job.cost
    count, is_open = int(cost["requests"]), job.state not in _BILLED
    return Cost(
        low_usd=cost["low"],
        high_usd=cost["high"],
        requests=count,
        open=max(job.n_requests - count, 0) if is_open else 0,
        unknown=int(cost["unknown"]),
        saved_usd=cost["saved"],
        why=tuple(cost["why"]),
        source=(cost["source"],),
        is_free=cost["free"],
    )


def family(tx: Tx, batch: BatchRecord) -> tuple[BatchRecord, tuple[BatchRecord, ...], tuple[BatchRecord, ...]]:
    """The run that a batch belongs to: its root, the root's retries, and the jury with its retries.

    A judge whose answers are elsewhere is a root of its own.
    """
    root = batch
    if root.kind is Kind.JUDGE and root.parent_id is not None:
        root = batches.by_id(tx, root.parent_id)
    elif root.retries_id is not None:
        root = batches.by_id(tx, root.retries_id)
        return family(tx, root)
    judges = batches.judges_of(tx, root.id)
    jury = tuple(member for judge in judges for member in (judge, *batches.retries_of(tx, judge.id)))
    return root, batches.retries_of(tx, root.id), jury


def cost_of_run(tx: Tx, batch: BatchRecord) -> RunCost:
    """Cost of the whole run that a batch belongs to."""
    root, retries, jury = family(tx, batch)
    parts = cost_of(tx, root), _together(tx, retries), _together(tx, jury)
    return RunCost(*parts, sum(parts[1:], parts[0]))


def _together(tx: Tx, members: Iterable[BatchRecord]) -> Cost:
    total = Cost(is_free=True)
    for member in members:
        total += cost_of(tx, member)
    return total
