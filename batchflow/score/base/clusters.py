"""Items that are not independent: several samples of one item, or items with identical content, form one cluster."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError
from batchflow.score.base.arguments import FloatArray, are_distinct, label, numbers

CountArray = npt.NDArray[np.int64]
Labels = Sequence[Hashable] | CountArray
"""One cluster label per item; None stands for a cluster of its own."""

LARGE = 0.2  # share of the items: such a cluster may outweigh the others
TINY = 1e-12  # thirds are not exact: means closer than this are equal


def codes(labels: Labels, n: int) -> CountArray:
    """(n,) integers 0..C-1, by first appearance; 1 and "1" are one label, see `arguments.label`.

    Raises DataError unless there are n labels, ArgumentError for nan.
    """
    if len(labels) != n:
        raise DataError(f"{len(labels)} cluster labels for {n} items: there has to be one for each item")
    seen: dict[Hashable, int] = {}
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if set(map(type, listed)) == {str}:  # nearly always
        if are_distinct(listed):
            return np.arange(n)
        places = {name: place for place, name in enumerate(dict.fromkeys(listed))}
        return np.fromiter(map(places.__getitem__, listed), dtype=np.int64, count=n)
    names = (label(each, "clusters", index) for index, each in enumerate(listed))
    keys = ((index,) if each is None else each for index, each in enumerate(names))
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), dtype=np.int64, count=n)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """The distinct clusters: all that a clustered mean, its variance and its bootstrap need.

    sums, sizes: (k,) float64, sum and number of the values in a cluster (of weighted values: sums of weight times value
    and of weights, which are scaled to n), ascending. times: (k,) int64, how many
    clusters look like that. mean: over items. variance: of that mean, nan with a single cluster. unclustered: its
    variance as if all items were independent. Nothing here depends on the order in which the items came.
    """

    sums: FloatArray
    sizes: FloatArray
    times: CountArray
    count: int
    n: int
    mean: float
    variance: float
    unclustered: float

    @property
    def cautious(self) -> float:
        """The variance of the mean for an interval: Bell and McCaffrey's (2002), never below the unclustered one.

        Each cluster's sum counts 1 / (1 - its share of the items) times, so that the variance has no bias where items
        are independent, whatever the sizes. With clusters of one size it is `variance`. nan with a single cluster.
        """
        if self.count < 2:
            return math.nan
        spread = self.times * (self.sums - self.mean * self.sizes) ** 2 / (1 - self.sizes / self.n)
        return max(float(spread.sum()) / self.n**2, self.unclustered)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `cautious` (Satterthwaite): C-1 with clusters of one size, near 1 if one outweighs all.

        At least 1. 0 with a single cluster.
        """
        if self.count < 2:
            return 0.0
        heavy = self.sizes**2 / (1 - self.sizes / self.n)
        apart = (float((self.times * heavy).sum()) ** 2 - float((self.times * heavy**2).sum())) / self.n**2
        return max(self.n**2 / (float((self.times * self.sizes**2).sum()) + apart), 1.0)

    @property
    def effective(self) -> float:
        """Kish's effective number of clusters, n² / Σ size²."""
        return self.n**2 / float((self.times * self.sizes**2).sum())

    @property
    def alike(self) -> bool:
        """True where every item has the same value."""
        return self.uniform and self.unclustered < TINY**2

    @property
    def binary(self) -> bool:
        """True for independent items that are each right or wrong."""
        alone = self.count == self.n and bool((self.sizes == 1).all())
        return alone and bool(np.isin(self.sums, (0.0, 1.0)).all())

    @property
    def uniform(self) -> bool:
        """True where every cluster has the same mean."""
        return bool(np.ptp(self.sums / self.sizes) < TINY)

    @property
    def lopsided(self) -> float:
        """The share of the items that the largest cluster holds, where it outweighs the others; else 0.

        The effective number of clusters is then under half of their number, and the clustered error is told from fewer
        independent units than their number says.
        """
        largest = float(self.sizes.max()) / self.n
        return largest if largest > LARGE and self.effective < self.count / 2 else 0.0


def cluster(values: FloatArray, labels: Labels | None = None, weights: FloatArray | None = None) -> Clusters:
    """values: (n,). labels: one per item; without them every item is its own cluster. Raises DataError if n is 0.

    weights: (n,) of a weighted mean, on any scale; the variance is then that of a ratio of two sums.
    The variance of the mean is C/(C-1) · Σ_c (Σ_i (x_i - mean))² / n² (Miller 2024, arXiv 2411.00640, section 2.2).
    """
    n = len(values)
    if n == 0:
        raise DataError("there are no item values to score", hint="is there a vote on any item for this field?")
    scaled = None if weights is None else weights * (n / float(np.sort(weights).sum()))
    sums, sizes, times = _distinct(values, labels, scaled)
    count = int(times.sum())
    mean = float((sums * times).sum() / n)
    spread = float((times * (sums - mean * sizes) ** 2).sum())
    variance = count / (count - 1) * spread / n**2 if count > 1 else math.nan
    alone = variance if labels is None or n < 2 else _unclustered(values, scaled, mean)
    return Clusters(sums, sizes, times, count, n, mean, variance, alone)


def _unclustered(values: FloatArray, weights: FloatArray | None, mean: float) -> float:
    n = len(values)
    if weights is None:
        return float(np.sort(values).var(ddof=1)) / n
    return float(np.sort((weights * (values - mean)) ** 2).sum()) / (n * (n - 1))


def _distinct(
    values: FloatArray, labels: Labels | None, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray, CountArray]:
    if labels is None and weights is None:
        single, times = np.unique(values, return_counts=True)
        return single, np.ones(len(single)), times
    sizes: FloatArray = np.ones(len(values)) if weights is None else weights
    cluster_codes = codes(labels, len(values)) if labels is not None else np.arange(len(values))
    if weights is None and np.array_equal(cluster_codes, np.arange(len(values))):  # every item is its own cluster
        single, times = np.unique(values, return_counts=True)
        return single, np.ones(len(single)), times
    order = np.lexsort((sizes, values, cluster_codes))  # the same sum to the last bit, whatever the order of the items
    sums = np.bincount(cluster_codes[order], weights=(values * sizes)[order])
    pairs: FloatArray = np.column_stack([sums, np.bincount(cluster_codes[order], weights=sizes[order])]).astype(
        np.float64
    )
    rows, times = np.unique(pairs, axis=0, return_counts=True)
    return rows[:, 0], rows[:, 1], times


def clustered_se(values: Sequence[float] | FloatArray, labels: Labels | None = None) -> float:
    """Standard error of the mean, clustered where labels are given; nan below two clusters.

    >>> round(clustered_se(range(20), [i % 4 for i in range(20)]), 3)
    0.645
    """
    return math.sqrt(cluster(numbers("values", values, low=-math.inf, high=math.inf), labels).variance)
