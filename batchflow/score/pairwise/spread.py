"""Intervals of ratings that have no formula, from resampled prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from batchflow.score.base import draws
from batchflow.score.base.arguments import FloatArray
from batchflow.score.intervals import LEVEL, SEED
from batchflow.score.pairwise.ranking import Verdicts

SAMPLES = 500


def spread(
    verdicts: Verdicts,
    statistic: Callable[[Verdicts], FloatArray],
    *,
    level: float = LEVEL,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> tuple[tuple[float, float], ...]:
    """(low, high) of each model's rating: percentiles over resampled prompts, their verdicts in random order.

    statistic: (k,) ratings of the k models of what it is given. Infinite bounds with fewer than two prompts: they tell
    nothing about the next one.
    """
    prompts = np.unique(verdicts.prompts)
    if len(prompts) < 2:
        return ((-np.inf, np.inf),) * len(verdicts.models)
    members = [np.flatnonzero(verdicts.prompts == prompt) for prompt in prompts]
    rng = draws.generator(seed)
    ratings = np.empty((samples, len(verdicts.models)))
    for sample in range(samples):
        chosen = rng.permutation(
            np.concatenate([members[index] for index in rng.integers(0, len(prompts), len(prompts))])
        )
        part = replace(
            verdicts,
            left=verdicts.left[chosen],
            right=verdicts.right[chosen],
            score=verdicts.score[chosen],
            prompts=verdicts.prompts[chosen],
        )
        ratings[sample] = statistic(part)
    low, high = np.quantile(ratings, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))
