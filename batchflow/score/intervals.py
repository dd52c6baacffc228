"""Confidence intervals for a mean of item values in [0, 1], and how each was made.

    percentile   percentile bootstrap over items (or clusters), drawn exactly
    wilson       Wilson's score interval; fractional or clustered values enter through their effective n
    exact        Clopper–Pearson on the same effective n
    beta         equal-tailed credible interval under a Beta(1, 1) prior on the same effective n
    t            mean ± t · SE on C-1 degrees of freedom, cut to [0, 1]
    auto         wilson for right/wrong values; for others percentile, or wilson where the bootstrap is known to fail

docs/statistics.md holds the coverage of each.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from batchflow.errors import ArgumentError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers
from batchflow.score.base.clusters import TINY, Clusters, Labels, cluster

LEVEL = 0.95
RESAMPLES = 9_999
SEED = 0
NARROW = ("percentile", "t")  # fall short of their level where `bootstrap_fails` gives a reason
TAIL_DRAWS = 5  # resampled means beyond each bound, or the bound is one draw's luck
RARE = 10  # fewer successes or failures than this and the percentile bootstrap falls short of its level


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of an interval. ci: one of CHOICES. resamples, seed: of the bootstrap."""

    ci: str = "auto"
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class Interval:
    """Two bounds and how they were made.

    level: share of such intervals that cover. n: items. n_clusters: independent units among them.
    n_effective: items that a plain proportion would need for the same variance (wilson, exact, beta).
    seed, resamples: of the bootstrap, else None. standard_error: clustered, None where it cannot be known.
    """

    low: float
    high: float
    level: float
    method: str
    n: int
    n_clusters: int
    n_effective: float | None = None
    seed: int | None = None
    resamples: int | None = None
    standard_error: float | None = None
    note: str = ""

    @property
    def half_width(self) -> float:
        """Half the distance between the bounds."""
        return (self.high - self.low) / 2

    def to_json(self) -> dict[str, Any]:
        """Plain fields, 0–1 floats."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the interval that was asked for; `percentile` and `wilson` are always carried beside it."""

    mean: float
    interval: Interval
    percentile: Interval
    wilson: Interval

    @property
    def footnotes(self) -> tuple[str, ...]:
        """Footnote of the interval."""
        return (self.interval.note,) if self.interval.note else ()


def estimate(
    values: Sequence[float] | FloatArray,
    clusters: Labels | None = None,
    settings: Settings | None = None,
    *,
    boolean: bool | None = None,
    weights: Sequence[float] | FloatArray | None = None,
) -> Estimate:
    """The mean of `values` with its interval.

    values: n numbers in [0, 1]. clusters: one label per value. boolean: whether they are right/wrong values, or means
    of such; told from the values (all 0 or 1) where nobody says. weights: of a weighted mean, on any scale, one per
    value, none negative and one at least above 0; a value of weight 0 does not enter.
    Raises UsageError for an unknown ci or a level outside (0, 1), DataError for values outside [0, 1].

    >>> found = estimate([1, 1, 0, 2 / 3] * 25, settings=Settings(seed=7))
    >>> f"{found.mean:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}] {found.interval.method}"
    '0.667 [0.587, 0.743] percentile'
    >>> estimate([1.0] * 20).interval.method
    'wilson'
    """
    how = settings or Settings()
    if how.ci not in CHOICES:
        raise UsageError(f"there is no interval called {how.ci!r}", hint=f"choose one of {', '.join(CHOICES)}")
    array = numbers("values", values)
    weighed = None if weights is None else _weighed(weights, len(array))
    if weighed is not None:
        kept = weighed > 0
        array, weighed = array[kept], weighed[kept]
        clusters = None if clusters is None else [each for each, keep in zip(clusters, kept, strict=True) if keep]
    groups = cluster(array, clusters, weighed)
    is_boolean = bool(np.isin(array, (0.0, 1.0)).all()) if boolean is None else boolean
    boot = percentile(groups, level=how.level, resamples=how.resamples, seed=how.seed)
    score = wilson(groups, level=how.level)
    reason = bootstrap_fails(groups)
    if how.ci == "auto":
        note = "" if is_boolean else f"Wilson interval, because {reason}"
        chosen = replace(score, note=note) if reason or is_boolean else boot
    else:
        chosen = {"percentile": boot, "wilson": score}.get(how.ci) or METHODS[how.ci](groups, level=how.level)
        if reason and how.ci in NARROW and not chosen.note:
            chosen = replace(chosen, note=f"the {how.ci} interval is too narrow here, because {reason}: --ci auto")
    chosen = replace(chosen, note="; ".join(filter(None, (chosen.note, lopsided(groups), few_draws(chosen)))))
    return Estimate(groups.mean, chosen, boot, score)


def _weighed(weights: Sequence[float] | FloatArray, n: int) -> FloatArray:
    weighed = numbers("weights", weights, high=sys.float_info.max, size=n)
    if n and not weighed.any():
        raise ArgumentError("weights: all of them are 0")
    return weighed


def bootstrap_fails(groups: Clusters) -> str:
    """Reason not to trust the bootstrap here; empty without one. Clusters count as one unit each."""
    if groups.alike:
        return "all item values are equal"
    if groups.uniform:
        return f"all {groups.count} clusters have the same mean"
    rare = groups.count * min(groups.mean, 1 - groups.mean)
    if rare < RARE - TINY * groups.count:
        unit = "items" if groups.count == groups.n else "clusters"
        return f"fewer than {RARE} successes or failures among {groups.count} {unit} are too few to resample"
    return "one cluster outweighs the others" if groups.lopsided else ""


def lopsided(groups: Clusters) -> str:
    """Warns of what one large cluster does to the interval; empty without one. Coverage: docs/statistics.md."""
    share = groups.lopsided
    return (
        f"one cluster holds {100 * share:.0f} % of the items, so they are worth {groups.freedom + 1:.1f} clusters of "
        "one size"
        if share
        else ""
    )


def few_draws(interval: Interval) -> str:
    """Reason why a bootstrap's tails are noise; empty without one."""
    if interval.resamples is None or interval.resamples * quantiles.tail(interval.level) >= TAIL_DRAWS:
        return ""
    return f"{interval.resamples:,} resamples are too few for a {quantiles.percent(interval.level)} interval"


def percentile(groups: Clusters, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Percentile bootstrap: the tails of `resamples` resampled means (linear quantiles, as numpy and scipy)."""
    left_out = quantiles.tail(level)
    drawn = draws.means(groups, resamples=resamples, rng=draws.generator(seed))
    low, high = np.quantile(drawn, [left_out, 1 - left_out]).tolist()
    # A mean of equal values may differ from them in the last bit; the estimate still lies inside.
    low, high = min(low, groups.mean), max(high, groups.mean)
    return _interval(groups, low, high, level, "percentile", seed=seed, resamples=resamples)


def wilson(groups: Clusters, *, level: float = LEVEL) -> Interval:
    """Wilson's score interval (1927): the p for which the observed mean lies z standard errors away."""
    p, n, z = groups.mean, effective_n(groups, level), quantiles.normal(level)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return _interval(groups, centre - half, centre + half, level, "wilson", n_effective=n)


def exact(groups: Clusters, *, level: float = LEVEL) -> Interval:
    """Clopper–Pearson (1934): both binomial tails at half the error; never below its level, so rather wide."""
    p, n, left_out = groups.mean, effective_n(groups, level), quantiles.tail(level)
    low = quantiles.beta(left_out, p * n, (1 - p) * n + 1)
    high = quantiles.beta(1 - left_out, p * n + 1, (1 - p) * n)
    return _interval(groups, low, high, level, "exact", n_effective=n)


def beta(groups: Clusters, *, level: float = LEVEL) -> Interval:
    """Equal-tailed posterior interval under a uniform prior; widened to hold the mean where all values are equal."""
    p, n, left_out = groups.mean, effective_n(groups, level), quantiles.tail(level)
    low, high = (quantiles.beta(share, p * n + 1, (1 - p) * n + 1) for share in (left_out, 1 - left_out))
    return _interval(groups, min(low, p), max(high, p), level, "beta", n_effective=n)


def student(groups: Clusters, *, level: float = LEVEL) -> Interval:
    """Mean ± t · SE, both cautious (`Clusters`). A single cluster says nothing: the interval is all of [0, 1]."""
    if groups.count < 2:
        quantiles.tail(level)
        return _interval(groups, 0.0, 1.0, level, "t", note="one cluster alone has no standard error")
    half = quantiles.student(level, groups.freedom) * math.sqrt(groups.cautious)
    return _interval(groups, groups.mean - half, groups.mean + half, level, "t")


METHODS: dict[str, Callable[..., Interval]] = {
    "percentile": percentile,
    "wilson": wilson,
    "exact": exact,
    "beta": beta,
    "t": student,
}
CHOICES = ("auto", *METHODS)


def effective_n(groups: Clusters, level: float) -> float:
    """The number n for right/wrong values; else p(1-p)/V · (z/t)², with the cautious V and t of `Clusters`.

    Where all clusters have one mean, or there is a single one, each of the effective clusters counts as one item.
    """
    p = groups.mean
    if groups.binary:
        return float(groups.n)
    if groups.count < 2 or groups.uniform:
        return groups.effective
    shrink = quantiles.normal(level) / quantiles.student(level, groups.freedom)
    return p * (1 - p) / groups.cautious * shrink**2


def _interval(groups: Clusters, low: float, high: float, level: float, method: str, **facts: Any) -> Interval:
    return Interval(
        low=min(max(low, 0.0), groups.mean),
        high=max(min(high, 1.0), groups.mean),
        level=level,
        method=method,
        n=groups.n,
        n_clusters=groups.count,
        standard_error=None if math.isnan(groups.variance) else math.sqrt(groups.variance),
        **facts,
    )
