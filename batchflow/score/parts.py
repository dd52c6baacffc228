"""An overall score as the mean of the scores of its parts, each part as heavy as it is said to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from batchflow.errors import ArgumentError, DataError
from batchflow.score.base.arguments import numbers
from batchflow.score.intervals import Interval


def mean_of_parts(
    means: Sequence[float],
    intervals: Sequence[Interval],
    weights: Sequence[float] | None = None,
    *,
    least: float = 0.0,
) -> tuple[float, Interval]:
    """The weighted mean of parts that share no item, and its interval. weights: one per part, equal unless told.
    least: the smallest value of a part, -1 for differences of scores.

    The interval recovers each part's variance from its bounds (MOVER, Zou and Donner 2008), so that it is as good as
    the parts' own: low = mean - √Σ w² (mean_i - low_i)², and likewise above. The parts are taken for fixed: other parts
    than these are not covered.
    Raises DataError without a part, ArgumentError for lists of another length, negative weights, or other levels.

    >>> from batchflow.score.intervals import estimate
    >>> parts = [estimate([1] * 60 + [0] * 40), estimate([1] * 9 + [0])]
    >>> mean, interval = mean_of_parts([part.mean for part in parts], [part.interval for part in parts])
    >>> f"{mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
    '0.75 [0.59, 0.81]'
    """
    if not means:
        raise DataError("there is no part to take the mean of")
    known = numbers("means", means, low=least, size=len(intervals))
    share = numbers("weights", [1.0] * len(means) if weights is None else weights, high=math.inf, size=len(means))
    levels = {interval.level for interval in intervals}
    if not share.any() or not np.isfinite(share).all() or len(levels) > 1:
        raise ArgumentError("the parts need finite weights, one at least above 0, and intervals of one level")
    share = share / share.sum()
    mean = float(share @ known)
    low, high = (np.array([getattr(interval, side) for interval in intervals]) for side in ("low", "high"))
    below, above = (math.sqrt(float((share**2 * (known - bound) ** 2).sum())) for bound in (low, high))
    errors = [interval.standard_error for interval in intervals]
    error = None if None in errors else math.sqrt(float((share**2 * np.array(errors, dtype=np.float64) ** 2).sum()))
    interval = Interval(
        low=max(mean - below, least),
        high=min(mean + above, 1.0),
        level=levels.pop(),
        method="mover",
        n=sum(each.n for each in intervals),
        n_clusters=sum(each.n_clusters for each in intervals),
        standard_error=error,
    )
    return mean, interval
