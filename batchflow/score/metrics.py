"""Metrics: what the values of an item's answers make of the item. mypy checks each against the protocol at its line.

    mean      their mean
    pass@K    the chance that at least one of K of them is right (for other values: the expected best of K)
    all@K     the chance that all of K are right (for other values: the expected worst of K)
    G-Pass@K_T, mG-Pass@K   the chance that a share T of K is right, and its mean over T from 0.5 to 1

A package of somebody else's adds one with an entry point of the group `batchflow.metrics`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import ceil, comb
from typing import Protocol

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError, UsageError
from batchflow.registries import Registry
from batchflow.score.base.arguments import FloatArray

MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric that is ready to use. of: (n_answers,) values in [0, 1] of one item -> its value in [0, 1].

    needed: answers with a value that an item has to have; others are left out, and counted.
    """

    name: str
    of: Callable[[FloatArray], float]
    needed: int = 1


class Metric(Protocol):
    """One metric. A module or an instance satisfies it."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of a module
        """The word that `score --metric` takes, in front of `@`."""

    def bind(self, argument: str) -> Measure:
        """The metric with what stands behind `@`, empty where nothing does. Raises UsageError."""


@dataclass(frozen=True, slots=True)
class _Mean:
    NAME: str = MEAN

    def bind(self, argument: str) -> Measure:
        """The mean of an item's answers."""
        if argument:
            raise UsageError(f"metric {MEAN} takes no argument", hint=f"--metric {MEAN}")
        return Measure(MEAN, lambda values: float(values.mean()))


@dataclass(frozen=True, slots=True)
class _OfDraws:
    """The expected best, or worst, of K answers drawn without replacement; of right and wrong the unbiased pass@k
    (Chen et al. 2021, arXiv 2107.03374, equation 1).
    """

    NAME: str
    best: bool

    def bind(self, argument: str) -> Measure:
        """For K answers."""
        if not argument.isascii() or not argument.isdecimal() or not 1 <= len(argument) <= 6 or int(argument) < 1:
            raise UsageError(f"metric {self.NAME} needs a number of answers", hint=f"--metric {self.NAME}@2")
        k = int(argument)
        return Measure(f"{self.NAME}@{k}", lambda values: _drawn(values, k, best=self.best), k)


def _drawn(values: FloatArray, k: int, *, best: bool) -> float:
    ordered = np.sort(values if best else -values)
    whole = comb(len(values), k)  # each value weighs as often as it is the best of a draw
    mean = sum(float(value) * (comb(rank, k - 1) / whole) for rank, value in enumerate(ordered) if rank >= k - 1)
    return min(max(mean if best else -mean, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class _GPass:
    """G-Pass@K_T, the chance that a share T of K drawn answers is right, or mG-Pass@K, its mean over T from 0.5 to 1
    (Liu et al. 2024, arXiv 2412.13147; as OpenCompass computes them). Right is a value above one half.
    """

    NAME: str
    mean: bool

    def bind(self, argument: str) -> Measure:
        """For K answers, and a threshold."""
        match = _G_PASS.fullmatch(argument)
        k = int(match[1]) if match else 0
        threshold = float(match[2]) if match and match[2] else None
        if k < 1 or (threshold is None) != self.mean or (threshold or 0) > 1:
            example = f"{self.NAME}@4" + ("" if self.mean else "_0.5")
            raise UsageError(f"metric {self.NAME} needs a number of answers", hint=f"--metric {example}")
        if threshold is None:
            least: Sequence[int] = range(ceil(k / 2) + 1, k + 1)
            return Measure(
                f"{self.NAME}@{argument}", lambda values: 2 / k * sum(_at_least(values, k, m) for m in least), k
            )
        m = max(ceil(k * threshold), 1)
        return Measure(f"{self.NAME}@{argument}", lambda values: _at_least(values, k, m), k)


_G_PASS = re.compile(r"(\d{1,6})(?:_(\d(?:\.\d{1,6})?))?")


def _at_least(values: FloatArray, k: int, m: int) -> float:
    """The chance that m of k values drawn without replacement are right: a tail of the hypergeometric distribution."""
    n, right = len(values), int((values > 0.5).sum())
    ways = sum(comb(right, hits) * comb(n - right, k - hits) for hits in range(m, min(k, right) + 1))
    return ways / comb(n, k)


METRICS: dict[str, Metric] = {
    MEAN: _Mean(),
    "pass": _OfDraws("pass", best=True),
    "all": _OfDraws("all", best=False),
    "G-Pass": _GPass("G-Pass", mean=False),
    "mG-Pass": _GPass("mG-Pass", mean=True),
}
REGISTRY = Registry("batchflow.metrics", "metric", METRICS, Metric, "metrics")
names = REGISTRY.names


def measure(text: str) -> Measure:
    """The metric that `--metric` names. Raises UsageError.

    >>> measure("pass@2").of(np.array([1.0, 0.0, 0.0, 0.0]))
    0.5
    >>> measure("all@2").of(np.array([1.0, 1.0, 0.0]))
    0.3333333333333333
    """
    name, _, argument = text.partition("@")
    return REGISTRY.get(name).bind(argument)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Items with a value by a metric. first: the place of each item's first answer. short: items with too few."""

    values: FloatArray
    first: npt.NDArray[np.int64]
    short: int


def by_item(values: FloatArray, item_of: Sequence[Hashable], how: Measure) -> Measured:
    """The value of each item. values: (n,) of its answers; item_of: (n,) whose they are.

    Raises DataError where no item has as many answers as the metric needs, or a value is outside of [0, 1].
    """
    places: dict[Hashable, list[int]] = {}
    for place, item in enumerate(item_of):
        places.setdefault(item, []).append(place)
    kept = [of_item for of_item in places.values() if len(of_item) >= how.needed]
    if not kept:
        raise DataError(
            f"metric {how.name}: no item has {how.needed} judged answers",
            hint=f"prepare --samples {how.needed} asks each item so often",
        )
    item_scores = np.array([how.of(values[of_item]) for of_item in kept], dtype=np.float64)
    if not ((item_scores >= 0) & (item_scores <= 1)).all():
        raise DataError(f"metric {how.name} gives values outside of 0 to 1")
    return Measured(item_scores, np.array([of_item[0] for of_item in kept]), len(places) - len(kept))
