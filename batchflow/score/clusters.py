"""Items that are not independent: several samples of one item, or items with identical content, form one cluster."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError

FloatArray = npt.NDArray[np.float64]
CountArray = npt.NDArray[np.int64]
Labels = Sequence[Hashable] | CountArray
"""One cluster label per item; None stands for a cluster of its own."""

LARGE = 0.2  # share of the items: such a cluster may outweigh the others
TINY = 1e-12  # thirds are not exact: means closer than this are equal


def codes(labels: Labels, n: int) -> CountArray:
    """(n,) integers 0..C-1, by first appearance. Raises DataError unless there are n labels."""
    if len(labels) != n:
        raise DataError(f"{len(labels)} cluster labels for {n} items: there has to be one for each item")
    seen: dict[Hashable, int] = {}
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    keys = ((index,) if label is None else label for index, label in enumerate(listed))
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), dtype=np.int64, count=n)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """The distinct clusters: all that a clustered mean, its variance and its bootstrap need.

    sums, sizes: (k,) float64, sum and number of the values in a cluster, ascending. times: (k,) int64, how many
    clusters look like that. mean: over items. variance: of that mean, nan with a single cluster. Nothing here
    depends on the order in which the items came.
    """

    sums: FloatArray
    sizes: FloatArray
    times: CountArray
    count: int
    n: int
    mean: float
    variance: float

    @property
    def binary(self) -> bool:
        """True for independent items that are each right or wrong."""
        return self.count == self.n and bool(np.isin(self.sums, (0.0, 1.0)).all())

    @property
    def uniform(self) -> bool:
        """True where every cluster has the same mean."""
        return bool(np.ptp(self.sums / self.sizes) < TINY)

    @property
    def lopsided(self) -> float:
        """The share of the items that the largest cluster holds, where it outweighs the others; else 0.

        Kish's effective number of clusters, n² / Σ size², is then under half of their number, and the clustered error
        is told from fewer independent units than its degrees of freedom say.
        """
        largest = float(self.sizes.max()) / self.n
        effective = self.n**2 / float((self.times * self.sizes**2).sum())
        return largest if largest > LARGE and effective < self.count / 2 else 0.0


def cluster(values: FloatArray, labels: Labels | None = None) -> Clusters:
    """values: (n,). labels: one per item; without them every item is its own cluster. Raises DataError if n is 0.

    The variance of the mean is C/(C-1) · Σ_c (Σ_i (x_i - mean))² / n² (Miller 2024, arXiv 2411.00640, section 2.2).
    """
    n = len(values)
    if n == 0:
        raise DataError("there are no item values to score", hint="is there a vote on any item for this field?")
    sums, sizes, times = _distinct(values, labels)
    count = int(times.sum())
    mean = float((sums * times).sum() / n)
    spread = float((times * (sums - mean * sizes) ** 2).sum())
    variance = count / (count - 1) * spread / n**2 if count > 1 else math.nan
    return Clusters(sums, sizes, times, count, n, mean, variance)


def _distinct(values: FloatArray, labels: Labels | None) -> tuple[FloatArray, FloatArray, CountArray]:
    if labels is None:
        single, times = np.unique(values, return_counts=True)
        return single, np.ones(len(single)), times
    found = codes(labels, len(values))
    order = np.lexsort((values, found))  # the same sum to the last bit, whatever the order of the items
    sums = np.bincount(found[order], weights=values[order])
    rows, times = np.unique(np.column_stack([sums, np.bincount(found).astype(np.float64)]), axis=0, return_counts=True)
    return rows[:, 0], rows[:, 1], times


def clustered_se(values: Sequence[float] | FloatArray, labels: Labels | None = None) -> float:
    """Standard error of the mean, clustered where labels are given; nan below two clusters.

    >>> round(clustered_se(range(20), [i % 4 for i in range(20)]), 3)
    0.645
    """
    return math.sqrt(cluster(np.asarray(values, dtype=np.float64), labels).variance)
