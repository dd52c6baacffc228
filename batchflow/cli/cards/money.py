"""Money as a person reads it. Pure: costs in, texts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, Column, table_of, title

if TYPE_CHECKING:
    from batchflow.prices.estimates import Estimate
    from batchflow.steps.base.money.billing import Cost, RunCost
    from batchflow.steps.verbs.submission.estimate import EstimateReport, EstimateRow


def usd(value: float) -> str:
    """An amount: cents, and two digits that count below one.

    >>> usd(1234.5), usd(0.0), usd(0.012345), usd(0.00000612)
    ('$1,234.50', '$0.00', '$0.012', '$0.0000061')
    """
    if value and abs(value) < 0.1:
        text = f"{value:.2g}"
        return f"${text}" if "e" not in text else f"${float(text):.10f}".rstrip("0")
    return f"${value:,.2f}"


def between(low: float | None, high: float | None) -> str:
    """A range; one number where both ends look the same; `unknown` without a lower end."""
    if low is None:
        return "unknown"
    if high is None:
        return f"{usd(low)} or more"
    return usd(low) if usd(low) == usd(high) else f"{usd(low)} to {usd(high)}"


def amount(cost: Cost) -> str:
    """Cost of a batch, in one cell of a table; else the estimate, or why there is no number."""
    if cost.is_free:
        return "free"
    if cost.requests:
        return between(cost.low_usd, cost.high_usd) + (" so far" if cost.open else "")
    return f"est. {expected(cost)}" if cost.estimate_low_usd is not None else "-"


def cell(cost: Cost) -> str:
    """`amount`, with what caches saved of it."""
    return amount(cost) + (f", saved {usd(cost.saved_usd)}" if cost.saved_usd > 0 else "")


def expected(cost: Cost) -> str:
    """The estimate; empty without one."""
    return "" if cost.estimate_low_usd is None else between(cost.estimate_low_usd, cost.estimate_high_usd)


def row(cost: Cost, label: str = "Cost") -> tuple[tuple[str, str], ...]:
    """Row of a card: what was paid, what was expected, what caches saved; none before there is anything to tell."""
    if cost.is_free:
        return ((label, f"nothing ({'; '.join(cost.source) or 'nobody is paid'})"),)
    if not cost.requests and cost.estimate_low_usd is None:
        return ()
    pieces = [amount(cost)]
    if cost.requests and (estimate := expected(cost)):
        pieces.append(f"estimated {estimate}")
    if cost.unknown:
        pieces.append(f"price unknown for {cost.unknown:,} requests")
    if cache := saved(cost):
        pieces.append(cache)
    return ((label, "; ".join(pieces)), *((("Price", "; ".join((*cost.why, *cost.source))),) if cost.requests else ()))


def saved(cost: Cost) -> str:
    """Savings by caches, beside those that are expected; empty where there are none."""
    if not cost.requests and cost.estimate_saved_usd:
        return f"a cache may save about {usd(cost.estimate_saved_usd)} of it"
    if not cost.saved_usd:
        return ""
    expected_too = f" (about {usd(cost.estimate_saved_usd)} expected)" if cost.estimate_saved_usd else ""
    return f"the cache {'saved' if cost.saved_usd > 0 else 'cost'} {usd(abs(cost.saved_usd))}{expected_too}"


def run_row(cost: RunCost) -> tuple[tuple[str, str], ...]:
    """Row for a whole run, where there is more to it than the one batch."""
    parts = (("answers", cost.batch), ("retries", cost.retries), ("jury", cost.jury))
    pieces = [f"{name} {amount(part)}" for name, part in parts if part.requests or part.open]
    return (("Run cost", f"{amount(cost.total)} ({', '.join(pieces)})"),) if len(pieces) > 1 else ()


def likely(estimate: Estimate) -> str:
    """The money of an estimate: a range, with what is likely where anything is known of the model."""
    if estimate.is_free:
        return f"nothing ({estimate.source})"
    if estimate.high_usd is None:
        return f"price unknown: {'; '.join(estimate.why)}"
    ends = between(estimate.low_usd, estimate.high_usd)
    return ends if estimate.likely_usd is None else f"about {usd(estimate.likely_usd)} ({ends})"


def brief(estimate: Estimate | None) -> str:
    """The money of an estimate in one cell of a table."""
    if estimate is None:
        return ""
    if estimate.is_free:
        return "nothing"
    return "unknown" if estimate.high_usd is None else between(estimate.low_usd, estimate.high_usd)


def estimate_rows(estimate: Estimate | None) -> tuple[tuple[str, str], ...]:
    """Rows of a card: tokens and money that a batch is expected to take, and what that is concluded from."""
    if estimate is None:
        return ()
    if estimate.is_free:
        return (("Estimate", likely(estimate)),)
    tokens = (
        f"{estimate.input_low:,} to {estimate.input_high:,} tokens in,"
        f" {estimate.output_low:,} to {estimate.output_high:,} out"
    )
    cache = (("Cache", kept),) if (kept := saving(estimate)) else ()
    price = "; ".join((*(estimate.why if estimate.high_usd is not None else ()), estimate.source))
    return (("Estimate", f"{likely(estimate)}; {tokens}"), *cache, ("From", f"{'; '.join(estimate.basis)}; {price}"))


def saving(estimate: Estimate) -> str:
    """Expected savings by the cache that a vendor is asked for; empty where it is not asked."""
    if not estimate.cache_tokens:
        return ""
    kept = f"the requests share a beginning of about {estimate.cache_tokens:,} tokens, to be kept for an hour"
    if estimate.saved_low_usd is None or estimate.saved_high_usd is None:
        return kept
    saved, lost = usd(estimate.saved_high_usd), usd(-estimate.saved_low_usd)
    return f"{kept}: about {saved} saved where all but the first read it, {lost} lost where none does"


def estimated(report: EstimateReport) -> Card:
    """Card of what a batch and its jury will cost."""
    price = "unknown: a price is missing" if report.high_usd is None else between(report.low_usd, report.high_usd)
    spent = (("Spent so far", amount(report.spent.total)),) if report.spent and report.spent.total.requests else ()
    basis = dict.fromkeys(
        f"{row.name}: {'; '.join(row.estimate.basis)}" for row in report.batches if not row.estimate.is_free
    )
    basis |= dict.fromkeys(f"{row.name}: {kept}" for row in report.batches if (kept := saving(row.estimate)))
    head = title(f"estimate of {report.name}", report.rehearsal)
    rows = (("Together", price), *spent)
    table = table_of(_ESTIMATE, report.batches)
    return Card(head, report.next, rows, table, (*basis, *report.notes), report.rehearsal, folds=True)


_ESTIMATE: tuple[Column[EstimateRow], ...] = (
    Column("batch", lambda row: row.name),
    Column("requests", lambda row: f"{row.estimate.requests:,}"),
    Column("tokens in", lambda row: _span(row.estimate.input_low, row.estimate.input_high)),
    Column("tokens out", lambda row: _span(row.estimate.output_low, row.estimate.output_high)),
    Column("money", lambda row: "nothing" if row.estimate.is_free else likely(row.estimate)),
)


def _span(low: int, high: int) -> str:
    return f"{low:,} to {high:,}"
