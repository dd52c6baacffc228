"""Intervals that may be looked at again and again: they hold at every look, and so wherever one stops.

A plain 95 % interval is right once. Looked at after each stage until it says what one hopes for, it is wrong in far
more than 5 of 100 studies. A confidence sequence holds at all looks at once. This one is by betting (Waudby-Smith and
Ramdas 2024, JRSS B 86(1), arXiv 2010.09686): against each mean m, bets are placed on the items as they come. If m is
the true mean, no way of betting can expect to win, and a capital that grows to 2/α times the stake refutes m
(Ville's inequality). The bets are a mixture of fixed shares of what may be lost, so that only the number of items of
each value counts, not their order within a stage.

The items of each stage have to be a random sample of all: see `order`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchflow.errors import ArgumentError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers, positive
from batchflow.score.base.clusters import CountArray, Labels, codes
from batchflow.score.intervals import LEVEL, SEED

SHARES = np.geomspace(0.004, 0.9, 18)
"""Shares of what may be lost that are bet; small ones tell small differences apart, after many items."""

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
    """(n,) the places of the items in the order in which they are asked: random, so that each stage is a sample."""
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
) -> tuple[Look, ...]:
    """The confidence sequence of a mean.

    values: (n,) in [0, 1] in the order in which they came, which is random; with clusters, the clusters came in random
    order, each as a whole. looks: ascending numbers of items after which to look; items of a cluster that is not whole
    yet do not count. largest: items of the largest cluster of the data set, known beforehand; else that of the
    values. Raises ArgumentError for other values or looks.

    >>> found = sequence([1, 0, 1, 1] * 100, [100, 400])
    >>> [f"{look.n}: {look.mean:.2f} [{look.low:.2f}, {look.high:.2f}]" for look in found]
    ['100: 0.75 [0.59, 0.87]', '400: 0.75 [0.67, 0.82]']
    """
    quantiles.tail(level)
    array = numbers("values", values)
    ends = np.asarray(looks, dtype=np.int64)
    if not len(ends) or ends[0] < 1 or ends[-1] > len(array) or (np.diff(ends) <= 0).any():
        raise ArgumentError(f"looks: ascending numbers from 1 to {len(array)} are needed")
    sums, sizes, whole_after = _units(array, clusters)
    most = int(max(sizes.max(), largest or 1))
    pairs, which = np.unique(np.column_stack([sums, sizes]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    kept = [whole_after <= end for end in ends.tolist() if (whole_after <= end).any()]
    if not kept:
        return ()
    times = np.array([np.bincount(which[rows], minlength=len(pairs)) for rows in kept], dtype=np.float64)
    low = np.maximum.accumulate(_bounds(pairs[:, 0], pairs[:, 1], times, most, level))
    high = np.minimum.accumulate(1 - _bounds(pairs[:, 1] - pairs[:, 0], pairs[:, 1], times, most, level))
    n, mean = times @ pairs[:, 1], (times @ pairs[:, 0]) / (times @ pairs[:, 1])
    columns = zip(n.tolist(), mean.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(
        Look(int(items), centre, min(one, other), max(one, other), level) for items, centre, one, other in columns
    )


def differences(
    a: Sequence[float] | FloatArray,
    b: Sequence[float] | FloatArray,
    looks: Sequence[int],
    *,
    level: float = LEVEL,
    clusters: Labels | None = None,
    largest: int | None = None,
) -> tuple[Look, ...]:
    """The confidence sequence of mean(a) - mean(b), both values of the same items in the same random order."""
    one = numbers("a", a)
    gap = (one - numbers("b", b, size=len(one)) + 1) / 2
    return tuple(
        Look(each.n, 2 * each.mean - 1, 2 * each.low - 1, 2 * each.high - 1, level)
        for each in sequence(gap, looks, level=level, clusters=clusters, largest=largest)
    )


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


def _bounds(sums: FloatArray, sizes: FloatArray, times: FloatArray, most: int, level: float) -> FloatArray:
    """(looks,) the largest mean that the bets on more have refuted. times: (looks, k) of the k kinds of clusters.

    A bet of share u against m gives 1 + u · (sum / m - size) / most on a cluster, which is never negative, and 1 on the
    mean if m is true. It falls with m, so that the bound is found by narrowing a grid.
    """
    part = max(1, draws.CELLS // (len(SHARES) * GRID * len(sums)))  # looks that are worked on at once
    parts = [_narrowed(sums, sizes, times[at : at + part], most, level) for at in range(0, len(times), part)]
    return np.concatenate(parts)


def _narrowed(sums: FloatArray, sizes: FloatArray, times: FloatArray, most: int, level: float) -> FloatArray:
    goal, each = math.log(2 / (1 - level)), np.arange(len(times))
    low, high = np.zeros(len(times)), np.ones(len(times))
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, GRID, axis=1)[:, 1:]
        bets = SHARES[:, None, None, None] * (sums / grid[:, :, None] - sizes) / most
        gains = np.einsum("slgk,lk->slg", np.log1p(bets), times)
        top = gains.max(axis=0)
        refuted = (top + np.log(np.exp(gains - top).mean(axis=0)) >= goal).sum(axis=1)
        low = np.where(refuted > 0, grid[each, np.maximum(refuted, 1) - 1], low)
        high = grid[each, np.minimum(refuted, GRID - 2)]
    return low
