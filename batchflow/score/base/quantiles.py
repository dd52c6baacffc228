"""Quantiles of the few distributions that intervals need; `scipy.special` is loaded only where it is used.

`scipy.stats` takes half a second to import and gives the same numbers; the tests compare with it.
"""

from __future__ import annotations

from statistics import NormalDist

from batchflow.errors import UsageError


def tail(level: float) -> float:
    """The share left out on each side of a two-sided interval. Raises UsageError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise UsageError(f"level is {level:g}, it has to lie between 0 and 1", hint="95 % is --level 0.95")
    return (1 - level) / 2


def normal(level: float) -> float:
    """The z with P(|Z| <= z) = level, e.g. 1.96 for 0.95."""
    return NormalDist().inv_cdf(1 - tail(level))


def percent(level: float) -> str:
    """A level in words: `95 %`; one that is not 1 is never shown as 100 %."""
    return f"{100 * level:.12g} %"


def student(level: float, df: float) -> float:
    """The t with P(|T| <= t) = level on `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - tail(level)))


def beta(share: float, a: float, b: float) -> float:
    """The point below which a Beta(a, b) variable falls with probability `share`; 0 or 1 at a degenerate edge."""
    from scipy.special import betaincinv

    if a <= 0:
        return 0.0
    if b <= 0:
        return 1.0
    return float(betaincinv(a, b, share))
