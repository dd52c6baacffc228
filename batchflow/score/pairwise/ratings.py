"""Other ratings from pairwise verdicts than Bradley–Terry's: counts, mean win rate, Newman's iteration, eigenvector.

points    wins and half of the ties; fair only where all models met equally often
win-rate  the mean over opponents of the share of wins against each, a tie half a win
newman    Bradley–Terry with a parameter for ties, by Newman's iteration (JMLR 24, 2023); log strengths, mean 0
eigen     the leading eigenvector of the matrix of wins, a tie a whole win for each; sum 1
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED
from batchflow.score.pairwise.ranking import FEWEST, Verdicts, few_prompts, reach, record, refuse_split

STEPS = 1_000
CLOSE = 1e-10
STEPS_DRAWN = 200
CLOSE_DRAWN = 1e-4


@dataclass(frozen=True, slots=True)
class RatedModel:
    """One model. low, high: percentile bootstrap over prompts, infinite where resamples give no finite value."""

    model: str
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Rated:
    """Models by falling rating. ties: Newman's parameter of ties, else None. n: verdicts."""

    method: str
    models: tuple[RatedModel, ...]
    level: float
    n: int
    n_clusters: int
    resamples: int
    seed: int
    ties: float | None = None
    note: str = ""


def points(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """(..., k) wins and half of the ties. wins, ties: (..., k, k), wins[i, j] = times i beat j; ties symmetric."""
    total: FloatArray = (wins + ties / 2).sum(axis=-1)
    return total


def win_rate(wins: FloatArray, ties: FloatArray) -> FloatArray:
    """(..., k) mean over the opponents that a model met of its share of wins; nan for a model that met none.

    >>> win_rate(np.array([[0.0, 3], [1, 0]]), np.zeros((2, 2))).tolist()
    [0.75, 0.25]
    """
    won = wins + ties / 2
    met = won + np.swapaxes(won, -1, -2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(met > 0, won / met, 0.0)
        rate: FloatArray = share.sum(axis=-1) / (met > 0).sum(axis=-1)
    return rate


def newman(
    wins: FloatArray, ties: FloatArray, *, steps: int = STEPS, close: float = CLOSE
) -> tuple[FloatArray, FloatArray]:
    """(..., k) log strengths with mean 0, and (...,) the parameter of ties, by Newman's iteration.

    The strengths have no limit where no chain of wins and ties joins all models both ways; callers see to it.

    >>> strength, _ = newman(np.array([[0.0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]]), np.zeros((4, 4)))
    >>> np.exp(strength).round(3).tolist()
    [0.64, 1.043, 0.66, 2.27]
    """
    half = wins + ties / 2
    back = np.swapaxes(half, -1, -2)
    strength, tied = np.ones(wins.shape[:-1]), np.full(wins.shape[:-2], 0.5 if ties.any() else 0.0)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            mine, theirs = strength[..., :, None], strength[..., None, :]
            root, ratio, v = np.sqrt(mine * theirs), np.sqrt(theirs / mine), tied[..., None, None]
            below = mine + theirs + 2 * v * root
            up = (half * (theirs + v * root) / below).sum(axis=-1)
            down = (back * (1 + v * ratio) / below).sum(axis=-1)
            now = np.sqrt(strength * np.nan_to_num(up / down, nan=1.0, posinf=1e300))  # half a step: whole ones swing
            now = np.maximum(now, 1e-300)
            now = now / np.exp(np.log(now).mean(axis=-1, keepdims=True))
            drawn = (ties * (mine + theirs) / below).sum(axis=(-1, -2)) / 2
            tied = np.nan_to_num(drawn / (2 * (wins * root / below).sum(axis=(-1, -2))), posinf=1e6)
            moved = float(np.abs(np.log(now) - np.log(strength)).max())
            strength = now
            if moved < close:
                break
    logs: FloatArray = np.log(strength)
    return logs - logs.mean(axis=-1, keepdims=True), tied


def eigen(wins: FloatArray, ties: FloatArray, *, steps: int = STEPS, close: float = CLOSE) -> FloatArray:
    """(..., k) leading eigenvector of the matrix of wins, a tie a whole win for each, scaled to sum 1."""
    matrix, size = wins + ties, wins.shape[-1]
    matrix = matrix + np.eye(size) * matrix.max(axis=(-1, -2), keepdims=True)  # the same vectors, and no oscillation
    vector = np.full(wins.shape[:-1], 1 / size)
    for _ in range(steps):
        now = np.einsum("...ij,...j->...i", matrix, vector)
        now = now / np.maximum(now.sum(axis=-1, keepdims=True), 1e-300)
        moved = float(np.abs(now - vector).max())
        vector = now
        if moved < close:
            break
    return vector


METHODS: dict[str, Callable[..., FloatArray]] = {
    "points": points,
    "win-rate": win_rate,
    "newman": lambda wins, ties, **how: newman(wins, ties, **how)[0],
    "eigen": eigen,
}
_ITERATED = frozenset({"newman", "eigen"})


def rate(
    verdicts: Verdicts, method: str, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Rated:
    """Rate models by one of METHODS, with a percentile bootstrap over prompts.

    Raises UsageError for another method, DataError with a single prompt, for Newman's also where no chain of wins or
    ties joins two models.
    """
    if method not in METHODS:
        raise UsageError(f"there is no rating called {method!r}", hint=f"choose one of {', '.join(METHODS)}")
    wins, ties = outcomes(verdicts)
    prompts = len(np.unique(verdicts.prompts))
    if prompts < FEWEST:
        raise DataError("errors need verdicts on at least two prompts")
    refuse_split(wins + ties if method == "newman" else wins + wins.T + ties, verdicts.models)
    rating = METHODS[method](wins, ties)
    drawn = _resampled(verdicts, method, resamples=resamples, seed=seed)
    left_out = quantiles.tail(level)
    low, high = np.quantile(drawn, [left_out, 1 - left_out], axis=0, method="inverted_cdf")
    return Rated(
        method,
        tuple(
            RatedModel(
                verdicts.models[index],
                float(rating[index]),
                min(float(low[index]), float(rating[index])),
                max(float(high[index]), float(rating[index])),
                **record(verdicts, index),
            )
            for index in np.argsort(-rating, kind="stable").tolist()
        ),
        level=level,
        n=len(verdicts.score),
        n_clusters=prompts,
        resamples=resamples,
        seed=seed,
        ties=float(newman(wins, ties)[1]) if method == "newman" else None,
        note=few_prompts(prompts),
    )


def outcomes(verdicts: Verdicts) -> tuple[FloatArray, FloatArray]:
    """(k, k) wins, and ties both ways."""
    by_prompt = _by_prompt(verdicts).sum(axis=0)
    return by_prompt[0], by_prompt[1]


def _by_prompt(verdicts: Verdicts) -> npt.NDArray[np.float64]:
    """(prompts, 2, k, k) wins and ties on each prompt."""
    k = len(verdicts.models)
    _, prompt = np.unique(verdicts.prompts, return_inverse=True)
    prompt = prompt.reshape(-1)
    tables = np.zeros((int(prompt.max()) + 1, 2, k, k))
    tie = verdicts.score == 0.5
    won = verdicts.score > 0.5
    winner, loser = np.where(won, verdicts.left, verdicts.right), np.where(won, verdicts.right, verdicts.left)
    np.add.at(tables, (prompt[~tie], 0, winner[~tie], loser[~tie]), 1.0)
    for one, other in ((verdicts.left, verdicts.right), (verdicts.right, verdicts.left)):
        np.add.at(tables, (prompt[tie], 1, one[tie], other[tie]), 1.0)
    return tables


def _resampled(verdicts: Verdicts, method: str, *, resamples: int, seed: int) -> FloatArray:
    """(resamples, k) ratings of resampled prompts; infinite, or the rating itself, where a resample has none."""
    tables = _by_prompt(verdicts)
    k = len(verdicts.models)
    kinds, often = np.unique(tables.reshape(len(tables), -1), axis=0, return_counts=True)
    draws.refuse_number(resamples)
    rng, step, parts = draws.generator(seed), max(1, draws.CELLS // (len(kinds) + 8 * k * k)), []
    how = {"steps": STEPS_DRAWN, "close": CLOSE_DRAWN} if method in _ITERATED else {}
    for start in range(0, resamples, step):
        times = rng.multinomial(len(tables), often / len(tables), min(step, resamples - start)).astype(np.float64)
        both = (times @ kinds).reshape(-1, 2, k, k)
        wins, ties = both[:, 0], both[:, 1]
        ratings = METHODS[method](wins, ties, **how)
        if method == "newman":
            linked = reach(wins + ties)
            ratings = np.where(~linked.all(axis=-2), math.inf, ratings)
            ratings = np.where(~linked.all(axis=-1), -math.inf, ratings)
        parts.append(np.where(np.isnan(ratings), METHODS[method](*outcomes(verdicts)), ratings))
    return np.concatenate(parts)
