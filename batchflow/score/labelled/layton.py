"""layton-eval's score: labels of other models' answers, drawn to match the jury's values on the evaluated ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from batchflow.errors import ArgumentError, DataError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray
from batchflow.score.base.clusters import CountArray
from batchflow.score.intervals import LEVEL, SEED, Interval
from batchflow.score.labelled.calibration import Calibrated
from batchflow.score.labelled.gold import Gold, jury_of
from batchflow.score.values import RIGHT

DRAWS = 10_000  # as the predecessor


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers on which `right` of `valid` votes said right. n: such answers of the evaluated model.
    human_right of human_all: labels of such answers in the calibration pool.
    """

    right: int
    valid: int
    n: int
    human_right: int
    human_all: int


def layton_bins(
    right: CountArray | FloatArray, valid: CountArray, gold: Gold, field: str, *, provider: str
) -> tuple[Bin, ...]:
    """The evaluated model's answers and the pool of other vendors' labels, by jury value.

    Raises UsageError without a provider, DataError where the model has a jury value that no label can calibrate.
    """
    if not provider:
        raise UsageError("--method layton leaves out the labels of the evaluated vendor, which is not known here")
    pool_right, pool_valid = jury_of(gold, field)
    pool = gold.labelled(field) & ~gold.of_vendor(provider) & (pool_valid > 0)
    human = gold.human[field]
    bins = []
    for value, (r, v) in sorted({a / b: (a, b) for a, b in zip(right.tolist(), valid.tolist(), strict=True)}.items()):
        inside = pool & (pool_right * v == pool_valid * r)
        if not inside.any():
            raise DataError(
                f"no calibration label for answers with jury value {value:.2f} ({r} of {v} votes)",
                hint="complete the jury (`batchflow jury NAME --retry`), or take --method mean",
            )
        n = int((right * v == valid * r).sum())
        bins.append(Bin(r, v, n, int((human[inside] == RIGHT).sum()), int(inside.sum())))
    return tuple(bins)


def layton(bins: tuple[Bin, ...], *, level: float = LEVEL, seed: int = SEED) -> Calibrated:
    """layton-eval's stratified draw. Its prediction-powered correction cancels, because labels are drawn to match the
    model's jury values bin by bin; what is left is a binomial draw per bin. Rounded as published: the score is the
    middle of the percentiles to 0.001, the half-width always goes up to the next 0.001.
    """
    rng, left_out = draws.generator(seed), quantiles.tail(level)
    n = sum(each.n for each in bins)
    if not n or any(not 0 <= each.human_right <= each.human_all or not each.human_all or each.n < 0 for each in bins):
        raise ArgumentError("bins: answers, and labels of each bin, are needed")
    total = np.zeros(DRAWS)
    for each in bins:
        total += rng.binomial(each.n, each.human_right / each.human_all, DRAWS)
    low, high = np.quantile(total / n, [left_out, 1 - left_out]).tolist()
    score = round((low + high) / 2, 3)
    half = (math.floor((high - low) / 2 * 1000) + 1) / 1000
    interval = Interval(
        low=max(round(score - half, 3), 0.0),
        high=min(round(score + half, 3), 1.0),
        level=level,
        method="layton",
        n=n,
        n_clusters=n,
        seed=seed,
        resamples=DRAWS,
    )
    labels = sum(each.human_all for each in bins)
    note = f"calibration noise only, from {labels} labels: this interval does not cover item sampling"
    return Calibrated(score, interval, labels, (note,))
