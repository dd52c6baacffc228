"""The jury's reliability, from how much its judges differ on an item: how labels are likely to follow its votes.

A jury whose judges often differ on an item errs often, and its mean vote says less of what people would say than that
of a jury of one mind. Labels that are all alike cannot show this; the votes on all items can.
"""

from __future__ import annotations

import math

import numpy as np

from batchflow.records import Level
from batchflow.score.base.arguments import FloatArray, shaped
from batchflow.score.base.clusters import TINY
from batchflow.score.values import VoteArray, Votes

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
    return _slope(np.where(valid, votes, np.nan), 4.0 if binary else 0.0)


def expected_slope_of_differences(a: Votes, b: Votes, field: str) -> float | None:
    """The same of the differences of two models' labels on those of their mean votes, over the items that both have.

    Only judges that vote on both models count: what one of them errs alike on both is in no difference. None where no
    two of them voted on both answers to the same item.
    """
    judges = [judge for judge in a.judges if judge in b.judges]
    place = {item: at for at, item in enumerate(b.items)}
    items = [at for at, item in enumerate(a.items) if item in place]
    others = [place[a.items[at]] for at in items]
    one = np.asarray(a.of(field), dtype=np.float64)[[a.judges.index(judge) for judge in judges]][:, items]
    two = np.asarray(b.of(field), dtype=np.float64)[[b.judges.index(judge) for judge in judges]][:, others]
    halves = np.where((one >= 0) & (two >= 0), (one - two + 1) / 2, np.nan)
    return _slope(halves, 8.0 if a.level_of(field) is Level.NOMINAL else 0.0)


def _slope(votes: FloatArray, errors: float) -> float | None:
    """votes: (n_judges, n_items), nan where there is none. errors: 4 · error · (1 - error) of a judge, by the variance
    of the votes on an item: 4 of votes that are right or wrong, 8 of half their differences, 0 of scales.
    """
    valid = ~np.isnan(votes)
    count = valid.sum(axis=0)
    kept = count > 0
    if kept.sum() < FEWEST_ITEMS or not (count > 1).any():
        return None
    count, cast = count[kept], np.where(valid, votes, 0.0)[:, kept]
    mean = cast.sum(axis=0) / count
    squares = (np.where(valid[:, kept], cast - mean, 0.0) ** 2).sum(axis=0)
    several = count > 1
    within = float((squares[several] / (count[several] - 1)).mean())
    spread = float(mean.var(ddof=1))
    if spread < TINY:
        return 1.0
    slope = max(1 - within * float((1 / count).mean()) / spread, 0.0)
    return min(slope / math.sqrt(max(1 - errors * within, LEAST)), 1.0)
