"""Bets against a mean, stage by stage: what `batchflow.score.sequential` refutes means with.

A stage's bets are fixed before it is seen, by the stages before and by what was planned. Within a stage the order of
the units does not count, so that it is held as the kinds of units and how many there are of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from batchflow.score.base import draws
from batchflow.score.base.arguments import FloatArray

TIMES = np.array([1.2, 2.0])
"""Bets, as multiples of √(2 · log(2/α) / variance of the sum of all planned items). 1 is the best bet against a mean
that is refuted with the last item; larger ones are better against means further off."""

MOST = 0.9  # share of what may be lost that is bet at most
AHEAD, START = 4, 50  # where nothing is planned, so many times the values so far and the first few
PRIOR = 0.25  # variance, and one item with the value 1/2, before there is one


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The units between two looks. sums, sizes, times: (k,) the kinds of units, and how many there are of each; units
    without a value have sum and size 0. before: sum and items of the stages before. left: units of the data set that
    were not asked before; infinite for a population. variance: of the sum of all planned items, by the stages before.
    """

    sums: FloatArray
    sizes: FloatArray
    times: FloatArray
    before: tuple[float, float]
    left: float
    variance: float

    @property
    def after(self) -> tuple[float, float]:
        """Sum and items, this stage included."""
        return self.before[0] + float(self.times @ self.sums), self.before[1] + float(self.times @ self.sizes)

    @property
    def is_last(self) -> bool:
        """Tells whether no unit of the data set is left."""
        return bool(self.left <= self.times.sum())

    @property
    def mirrored(self) -> Stage:
        """The same of 1 minus the values."""
        return replace(self, sums=self.sizes - self.sums, before=(self.before[1] - self.before[0], self.before[1]))

    def gains(self, means: FloatArray, most: float, goal: float) -> FloatArray:
        """(bets, *means.shape) growth of the logarithm of the capital of bets on more than these means.

        If m is the mean, a unit's sum - m · size is `drift` in the mean of the units that are left, 0 in a population.
        A bet gives 1 + stake · (sum - m · size - drift): never below 1 - MOST, 1 in the mean, less with a larger m.
        """
        drift = (self.before[1] * means - self.before[0]) / self.left
        sized = TIMES.reshape(-1, *[1] * means.ndim) * math.sqrt(2 * goal / self.variance)
        stakes = np.minimum(sized, MOST / (means * most + np.maximum(drift, 0.0)))
        gains = np.zeros(stakes.shape)
        step = max(1, draws.CELLS // stakes.size)
        for at in range(0, len(self.sums), step):
            sums, sizes, times = (each[at : at + step] for each in (self.sums, self.sizes, self.times))
            apart = sums - means[..., None] * sizes - drift[..., None]
            gains += np.log1p(stakes[..., None] * apart) @ times
        return gains


def goal_of(level: float) -> float:
    """Logarithm of the capital that refutes a mean, on either side."""
    return math.log(2 / (1 - level))


def mixed(gains: FloatArray) -> FloatArray:
    """Logarithm of the capital of all bets together. gains: (shares, ...)."""
    top: FloatArray = gains.max(axis=0)
    capital: FloatArray = top + np.log(np.exp(gains - top).mean(axis=0))
    return capital


def staged(
    sums: FloatArray,
    sizes: FloatArray,
    whole: Sequence[int],
    counts: Sequence[int],
    total: int | None,
    planned: int | None,
) -> list[Stage]:
    """The stages that brought a value, units without one in their place. whole: units with a value by each look."""
    cuts, start, n_before, before = list[Stage](), 0, 0, (0.0, 0.0)
    for end, n_asked in zip(whole, counts, strict=True):
        if end == 0:
            continue
        silent = n_asked - n_before - (end - start)
        rows = np.column_stack([sums[start:end], sizes[start:end]])
        kinds, times = np.unique(np.vstack([rows, np.zeros((silent, 2))]), axis=0, return_counts=True)
        left = math.inf if total is None else float(total - n_before)
        ahead = planned or AHEAD * (START + float(sizes[:start].sum()))
        variance = ahead * _spread(sums[:start], sizes[:start])
        cut = Stage(kinds[:, 0], kinds[:, 1], times.astype(np.float64), before, left, variance)
        cuts.append(cut)
        start, n_before, before = end, n_asked, cut.after
    return cuts


def _spread(sums: FloatArray, sizes: FloatArray) -> float:
    """Variance of the sum of units about their mean, by item; as if there had been one unit of one item more."""
    n = float(sizes.sum()) + 1
    mean = (float(sums.sum()) + 0.5) / n
    return (float(((sums - mean * sizes) ** 2).sum()) + (0.5 - mean) ** 2 + PRIOR) / n
