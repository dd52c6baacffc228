"""The jury's reliability, from how much its judges differ on an item: how labels are likely to follow its votes.

A jury whose judges often differ on an item errs often, and its mean vote says less of what people would say than that
of a jury of one mind. Labels that are all alike cannot show this; the votes on all items can.
"""

from __future__ import annotations

import math

import numpy as np

from batchflow.score.base.arguments import shaped
from batchflow.score.base.clusters import TINY
from batchflow.score.values import VoteArray

FEWEST_ITEMS = 2
LEAST = 0.05  # of (1 - 2 · error)², or judges that hardly tell right from wrong would explain everything


def expected_slope(votes: VoteArray, *, binary: bool) -> float | None:
    """The slope of people's labels on the jury's mean vote that the votes alone lead to expect, from 0 to 1.

    votes: (n_judges, n_items), negative where there is none. It is the reliability of an item's mean vote (the share of
    its variance that is not the judges' differing, as in Kelley 1947); with binary votes by 1 - 2 · error, the error
    being that of judges who err alike and independently: error · (1 - error) is the variance of the votes on an item.
    None where no two judges voted on the same item. Errors that judges share make it too large.

    >>> right = np.arange(90) % 10 > 0
    >>> errs = [np.arange(90) % 9 == judge for judge in range(3)]
    >>> f"{expected_slope(np.array([right ^ wrong for wrong in errs], dtype=np.int8), binary=True):.2f}"
    '0.72'
    """
    shaped("votes", votes, dims=2)
    valid = votes >= 0
    count = valid.sum(axis=0)
    kept = count > 0
    if kept.sum() < FEWEST_ITEMS or not (count > 1).any():
        return None
    count, cast = count[kept], np.where(valid, votes, 0)[:, kept].astype(np.float64)
    mean = cast.sum(axis=0) / count
    squares = (np.where(valid[:, kept], cast - mean, 0.0) ** 2).sum(axis=0)
    several = count > 1
    within = float((squares[several] / (count[several] - 1)).mean())
    spread = float(mean.var(ddof=1))
    if spread < TINY:
        return 1.0
    slope = max(1 - within * float((1 / count).mean()) / spread, 0.0)
    return min(slope / math.sqrt(max(1 - 4 * within, LEAST)) if binary else slope, 1.0)
