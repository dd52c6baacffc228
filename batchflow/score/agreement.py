"""Agreement of a jury: outliers, and the effective number of judges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from batchflow.records import Level
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers, one_of, shaped
from batchflow.score.base.clusters import TINY, CountArray
from batchflow.score.base.significance import binomial_tail, holm
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, Interval
from batchflow.score.labelled.gold import LabelArray
from batchflow.score.values import MISSING, NOT_ASKED, RIGHT, WRONG, VoteArray

FEW_ITEMS = 50  # below, the bootstrap interval of α covers less than 90 of 100 (docs/statistics.md)
ERROR_RATE = 0.05  # of naming a judge, over the whole jury


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges on the n items that both voted on. kappa: Cohen's, None where chance alone would agree fully."""

    judge_a: str
    judge_b: str
    n: int
    agreement: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Dissent:
    """Count of answers on which one judge stood alone. expected: if each were equally likely to be the lone one.
    p: one-sided binomial, corrected for the number of judges (Holm). beyond_chance: p is below 0.05.
    """

    judge: str
    alone: int
    expected: float
    p: float
    beyond_chance: bool


class Basis(StrEnum):
    """Whose labelled answers tell how right the judges are."""

    OWN = "own"  # answers of the evaluated model
    OTHERS = "others"  # answers of other models, that the same judges voted on


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Votes of the same judges on other models' labelled answers: (n_judges, n_rows), and (n_rows,) human labels."""

    votes: VoteArray
    labels: LabelArray


@dataclass(frozen=True, slots=True)
class Independence:
    """worth: how many independent judges average as well. among: judges that err. correlation: mean ρ of errors."""

    worth: float
    among: int
    correlation: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """alpha: Krippendorff's, with its bootstrap interval over items. fleiss: over items where all judges voted.
    unanimous: share of the items with two votes or more. pairs: all pairs of judges with common items.
    accuracy, independent, independent_among: against gold labels, None without; see `independent_judges`.
    gold_basis, gold_labels: whose labelled answers those three are from, and how many; None where there are none.
    """

    alpha: float | None
    alpha_interval: Interval | None
    fleiss: float | None
    unanimous: float | None
    pairs: tuple[Pair, ...]
    dissent: tuple[Dissent, ...]
    accuracy: tuple[float | None, ...] | None = None
    independent: float | None = None
    independent_among: int | None = None
    gold_basis: Basis | None = None
    gold_labels: int | None = None

    @property
    def apart(self) -> tuple[str, ...]:
        """Judges that disagree with the rest beyond chance."""
        return tuple(each.judge for each in self.dissent if each.beyond_chance)


def agree(
    judges: tuple[str, ...],
    votes: VoteArray,
    *,
    scale: Level = Level.NOMINAL,
    labels: LabelArray | None = None,
    weights: FloatArray | None = None,
    elsewhere: Trial | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Agreement:
    """votes: (n_judges, n_items). labels: (n_items,) human RIGHT, WRONG or MISSING, where there are some.

    weights: (n_items,) how many items each labelled one stands for in the judges' accuracy; None: one.
    scale: what the votes mean to one another; of numbers, only α, the pairs and the unanimous items are told.

    elsewhere: what the judges said about labelled answers of other models; it counts where no label is of these items.

    >>> votes = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1]], dtype=np.int8)
    >>> found = agree(("a", "b", "c"), votes)
    >>> round(found.alpha, 3), found.unanimous, [(p.judge_a, p.judge_b, p.kappa) for p in found.pairs]
    (0.686, 0.75, [('a', 'b', 1.0), ('a', 'c', 0.5), ('b', 'c', 0.5)])
    """
    _refuse(votes, scale)
    shaped("votes", votes.T, size=len(judges), dims=2)
    if scale is not Level.NOMINAL:
        return _by_values(judges, votes, scale, level=level, resamples=resamples, seed=seed)
    return Agreement(
        alpha=(tallies := Tallies(votes)).alpha,
        alpha_interval=tallies.alpha_interval(level=level, resamples=resamples, seed=seed),
        fleiss=tallies.fleiss,
        unanimous=tallies.unanimous,
        pairs=tuple(
            pair
            for a, b in combinations(range(len(judges)), 2)
            if (pair := _pair(judges[a], judges[b], votes[a], votes[b])) is not None
        ),
        dissent=_dissents(judges, votes, tallies),
        **_by_gold(votes, labels, weights, elsewhere),
    )


def _refuse(votes: VoteArray, scale: Level) -> None:
    """Raise ArgumentError for votes of another shape, or with another value than a vote can have."""
    if scale is Level.NOMINAL:
        one_of("votes", votes, (RIGHT, WRONG, MISSING, NOT_ASKED), dims=2, meaning="1, 0, -1 (missing) or -2")
    else:
        shaped("votes", np.asarray(votes), dims=2)
        numbers("votes", np.where(np.isin(votes, (MISSING, NOT_ASKED)), 0.0, votes), dims=2)


def _by_values(
    judges: tuple[str, ...], votes: VoteArray, scale: Level, *, level: float, resamples: int, seed: int
) -> Agreement:
    """The agreement of judges that give numbers."""
    several = votes[:, (votes >= 0).sum(axis=0) >= 2]
    spread = _spread(several, several >= 0)
    pairs = []
    for a, b in combinations(range(len(judges)), 2):
        common = (votes[a] >= 0) & (votes[b] >= 0)
        if common.any():
            same = float((votes[a] == votes[b])[common].mean())
            pairs.append(Pair(judges[a], judges[b], int(common.sum()), same, None))
    return Agreement(
        alpha=value_alpha(votes, scale),
        alpha_interval=value_alpha_interval(votes, scale, level=level, resamples=resamples, seed=seed),
        fleiss=None,
        unanimous=float((spread == 0).mean()) if several.shape[1] else None,
        pairs=tuple(pairs),
        dissent=(),
    )


def value_alpha(votes: VoteArray, scale: Level) -> float | None:
    """Krippendorff's α of (n_judges, n_items) numbers, ordinal or interval; missing ones do not enter.

    None as in `alpha`. The ordinal difference of two values is that of their middle ranks among all values that can be
    paired (Krippendorff 2011, section E), so the ordinal α is the interval α of these ranks.

    >>> round(value_alpha(np.array([[0.0, 0.5, 1.0, 0.5], [0.0, 0.5, 0.5, 0.5]]), Level.INTERVAL), 3)
    0.696
    """
    _refuse(votes, scale)
    units = _units(votes, scale)
    if not len(units):
        return None
    value = float(_value_alphas(np.ones((1, len(units))), units)[0])
    return None if math.isnan(value) else value


def value_alpha_interval(
    votes: VoteArray, scale: Level, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval | None:
    """Percentile bootstrap of `value_alpha` over items; middle ranks stay those of all items.

    None where α is, and where no two votes on an item differ, as in `alpha_interval`.
    """
    point, units = value_alpha(votes, scale), _units(votes, scale)
    if point is None or not units[:, 1].any():
        return None
    patterns, times = np.unique(units, axis=0, return_counts=True)
    parts = draws.patterns(times, resamples=resamples, rng=draws.generator(seed))
    alphas = np.concatenate([_value_alphas(part, patterns) for part in parts])
    return _percentile(alphas, point, int(times.sum()), level, resamples, seed)


def _percentile(
    alphas: npt.NDArray[np.float64], point: float, n: int, level: float, resamples: int, seed: int
) -> Interval:
    """The tails of resampled α, with a note where items are few."""
    left_out = quantiles.tail(level)
    low, high = np.nanquantile(alphas, [left_out, 1 - left_out]).tolist()
    note = f"the interval of α from {n} items is too narrow; take {FEW_ITEMS} or more" if n < FEW_ITEMS else ""
    return Interval(
        min(low, point), max(high, point), level, "percentile", n, n, seed=seed, resamples=resamples, note=note
    )


def _units(votes: VoteArray, scale: Level) -> npt.NDArray[np.float64]:
    """(n_units, 4) of each item with two votes or more: their number, their disagreement, sum and sum of squares."""
    known = votes >= 0
    paired = known & (known.sum(axis=0) >= 2)
    values = np.where(paired, votes, 0.0).astype(np.float64)
    if scale is Level.ORDINAL and paired.any():
        _, place, times = np.unique(values[paired], return_inverse=True, return_counts=True)
        values[paired] = ((np.cumsum(times) - times / 2) / times.sum())[place]  # a common factor changes no α
    values[paired] -= values[paired].mean() if paired.any() else 0.0  # so that squares lose no digits
    kept = paired.any(axis=0)
    m, first, second = (each[kept] for each in (paired.sum(axis=0), values.sum(axis=0), (values**2).sum(axis=0)))
    apart = np.where(_spread(values, paired)[kept] == 0, 0.0, 2 * (m * second - first**2))
    return np.column_stack([m, apart / np.maximum(m - 1, 1), first, second])


def _spread(values: VoteArray, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n_items,) the largest of the known values minus the smallest."""
    high, low = np.where(known, values, -np.inf), np.where(known, values, np.inf)
    spread: npt.NDArray[np.float64] = high.max(axis=0, initial=-np.inf) - low.min(axis=0, initial=np.inf)
    return spread


def _value_alphas(times: npt.NDArray[np.float64], units: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(r,) α of units that are drawn (r, n_units) times."""
    n, observed, first, second = (times @ units).T
    expected = 2 * (n * second - first**2) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alphas: npt.NDArray[np.float64] = np.where(expected > TINY * n, 1 - observed / expected, np.nan)
    return alphas


def _by_gold(
    votes: VoteArray, labels: LabelArray | None, weights: FloatArray | None, elsewhere: Trial | None
) -> dict[str, Any]:
    """Accuracy of the judges by labels of the evaluated model, else of other models; None without labels."""
    if labels is not None and (labels >= 0).any():
        basis, trial = Basis.OWN, Trial(votes, labels)
    elif elsewhere is not None and ((elsewhere.votes >= 0) & (elsewhere.labels >= 0)).any():
        basis, trial, weights = Basis.OTHERS, elsewhere, None
    else:
        return {}
    worth = independent_judges(trial.votes, trial.labels)
    counted = (trial.labels >= 0) & ((trial.votes >= 0).any(axis=0) | (basis is Basis.OWN))
    return {
        "accuracy": tuple(_accuracy(cast, trial.labels, weights) for cast in trial.votes),
        "independent": worth.worth if worth else None,
        "independent_among": worth.among if worth else None,
        "gold_basis": basis,
        "gold_labels": int(counted.sum()),
    }


class Tallies:
    """Numbers of votes on each item that say wrong, and right, by the different pairs of the two that there may be.

    patterns: (k, 2) all such pairs, in order. of_item: (n_items,) the place of each item's pair. Sums over items are
    taken item by item, so that they are what they would be without patterns, to the last bit.
    """

    def __init__(self, votes: VoteArray) -> None:
        most = len(votes) + 1
        self.patterns: CountArray = np.column_stack(np.divmod(np.arange(most * most), most)).astype(np.int64)
        self.of_item = (votes == WRONG).sum(axis=0, dtype=np.int32)
        self.of_item *= most
        self.of_item += (votes == RIGHT).sum(axis=0, dtype=np.int32)
        self._times = np.bincount(self.of_item, minlength=most * most)
        self._sizes = self.patterns.sum(axis=1)
        self._judges = len(votes)

    def _several(self) -> tuple[CountArray, CountArray]:
        """The patterns with two votes or more that there are, and how many items have each."""
        several = (self._sizes >= 2) & (self._times > 0)
        return self.patterns[several], self._times[several]

    @property
    def alpha(self) -> float | None:
        """Krippendorff's α, as `nominal_alpha` of the items' pairs."""
        m = self._sizes
        apart = (m**2 - (self.patterns**2).sum(axis=1)) / np.maximum(m - 1, 1)
        disagreeing = apart[self.of_item[(m >= 2)[self.of_item]]]
        patterns, times = self._several()
        totals: Any = (times @ patterns)[None]
        value = float(_alphas(disagreeing.sum()[None], totals)[0])
        return None if math.isnan(value) else value

    def alpha_interval(self, *, level: float, resamples: int, seed: int) -> Interval | None:
        """As the function of this name."""
        (patterns, times), point = self._several(), self.alpha
        if point is None or not patterns.min(axis=1).any():
            return None
        m = patterns.sum(axis=1)
        parts = draws.patterns(times, resamples=resamples, rng=draws.generator(seed))
        apart = (m**2 - (patterns**2).sum(axis=1)) / (m - 1)
        alphas = np.concatenate([_alphas(part @ apart, part @ patterns) for part in parts])
        return _percentile(alphas, point, int(times.sum()), level, resamples, seed)

    @property
    def unanimous(self) -> float | None:
        """As the function of this name."""
        patterns, times = self._several()
        return float(times[patterns.min(axis=1) == 0].sum() / times.sum()) if len(times) else None

    @property
    def fleiss(self) -> float | None:
        """As `fleiss_kappa` of the items where all judges voted."""
        raters, counts = self._judges, self.patterns
        whole = self.of_item[(self._sizes == raters)[self.of_item]]
        if not len(whole) or raters < 2:
            return None
        observed = float((((counts**2).sum(axis=1) - raters) / (raters * (raters - 1)))[whole].mean())
        full = self._sizes == raters
        totals = self._times[full] @ counts[full]
        chance = float(((totals / totals.sum()) ** 2).sum())
        return None if chance == 1 else (observed - chance) / (1 - chance)


def alpha(votes: VoteArray) -> float | None:
    """Krippendorff's α (nominal, right/wrong) of (n_judges, n_items) votes; missing ones do not enter.

    None where no item has two votes, or where all votes that can be paired are equal, so that nothing varies
    and agreement beyond chance has no meaning. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.

    >>> round(alpha(np.array([[1, 1, 0, 0], [1, 1, 0, 1]], dtype=np.int8)), 3)
    0.533
    """
    _refuse(votes, Level.NOMINAL)
    return Tallies(votes).alpha


def nominal_alpha(counts: CountArray) -> float | None:
    """counts: (n_units, n_categories), ratings per unit and category. α = 1 - observed / expected disagreement."""
    numbers("counts", counts, high=math.inf, dims=2)
    sizes = counts.sum(axis=1)
    paired, m = counts[sizes >= 2], sizes[sizes >= 2]
    disagreeing = (m**2 - (paired**2).sum(axis=1)) / np.maximum(m - 1, 1)
    value = float(_alphas(disagreeing.sum()[None], paired.sum(axis=0)[None])[0])
    return None if math.isnan(value) else value


def _alphas(observed: npt.NDArray[np.float64], totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(r,) α from (r,) observed disagreement and (r, categories) totals of the votes that can be paired."""
    n = totals.sum(axis=1)
    expected = (n**2 - (totals**2).sum(axis=1)) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alphas: npt.NDArray[np.float64] = np.where(expected > 0, 1 - observed / expected, np.nan)
    return alphas


def alpha_interval(
    votes: VoteArray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval | None:
    """Percentile bootstrap of α over items, drawn exactly: how often each pattern of votes is resampled.

    Resamples in which nothing varies have no α and are left out. None where α itself is, and where no two votes differ:
    every resample would say 1, and the interval that nothing else is possible.
    """
    _refuse(votes, Level.NOMINAL)
    return Tallies(votes).alpha_interval(level=level, resamples=resamples, seed=seed)


def unanimous(votes: VoteArray) -> float | None:
    """Share of the items with at least two votes on which all votes are the same; None without such items."""
    return Tallies(votes).unanimous


def fleiss_kappa(counts: CountArray) -> float | None:
    """Fleiss' κ (1971). counts: (n_units, n_categories), the same number of ratings, two or more, in each row."""
    if not len(counts) or counts[0].sum() < 2:
        return None
    raters = counts[0].sum()
    observed = float((((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))).mean())
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if chance == 1 else (observed - chance) / (1 - chance)


def cohen_kappa(a: LabelArray, b: LabelArray) -> float | None:
    """Cohen's κ (1960) of two judges on the same items, 0/1 each."""
    observed, p, q = float((a == b).mean()), float(a.mean()), float(b.mean())
    chance = p * q + (1 - p) * (1 - q)
    return None if chance == 1 else (observed - chance) / (1 - chance)


def _pair(judge_a: str, judge_b: str, a: LabelArray, b: LabelArray) -> Pair | None:
    common = (a >= 0) & (b >= 0)
    if not common.any():
        return None
    a, b = a[common], b[common]
    return Pair(judge_a, judge_b, len(a), float((a == b).mean()), cohen_kappa(a, b))


def _dissents(judges: tuple[str, ...], votes: VoteArray, tallies: Tallies) -> tuple[Dissent, ...]:
    """Lone votes against at least two that agree. Were all judges alike, each of m voters would be the lone one
    with chance 1/m.
    """
    wrong, right = tallies.patterns.T
    size = wrong + right
    lone = ((size >= 3) & (np.minimum(wrong, right) == 1))[tallies.of_item]
    odd_one = np.where(right == 1, RIGHT, WRONG).astype(np.int8)[tallies.of_item]
    alone, expected, raw = [], [], []
    for cast in votes:
        could = lone & (cast >= 0)
        alone.append(int((could & (cast == odd_one)).sum()))
        chance = float((1 / np.maximum(size, 1))[tallies.of_item[could]].mean()) if could.any() else 0.0
        expected.append(chance * int(could.sum()))
        raw.append(binomial_tail(alone[-1], int(could.sum()), chance))
    rows = zip(judges, alone, expected, holm(raw), strict=True)
    return tuple(Dissent(judge, n, mean, p, p < ERROR_RATE) for judge, n, mean, p in rows)


def _accuracy(cast: LabelArray, labels: LabelArray, weights: FloatArray | None) -> float | None:
    known = (cast >= 0) & (labels >= 0)
    if not known.any() or (weights is not None and not weights[known].any()):
        return None
    return float(np.average((cast == labels)[known], weights=None if weights is None else weights[known]))


def independent_judges(votes: VoteArray, labels: LabelArray) -> Independence | None:
    """K / (1 + (K-1) ρ): how many judges with independent errors would average as well as these K.

    ρ is the mean correlation between two judges' errors on the labelled items that both voted on, cut at 0 (Kish's
    design effect). By pairs, since in a pool of judges no answer is judged by all of them. K counts the judges with
    such a correlation: one that never errs there, or shares no labelled item with another, has none. None below two.
    """
    pairs: dict[tuple[int, int], float] = {}
    for a, b in combinations(range(len(votes)), 2):
        both = (labels >= 0) & (votes[a] >= 0) & (votes[b] >= 0)
        errors = (votes[[a, b]][:, both] != labels[both]).astype(np.float64)
        if both.any() and (np.ptp(errors, axis=1) > 0).all():
            pairs[a, b] = float(np.corrcoef(errors)[0, 1])
    if not pairs:
        return None
    k, correlation = len({judge for pair in pairs for judge in pair}), float(np.mean(list(pairs.values())))
    return Independence(k / (1 + (k - 1) * max(correlation, 0.0)), k, correlation)
