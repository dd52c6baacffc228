"""Money as a person reads it. Pure: costs in, texts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchflow.steps.base.billing import Cost, RunCost


def usd(value: float) -> str:
    """An amount: cents, and two digits that count below one.

    >>> usd(1234.5), usd(0.0), usd(0.012345), usd(0.00000612)
    ('$1,234.50', '$0.00', '$0.012', '$0.0000061')
    """
    if value and abs(value) < 0.1:
        text = f"{value:.2g}"
        return f"${text}" if "e" not in text else f"${value:.10f}".rstrip("0")
    return f"${value:,.2f}"


def between(low: float | None, high: float | None) -> str:
    """A range; one number where both ends look the same; `unknown` without a lower end."""
    if low is None:
        return "unknown"
    if high is None:
        return f"{usd(low)} or more"
    return usd(low) if usd(low) == usd(high) else f"{usd(low)} to {usd(high)}"


def amount(cost: Cost) -> str:
    """What was paid, in one cell of a table; else what is expected, or why there is no number."""
    if cost.is_free:
        return "free"
    if cost.requests:
        return between(cost.low_usd, cost.high_usd) + (" so far" if cost.open else "")
    return f"est. {expected(cost)}" if cost.estimate_low_usd is not None else "-"


def expected(cost: Cost) -> str:
    """The estimate; empty without one."""
    return "" if cost.estimate_low_usd is None else between(cost.estimate_low_usd, cost.estimate_high_usd)


def row(cost: Cost, label: str = "Cost") -> tuple[tuple[str, str], ...]:
    """Row of a card: what was paid, what was expected, what caches saved; none before there is anything to tell."""
    if cost.is_free:
        return ((label, f"nothing ({'; '.join(cost.source) or 'nobody is paid'})"),)
    if not cost.requests and cost.estimate_low_usd is None:
        return ()
    told = [amount(cost)]
    if cost.requests and (estimate := expected(cost)):
        told.append(f"estimated {estimate}")
    if cost.unknown:
        told.append(f"price unknown for {cost.unknown:,} requests")
    if cost.saved_usd:
        told.append(f"the cache {'saved' if cost.saved_usd > 0 else 'cost'} {usd(abs(cost.saved_usd))}")
    return ((label, "; ".join(told)), *((("Price", "; ".join((*cost.why, *cost.source))),) if cost.requests else ()))


def run_row(cost: RunCost) -> tuple[tuple[str, str], ...]:
    """Row for a whole run, where there is more to it than the one batch."""
    parts = (("answers", cost.batch), ("retries", cost.retries), ("jury", cost.jury))
    told = [f"{name} {amount(part)}" for name, part in parts if part.requests or part.open]
    return (("Run cost", f"{amount(cost.total)} ({', '.join(told)})"),) if len(told) > 1 else ()
