"""Intervals that may be looked at again and again: they hold at every look, and so wherever one stops.

A plain 95 % interval is right once. Looked at after each stage until it says what one hopes for, it is wrong in far
more than 5 of 100 studies. A confidence sequence holds at all looks at once. This one is by betting (Waudby-Smith and
Ramdas 2024, JRSS B 86(1), arXiv 2010.09686): against each mean m, bets are placed on the items as they come. If m is
the true mean, no way of betting can expect to win, and a capital that grows to 2/α times the stake refutes m
(Ville's inequality). The bets are a mixture of two, sized before each stage by the spread of the items so far and by
how many are planned (`base.bets`); within a stage they stay, so that only the number of items of each value counts, not
their order.

The items of each stage have to be a random sample of all: see `order`. The mean is that of the population from which
the items come, where they are independent; or that of the data set itself, whose items are drawn without replacement.
What came so far then says what the mean of the rest would have to be, and the bounds close in on the data set's own
mean as it runs out (Waudby-Smith and Ramdas 2020, arXiv 2006.04347). Within a stage, the bets stay as they are: the
expected product of n nonnegative factors drawn without replacement is at most the n-th power of their mean (Maclaurin's
inequality), so that the order within a stage does not count there either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers, positive
from batchflow.score.base.bets import TIMES, Stage, goal_of, mixed, staged
from batchflow.score.base.clusters import TINY, CountArray, Labels, codes
from batchflow.score.intervals import LEVEL, SEED

FIRST, GROWTH = 50, 1.5
"""Items of the first look, and how many times more each further look is about."""

ROUNDS, GRID = 4, 25  # a bound is found to three millionths


@dataclass(frozen=True, slots=True)
class Look:
    """The state after a stage. n: items so far. low, high: what no look so far has refuted.

    mean: over these items. level: of all looks at once.
    """

    n: int
    mean: float
    low: float
    high: float
    level: float

    @property
    def half_width(self) -> float:
        """Half the distance between the bounds."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Stop:
    """End of a study. looks: all until then. reason: `precise`, `decided`, or `exhausted` where items ran out."""

    looks: tuple[Look, ...]
    reason: str

    @property
    def last(self) -> Look:
        """The look at which it ended."""
        return self.looks[-1]


def order(n: int, seed: int = SEED) -> CountArray:
    """(n,) the places of the items in the order in which they are counts: random, so that each stage is a sample."""
    return draws.generator(seed).permutation(n)


def stages(n: int, *, first: int = FIRST, growth: float = GROWTH) -> tuple[int, ...]:
    """Numbers of items after which to look: the first, then each `growth` times more, and all n.

    >>> stages(200)
    (50, 75, 113, 169, 200)
    """
    positive("first", first)
    if growth <= 1:
        raise ArgumentError(f"growth is {growth:g}, it has to be more than 1")
    sizes, size = list[int](), float(first)
    while math.ceil(size) < n:
        sizes.append(math.ceil(size))
        size = max(size * growth, sizes[-1] + 1)
    return (*sizes, n)


def sequence(
    values: Sequence[float] | FloatArray,
    looks: Sequence[int],
    *,
    level: float = LEVEL,
    clusters: Labels | None = None,
    largest: int | None = None,
    total: int | None = None,
    counts: Sequence[int] | None = None,
    planned: int | None = None,
) -> tuple[Look, ...]:
    """The confidence sequence of a mean.

    values: (n,) in [0, 1] in the order in which they came, which is random; with clusters, the clusters came in random
    order, each as a whole. looks: ascending numbers of items after which to look; items of a cluster that is not whole
    yet do not count. largest: items of the largest cluster of the data set, known beforehand; else that of the
    values. total: units (items, or clusters) of the data set, for the bounds of its own mean; without, the bounds are
    of the population from which the units come. counts: units asked by each look, those without a value included;
    else those of the values. planned: values that the data set will have, known before the first look, by which bets
    are sized; without, the bounds hold too, and are mostly wider. Raises ArgumentError for other values, looks or
    numbers of units.

    >>> found = sequence([1, 0, 1, 1] * 100, [100, 400])
    >>> [f"{look.n}: {look.mean:.2f} [{look.low:.2f}, {look.high:.2f}]" for look in found]
    ['100: 0.75 [0.62, 0.86]', '400: 0.75 [0.68, 0.81]']
    >>> last = sequence([1, 0, 1, 1] * 100, [100, 400], total=500)[-1]
    >>> f"[{last.low:.2f}, {last.high:.2f}]"
    '[0.69, 0.80]'
    """
    quantiles.tail(level)
    cuts, most = _cuts(values, looks, clusters, largest, total, counts, planned)
    if not cuts:
        return ()
    low = np.maximum.accumulate(_bounds(cuts, most, level))
    high = np.minimum.accumulate(1 - _bounds([cut.mirrored for cut in cuts], most, level))
    return tuple(map(_look, cuts, low.tolist(), high.tolist(), [level] * len(cuts)))


def refuted(
    values: Sequence[float] | FloatArray,
    looks: Sequence[int],
    means: Sequence[float],
    *,
    level: float = LEVEL,
    clusters: Labels | None = None,
    largest: int | None = None,
    total: int | None = None,
    counts: Sequence[int] | None = None,
    planned: int | None = None,
) -> npt.NDArray[np.bool_]:
    """(looks, means): whether a look, or one before, has refuted a mean. Arguments as of `sequence`, which has bounds.

    >>> refuted([1, 0, 1, 1] * 100, [100, 400], [0.6, 0.7]).tolist()
    [[True, False], [True, False]]
    """
    quantiles.tail(level)
    cuts, most = _cuts(values, looks, clusters, largest, total, counts, planned)
    tried = numbers("means", means)
    goal, out = goal_of(level), np.zeros((len(cuts), len(tried)), dtype=np.bool_)
    for mirror in (False, True):
        gains, against = np.zeros((len(TIMES), len(tried))), np.maximum(1 - tried if mirror else tried, TINY)
        for number, cut in enumerate(cuts):
            gains += (cut.mirrored if mirror else cut).gains(against, most, goal)
            out[number] |= mixed(gains) >= goal
    return np.asarray(np.logical_or.accumulate(out, axis=0), dtype=np.bool_)


def differences(
    a: Sequence[float] | FloatArray,
    b: Sequence[float] | FloatArray,
    looks: Sequence[int],
    *,
    level: float = LEVEL,
    clusters: Labels | None = None,
    largest: int | None = None,
    total: int | None = None,
    counts: Sequence[int] | None = None,
    planned: int | None = None,
) -> tuple[Look, ...]:
    """The confidence sequence of mean(a) - mean(b), both values of the same items in the same random order."""
    one = numbers("a", a)
    gap = (one - numbers("b", b, size=len(one)) + 1) / 2
    looks_of_half = sequence(
        gap, looks, level=level, clusters=clusters, largest=largest, total=total, counts=counts, planned=planned
    )
    return tuple(Look(each.n, 2 * each.mean - 1, 2 * each.low - 1, 2 * each.high - 1, level) for each in looks_of_half)


def stop(looks: Sequence[Look], *, precision: float | None = None, decide: bool = False) -> Stop:
    """The first look that is precise enough (half of its width, at most `precision`), or that 0 lies outside of.

    Raises UsageError where neither is asked for.
    """
    if precision is None and not decide:
        raise UsageError("a study stops at a precision, or when it has decided", hint="precision=0.02, or decide=True")
    for number, look in enumerate(looks, start=1):
        if precision is not None and look.half_width <= positive("precision", precision):
            return Stop(tuple(looks[:number]), "precise")
        if decide and not look.low <= 0 <= look.high:
            return Stop(tuple(looks[:number]), "decided")
    return Stop(tuple(looks), "exhausted")


def _units(values: FloatArray, clusters: Labels | None) -> tuple[FloatArray, FloatArray, CountArray]:
    """Sum and size of each cluster, and the number of items after which it is whole."""
    n = len(values)
    if clusters is None:
        return values, np.ones(n), np.arange(1, n + 1, dtype=np.int64)
    unit = codes(clusters, n)
    last = np.zeros(int(unit.max()) + 1, dtype=np.int64)
    np.maximum.at(last, unit, np.arange(1, n + 1))
    return np.bincount(unit, weights=values).astype(np.float64), np.bincount(unit).astype(np.float64), last


def _cuts(
    values: Sequence[float] | FloatArray,
    looks: Sequence[int],
    clusters: Labels | None,
    largest: int | None,
    total: int | None,
    counts: Sequence[int] | None,
    planned: int | None,
) -> tuple[list[Stage], float]:
    """The stages, and the size of the largest unit. Raises ArgumentError."""
    array = numbers("values", values)
    ends = np.asarray(looks, dtype=np.int64)
    if not len(ends) or ends[0] < 1 or ends[-1] > len(array) or (np.diff(ends) <= 0).any():
        raise ArgumentError(f"looks: ascending numbers from 1 to {len(array)} are needed")
    sums, sizes, whole_after = _units(array, clusters)
    whole = [int((whole_after <= end).sum()) for end in ends.tolist()]
    by_look = _numbers(counts, whole, total)
    order_of = np.argsort(whole_after, kind="stable")
    if planned is not None:
        positive("planned", planned)
    cuts = staged(sums[order_of], sizes[order_of], whole, by_look, total, planned)
    return cuts, float(max(sizes.max(), largest or 1))


def _numbers(counts: Sequence[int] | None, whole: Sequence[int], total: int | None) -> list[int]:
    """Units asked by each look. Raises ArgumentError for fewer than came, falling numbers, and more than there are."""
    if counts is None:
        counts = whole
    if len(counts) != len(whole) or any(one < other for one, other in zip(counts, whole, strict=True)):
        raise ArgumentError(f"counts: at least {list(whole)} units were asked by the looks, not {list(counts)}")
    if any(one > other for one, other in pairwise(counts)) or (total is not None and counts[-1] > total):
        raise ArgumentError(f"counts: ascending numbers of units, at most {total}, are needed, not {list(counts)}")
    return list(counts)


def _look(cut: Stage, low: float, high: float, level: float) -> Look:
    total, n = cut.after
    mean = total / n
    if cut.is_last:
        low = high = mean
    return Look(round(n), mean, min(low, high), max(low, high), level)


def _bounds(cuts: Sequence[Stage], most: float, level: float) -> FloatArray:
    """(looks,) the largest mean that the bets on more have refuted; it is found by narrowing a grid."""
    goal, each = goal_of(level), np.arange(len(cuts))
    low, high = np.zeros(len(cuts)), np.ones(len(cuts))
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, GRID, axis=1)[:, 1:]
        gains = np.zeros((len(TIMES), *grid.shape))
        for number, cut in enumerate(cuts):
            gains[:, number:] += cut.gains(grid[number:], most, goal)
        passed = (mixed(gains) >= goal).sum(axis=1)
        low = np.where(passed > 0, grid[each, np.maximum(passed, 1) - 1], low)
        high = grid[each, np.minimum(passed, GRID - 2)]
    return low
