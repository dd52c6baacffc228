"""pass@k: the chance that at least one of k samples of an item is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batchflow.errors import DataError, UsageError
from batchflow.score.base.arguments import FloatArray
from batchflow.score.base.clusters import CountArray
from batchflow.score.intervals import Estimate, Settings, estimate


def pass_at_k(
    right: Sequence[int] | CountArray, samples: Sequence[int] | CountArray, k: int, settings: Settings | None = None
) -> Estimate:
    """right, samples: (n_items,) right samples and all samples per item. The interval is over items, so that samples of
    one item count as one cluster.

    Unbiased: 1 - C(n-c, k) / C(n, k) per item (Chen et al. 2021, arXiv 2107.03374, equation 1).
    Raises UsageError for k below 1, DataError for an item with fewer than k samples or more right ones than samples.

    >>> round(pass_at_k([1, 0, 3], [4, 4, 4], 2).mean, 4)
    0.5
    """
    return estimate(pass_values(np.asarray(right), np.asarray(samples), k), settings=settings)


def pass_values(right: CountArray, samples: CountArray, k: int) -> FloatArray:
    """(n_items,) unbiased pass@k of each item; see `pass_at_k`."""
    if k < 1:
        raise UsageError(f"pass@k needs k of 1 or more, not {k}")
    if right.shape != samples.shape:
        raise DataError(f"{right.size} counts of right samples for {samples.size} items")
    bad = (samples < k) | (right < 0) | (right > samples)
    if bad.any():
        where = int(np.argmax(bad))
        raise DataError(
            f"item {where}: {right[where]} of {samples[where]} samples right does not allow pass@{k}",
            hint=f"every item needs at least {k} samples",
        )
    fails = np.ones(len(right))
    for drawn in range(k):  # C(n-c, k) / C(n, k) as a product, so that nothing overflows
        fails *= np.maximum(samples - right - drawn, 0) / (samples - drawn)
    return 1 - fails
