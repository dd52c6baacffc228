"""Models on the same items: differences item by item, which tell more than two separate intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np

from batchflow.errors import DataError, UsageError
from batchflow.score import draws, quantiles
from batchflow.score.clusters import Clusters, FloatArray, cluster
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, Interval, checked, few_draws, lopsided
from batchflow.score.significance import holm, mcnemar, t_test
from batchflow.score.values import Votes, item_values

METHODS = ("mean", "majority")
POWER = 0.8
RARE = 10  # with fewer items that differ, the bootstrap of the difference is too narrow


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One model's item values. items: (n,) ids, each once. values: (n,) in [0, 1]. clusters: one label per item."""

    name: str
    items: tuple[str, ...]
    values: FloatArray
    clusters: Sequence[Hashable] | None = None

    def __post_init__(self) -> None:
        checked(self.values)
        if len(set(self.items)) != len(self.items) or len(self.items) != len(self.values):
            raise DataError(f"{self.name}: every item needs one value, and an id of its own")
        if self.clusters is not None and len(self.clusters) != len(self.items):
            raise DataError(f"{self.name}: {len(self.clusters)} cluster labels for {len(self.items)} items")


def scored(
    name: str,
    votes: Votes,
    *,
    field: str | None = None,
    method: str = "mean",
    item_of: Sequence[str] | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Scored:
    """One model's item values for `compare`, by the mean or the majority of its votes; items without a vote are out.

    field: the first of the votes' fields unless told. item_of: the item that each of `votes.items` answers, where items
    were answered repeatedly: an item's value is the mean over its answers. clusters: one label per answer; items that
    share one are not independent.
    Raises UsageError for another field or method, DataError for lists of another length and where nobody voted.

    >>> from batchflow.score.riddle import votes_from
    >>> votes = votes_from(["a"], ["x #0", "x #1", "y #0"], [[True, False, True]], [[True, False, True]])
    >>> found = scored("m", votes, item_of=["x", "x", "y"])
    >>> found.items, found.values.tolist()
    (('x', 'y'), [0.5, 1.0])
    """
    if method not in METHODS:
        raise UsageError(f"models are compared by the mean or the majority of the votes, not by {method!r}")
    found = item_values(votes, field or next(iter(votes.cast)))
    values = found.majority if method == "majority" else found.mean
    owners, labels = list(item_of or votes.items), list(clusters) if clusters is not None else None
    if len(owners) != len(votes.items) or (labels is not None and len(labels) != len(votes.items)):
        raise DataError(f"{name}: there has to be one item and one cluster for each of {len(votes.items)} answers")
    kept = np.flatnonzero(found.judged).tolist()
    place = {item: n for n, item in enumerate(dict.fromkeys(owners[index] for index in kept))}
    at = np.array([place[owners[index]] for index in kept])
    of_item = {owners[index]: labels[index] for index in reversed(kept)} if labels is not None else None
    shared = of_item is not None and len(set(of_item.values())) < len(of_item)
    return Scored(
        name,
        tuple(place),
        np.bincount(at, weights=values) / np.bincount(at),
        tuple(of_item[item] for item in place) if of_item is not None and shared else None,
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """Right/wrong values: items that both, only one, or neither has right; exact two-sided p and its mid-p."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float
    mid_p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model a minus model b on the n items that both have.

    standard_error: of the difference, paired (and clustered), None with one item. unpaired_error: as if the items were
    different ones. correlation: between the two models' values, None where one does not vary. p: exact McNemar for
    right/wrong values, else paired t. p_holm: corrected for all pairs compared together. detectable: the smallest true
    difference that this many items would show with the given power (Miller 2024, equation 10), None where all items
    differ alike: no spread was seen, which does not mean that there is none.
    """

    a: str
    b: str
    n: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    standard_error: float | None
    unpaired_error: float | None
    correlation: float | None
    mcnemar: McNemar | None
    p: float
    p_holm: float
    detectable: float | None
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rank:
    """best: 1 + models that are significantly better. worst: models - those significantly worse."""

    name: str
    mean: float
    best: int
    worst: int


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All pairs, and the models by falling mean with the ranks that the paired tests leave open."""

    pairs: tuple[Comparison, ...]
    ranks: tuple[Rank, ...]


def compare(
    a: Scored,
    b: Scored,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    power: float = POWER,
) -> Comparison:
    """Compare two models on their common items. Raises DataError where they have none.

    >>> ids = tuple(str(n) for n in range(40))
    >>> a = Scored("a", ids, np.array([1.0] * 30 + [0.0] * 10))
    >>> b = Scored("b", ids, np.array([1.0] * 18 + [0.0] * 22))
    >>> found = compare(a, b)
    >>> f"{found.difference:.2f} {found.mcnemar.only_a} {found.mcnemar.only_b} {found.p:.5f}"
    '0.30 12 0 0.00049'
    """
    common, rows_a, rows_b = _common(a, b)
    x, y = a.values[rows_a], b.values[rows_b]
    labels = None if a.clusters is None else [a.clusters[row] for row in rows_a.tolist()]
    groups = cluster(x - y, labels)
    table = _mcnemar(x, y) if labels is None else None
    p = table.p if table else t_test(groups.mean, groups.variance, groups.count - 1)
    error = _root(groups.variance)
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(common),
        mean_a=float(x.mean()),
        mean_b=float(y.mean()),
        difference=groups.mean,
        interval=_difference(groups, level=level, resamples=resamples, seed=seed, p=None if labels is None else p),
        standard_error=error,
        unpaired_error=_root(cluster(x, labels).variance + cluster(y, labels).variance),
        correlation=float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else None,
        mcnemar=table,
        p=p,
        p_holm=p,
        detectable=_reach(level, power) * error if error else None,
        only_in_a=tuple(sorted(set(a.items).difference(common))),
        only_in_b=tuple(sorted(set(b.items).difference(common))),
    )


def compare_all(
    models: Sequence[Scored],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    power: float = POWER,
) -> Comparisons:
    """Every pair of models, Holm's correction over them, and the rank ranges. Raises UsageError below two models."""
    if len(models) < 2 or len({model.name for model in models}) != len(models):
        raise UsageError("compare needs at least two models with different names")
    found = [
        compare(a, b, level=level, resamples=resamples, seed=seed, power=power) for a, b in combinations(models, 2)
    ]
    corrected = holm([each.p for each in found])
    pairs = tuple(replace(each, p_holm=p) for each, p in zip(found, corrected, strict=True))
    return Comparisons(pairs, _ranks(models, pairs, 1 - level))


def _ranks(models: Sequence[Scored], pairs: Sequence[Comparison], error: float) -> tuple[Rank, ...]:
    better, worse = dict.fromkeys((model.name for model in models), 0), dict.fromkeys((m.name for m in models), 0)
    for pair in pairs:
        if pair.p_holm < error and pair.difference != 0:
            winner, loser = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
            better[loser] += 1
            worse[winner] += 1
    rows = [
        Rank(model.name, float(model.values.mean()), 1 + better[model.name], len(models) - worse[model.name])
        for model in models
    ]
    return tuple(sorted(rows, key=lambda row: (-row.mean, row.name)))


def _common(a: Scored, b: Scored) -> tuple[list[str], np.typing.NDArray[np.int64], np.typing.NDArray[np.int64]]:
    """Common item ids in sorted order, and the rows of each model."""
    row_a, row_b = ({item: row for row, item in enumerate(model.items)} for model in (a, b))
    common = sorted(row_a.keys() & row_b.keys())
    if not common:
        raise DataError(f"{a.name} and {b.name} have no item in common", hint="compare batches of the same task")
    return common, np.array([row_a[item] for item in common]), np.array([row_b[item] for item in common])


def _mcnemar(x: FloatArray, y: FloatArray) -> McNemar | None:
    """The table of right/wrong values; None for fractional ones."""
    if not (np.isin(x, (0.0, 1.0)).all() and np.isin(y, (0.0, 1.0)).all()):
        return None
    only_a, only_b = int((x > y).sum()), int((x < y).sum())
    both = int(((x == 1) & (y == 1)).sum())
    p, mid = mcnemar(only_a, only_b)
    return McNemar(both, only_a, only_b, len(x) - both - only_a - only_b, p, mid)


def _difference(groups: Clusters, *, level: float, resamples: int, seed: int, p: float | None) -> Interval:
    """Percentile bootstrap of the difference; another interval where too few units differ to resample.

    p: of the t-test over clusters, None where the items are independent.
    """
    differing = int(groups.times[groups.sums != 0].sum())
    if differing < RARE or groups.uniform:
        if p is not None and groups.count > 1 and groups.mean != 0:
            return _of_few_clusters(groups, level, p)
        return _adjusted(groups, level, differing)
    left_out = quantiles.tail(level)
    drawn = draws.means(groups, resamples=resamples, rng=draws.generator(seed))
    low, high = np.quantile(drawn, [left_out, 1 - left_out]).tolist()
    made = Interval(
        low=min(low, groups.mean),
        high=max(high, groups.mean),
        level=level,
        method="percentile",
        n=groups.n,
        n_clusters=groups.count,
        seed=seed,
        resamples=resamples,
        standard_error=_root(groups.variance),
    )
    return replace(made, note="; ".join(filter(None, (lopsided(groups), few_draws(made)))))


def _adjusted(groups: Clusters, level: float, differing: int) -> Interval:
    """Agresti and Min 2005: two pseudo-items, of which a and b win half a one each, then the normal interval.

    It never has width 0, however few items differ. Clusters count as one unit of their mean difference.
    """
    per_unit, n = groups.sums / groups.sizes, groups.count + 2
    centre = float((per_unit * groups.times).sum()) / n
    square = (float((per_unit**2 * groups.times).sum()) + 1) / n
    half = quantiles.normal(level) * math.sqrt((square - centre**2) / n)
    return Interval(
        low=max(min(centre - half, groups.mean), -1.0),
        high=min(max(centre + half, groups.mean), 1.0),
        level=level,
        method="agresti-min",
        n=groups.n,
        n_clusters=groups.count,
        standard_error=_root(groups.variance),
        note=f"Agresti–Min interval, because the models differ on only {differing} of {groups.count} units"
        if differing < RARE
        else "Agresti–Min interval, because all units differ by the same amount",
    )


def _of_few_clusters(groups: Clusters, level: float, p: float) -> Interval:
    """Student's t on one degree of freedom less than there are clusters: the interval of the test that gives p.

    Pseudo-clusters of ±1 would swamp the differences of a few clusters, which are means over many items. Without
    any spread, the interval reaches from 0 (beyond it where p is not below the error) to twice the difference.
    """
    if groups.variance > 0:
        half, how = quantiles.student(level, groups.count - 1) * math.sqrt(groups.variance), "t interval"
    else:
        half, how = abs(groups.mean) * (1 if p < 1 - level else 2), "no spread between clusters, a rough interval"
    return Interval(
        low=max(groups.mean - half, -1.0),
        high=min(groups.mean + half, 1.0),
        level=level,
        method="t",
        n=groups.n,
        n_clusters=groups.count,
        standard_error=_root(groups.variance),
        note="; ".join(filter(None, (f"{how} over {groups.count} clusters, which are few", lopsided(groups)))),
    )


def _root(variance: float) -> float | None:
    return None if math.isnan(variance) else math.sqrt(variance)


def _reach(level: float, power: float) -> float:
    """Z of a two-sided test at this level, plus z of the power."""
    if not 0 < power < 1:
        raise UsageError(f"power is {power:g}, it has to lie between 0 and 1")
    return quantiles.normal(level) + NormalDist().inv_cdf(power)


def sample_size(difference: float, variance: float, *, level: float = LEVEL, power: float = POWER) -> int:
    """Items needed to show a true difference, given the variance of one item's difference (Miller 2024, eq. 9).

    >>> sample_size(0.03, 1 / 9)
    969
    """
    return math.ceil(_reach(level, power) ** 2 * variance / difference**2)


def detectable_difference(
    n: int,
    between: float,
    within_a: float = 0.0,
    within_b: float = 0.0,
    *,
    samples_a: int = 1,
    samples_b: int = 1,
    level: float = LEVEL,
    power: float = POWER,
) -> float:
    """Smallest true difference that n items show (Miller 2024, eq. 10).

    (z + z_power) · √((ω² + σ_a²/K_a + σ_b²/K_b) / n). between: ω², variance over items of the difference of expected
    values. within_a, within_b: σ², variance of repeated
    answers to one item. samples_a, samples_b: answers per item.

    >>> round(detectable_difference(198, 1 / 9, 1 / 6, 1 / 6), 4)
    0.1327
    """
    variance = between + within_a / samples_a + within_b / samples_b
    return _reach(level, power) * math.sqrt(variance / n)
