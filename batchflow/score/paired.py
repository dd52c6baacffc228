"""Models on the same items: differences item by item, which tell more than two separate intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np

from batchflow.errors import DataError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers, positive
from batchflow.score.base.clusters import Clusters, cluster
from batchflow.score.base.significance import holm, mcnemar, normal_p, t_test
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, Interval, few_draws, lopsided
from batchflow.score.values import Votes, item_values

METHODS = ("mean", "majority")
POWER = 0.8
RARE = 10  # with fewer items that differ, Student's t is too narrow
MANY_ALIKE = 4  # clusters for each one that differs, from which on few of them differ
FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One model's item values. items: (n,) ids, each once. values: (n,) in [0, 1]. clusters: one label per item."""

    name: str
    items: tuple[str, ...]
    values: FloatArray
    clusters: Sequence[Hashable] | None = None

    def __post_init__(self) -> None:
        numbers("values", self.values)
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
    item_means = item_values(votes, field or next(iter(votes.cast)))
    values = item_means.majority if method == "majority" else item_means.mean
    owners, labels = list(item_of or votes.items), list(clusters) if clusters is not None else None
    if len(owners) != len(votes.items) or (labels is not None and len(labels) != len(votes.items)):
        raise DataError(f"{name}: there has to be one item and one cluster for each of {len(votes.items)} answers")
    kept = np.flatnonzero(item_means.judged).tolist()
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
    different ones. correlation: between the two models' values, None where one does not vary. interval, p: from one
    method, which interval.method names. percentile: the bootstrap beside it. mcnemar: the exact test of right/wrong
    values, beside p. p_holm: corrected for all pairs compared together. detectable: the smallest true
    difference that this many items would show with the given power (Miller 2024, equation 10), None where all items
    differ alike: no spread was seen, which does not mean that there is none. explained_by: the difference between the
    shares of the two models' wrong answers that the judges let pass that would explain the whole difference; None where
    none could.
    """

    a: str
    b: str
    n: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval
    percentile: Interval
    standard_error: float | None
    unpaired_error: float | None
    correlation: float | None
    mcnemar: McNemar | None
    p: float
    p_holm: float
    detectable: float | None
    explained_by: float | None
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
    >>> f"{found.difference:.2f} {found.mcnemar.only_a} {found.mcnemar.only_b} {found.mcnemar.p:.5f}"
    '0.30 12 0 0.00049'
    """
    if a.name > b.name:  # computed one way round alone: else the two would differ by the last bit, or by a draw
        return mirrored(compare(b, a, level=level, resamples=resamples, seed=seed, power=power))
    common, rows_a, rows_b = _common(a, b)
    x, y = a.values[rows_a], b.values[rows_b]
    units, rows = (a.clusters, rows_a) if a.clusters is not None else (b.clusters, rows_b)
    labels = None if units is None else [units[row] for row in rows.tolist()]
    groups = cluster(x - y, labels)
    table = _mcnemar(x, y) if labels is None else None
    interval, p = _difference(groups, level, binary=table is not None, clustered=labels is not None)
    error = _root(groups.variance)
    return Comparison(
        a=a.name,
        b=b.name,
        n=len(common),
        mean_a=float(x.mean()),
        mean_b=float(y.mean()),
        difference=groups.mean,
        interval=interval,
        percentile=_bootstrap(groups, level=level, resamples=resamples, seed=seed),
        standard_error=error,
        unpaired_error=_root(cluster(x, labels).variance + cluster(y, labels).variance),
        correlation=float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else None,
        mcnemar=table,
        p=p,
        p_holm=p,
        detectable=reach(level, power, groups.freedom if labels is not None else None) * (_root(groups.cautious) or 0)
        if error
        else None,
        explained_by=explained_by(groups.mean, float(x.mean()), float(y.mean())),
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
    refuse_alike(models)
    comparisons = [
        compare(a, b, level=level, resamples=resamples, seed=seed, power=power) for a, b in combinations(models, 2)
    ]
    return together(models, comparisons, level)


def refuse_alike(models: Sequence[Scored]) -> None:
    """Raise UsageError for fewer than two models, and for two of one name."""
    if len(models) < 2 or len({model.name for model in models}) != len(models):
        raise UsageError("compare needs at least two models with different names")


def together(models: Sequence[Scored], comparisons: Sequence[Comparison], level: float) -> Comparisons:
    """The comparisons of all pairs of these models, with Holm's correction and the ranks that they leave open."""
    corrected = holm([each.p for each in comparisons])
    pairs = tuple(replace(each, p_holm=p) for each, p in zip(comparisons, corrected, strict=True))
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


def _difference(groups: Clusters, level: float, *, binary: bool, clustered: bool) -> tuple[Interval, float]:
    """Interval and p of the difference, from one method always, so that they cannot contradict each other.

    Right/wrong values, and values that hardly ever differ: Agresti–Min. Others, and clusters: Student's t.
    """
    differing = int(groups.times[groups.sums != 0].sum())
    if not clustered and (binary or differing < RARE or groups.uniform):
        return _adjusted(groups, level, differing, 1.0, is_usual=binary)
    if clustered and differing < RARE and groups.count >= MANY_ALIKE * max(differing, 1):
        largest = float(np.abs(groups.sums / groups.sizes).max())
        return _adjusted(groups, level, differing, largest or 1.0, is_usual=False)
    return _student(groups, level)


def _adjusted(
    groups: Clusters, level: float, differing: int, scale: float, *, is_usual: bool
) -> tuple[Interval, float]:
    """Agresti and Min 2005: two pseudo-items, of which a and b win half a one each, then the normal interval and test.

    It never has width 0, however few items differ. Clusters count as one unit of their mean difference, and scale, the
    largest of these, takes the place of the 1 that an item can differ by.
    """
    per_unit, n = groups.sums / groups.sizes, groups.count + 2
    centre = float((per_unit * groups.times).sum()) / n
    square = (float((per_unit**2 * groups.times).sum()) + scale**2) / n
    error = math.sqrt((square - centre**2) / n)
    half = quantiles.normal(level) * error
    note = "" if is_usual else "Agresti–Min interval, because all units differ by the same amount"
    if differing < RARE:
        note = f"Agresti–Min interval, because the models differ on only {differing} of {groups.count} units"
    interval = Interval(
        low=max(min(centre - half, groups.mean), -1.0),
        high=min(max(centre + half, groups.mean), 1.0),
        level=level,
        method="agresti-min",
        n=groups.n,
        n_clusters=groups.count,
        standard_error=_root(groups.variance),
        note=note,
    )
    return interval, normal_p(centre / error)


def _student(groups: Clusters, level: float) -> tuple[Interval, float]:
    """Student's t with the cautious error of `Clusters`, and the test that it inverts.

    Pseudo-clusters of ±1 would swamp the differences of a few clusters, which are means over many items. Without
    any spread, the interval reaches from 0 (beyond it where p is not below the error) to twice the difference.
    """
    if groups.count < 2:
        quantiles.tail(level)
        note = "one cluster alone has no standard error"
        return Interval(-1.0, 1.0, level, "t", groups.n, groups.count, note=note), 1.0
    p = t_test(groups.mean, groups.cautious, groups.freedom)
    few = f" over {groups.count} clusters, which are few" if groups.count < FEW_CLUSTERS else ""
    if groups.cautious > 0:
        half = quantiles.student(level, groups.freedom) * math.sqrt(groups.cautious)
        caveat = f"t interval{few}" if few else ""
    elif groups.mean == 0:
        return _adjusted(groups, level, 0, 1.0, is_usual=False)
    else:
        half = abs(groups.mean) * (1 if p < 1 - level else 2)
        caveat = f"no spread between clusters, a rough interval{few}"
    interval = Interval(
        low=max(groups.mean - half, -1.0),
        high=min(groups.mean + half, 1.0),
        level=level,
        method="t",
        n=groups.n,
        n_clusters=groups.count,
        standard_error=_root(groups.variance),
        note="; ".join(filter(None, (caveat, lopsided(groups)))),
    )
    return interval, p


def explained_by(difference: float, mean_a: float, mean_b: float) -> float | None:
    """|difference| / share of wrong answers: judges that pass so many more of one model's wrong answers make it up."""
    wrong = 1 - (mean_a + mean_b) / 2 + abs(difference) / 2  # of the better model some passed that are wrong
    return abs(difference) / wrong if wrong > 0 and abs(difference) <= wrong else None


def mirrored(comparison: Comparison) -> Comparison:
    """The same comparison the other way round."""
    table = comparison.mcnemar
    return replace(
        comparison,
        a=comparison.b,
        b=comparison.a,
        mean_a=comparison.mean_b,
        mean_b=comparison.mean_a,
        difference=-comparison.difference,
        interval=replace(comparison.interval, low=-comparison.interval.high, high=-comparison.interval.low),
        percentile=replace(comparison.percentile, low=-comparison.percentile.high, high=-comparison.percentile.low),
        mcnemar=table and replace(table, only_a=table.only_b, only_b=table.only_a),
        only_in_a=comparison.only_in_b,
        only_in_b=comparison.only_in_a,
    )


def _bootstrap(groups: Clusters, *, level: float, resamples: int, seed: int) -> Interval:
    """Percentile bootstrap of the difference."""
    left_out = quantiles.tail(level)
    drawn = draws.means(groups, resamples=resamples, rng=draws.generator(seed))
    low, high = np.quantile(drawn, [left_out, 1 - left_out]).tolist()
    interval = Interval(
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
    return replace(interval, note=few_draws(interval))


def _root(variance: float) -> float | None:
    return None if math.isnan(variance) else math.sqrt(variance)


def reach(level: float, power: float, freedom: float | None = None) -> float:
    """Z of a two-sided test at this level, or its t with so many degrees of freedom, plus z of the power."""
    if not 0 < power < 1:
        raise UsageError(f"power is {power:g}, it has to lie between 0 and 1")
    bound = quantiles.normal(level) if freedom is None else quantiles.student(level, freedom)
    return bound + NormalDist().inv_cdf(power)


def sample_size(difference: float, variance: float, *, level: float = LEVEL, power: float = POWER) -> int:
    """Items needed to show a true difference, given the variance of one item's difference (Miller 2024, eq. 9).

    >>> sample_size(0.03, 1 / 9)
    969
    """
    positive("difference", abs(difference))
    positive("variance", variance, zero=True)
    return math.ceil(reach(level, power) ** 2 * variance / difference**2)


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
    for name, value in (("between", between), ("within_a", within_a), ("within_b", within_b)):
        positive(name, value, zero=True)
    for name, count in (("n", n), ("samples_a", samples_a), ("samples_b", samples_b)):
        positive(name, count)
    variance = between + within_a / samples_a + within_b / samples_b
    return reach(level, power) * math.sqrt(variance / n)
