"""Dawid and Skene's estimate of what is right, from the votes alone: judges that agree with the others weigh more."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from batchflow.errors import DataError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, one_of
from batchflow.score.base.clusters import Labels, codes
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, Interval
from batchflow.score.values import MISSING, NOT_ASKED, RIGHT, WRONG, VoteArray

FEWEST = 3  # judges: with two, many shares of right answers fit the votes equally well
STEPS = 500
CLOSE = 1e-8
CLOSE_DRAWN = 1e-4  # of a resample's score, whose neighbours lie much further apart
PSEUDO = 0.1  # pseudo-votes in each cell of a judge's table, so that no judge is taken to be free of errors


@dataclass(frozen=True, slots=True)
class JudgeQuality:
    """One judge as the votes show it. sensitivity: share of right answers that it calls right; specificity: of wrong
    answers that it calls wrong. votes: its valid ones.
    """

    judge: str
    sensitivity: float
    specificity: float
    votes: int


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """score: share of right answers over all items. values: (n_voted,) chance that an item with a vote is right.

    interval: percentile bootstrap over items or clusters, every resample fitted anew. steps: of the fit. converged:
    whether it came to rest.
    """

    score: float
    values: FloatArray
    interval: Interval
    judges: tuple[JudgeQuality, ...]
    steps: int
    converged: bool


def dawid_skene(
    judges: tuple[str, ...],
    votes: VoteArray,
    *,
    wrong: int = 0,
    clusters: Labels | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> DawidSkene:
    """Dawid and Skene 1979 for right and wrong, by expectation and maximisation.

    votes: (n_judges, n_items) 1, 0, -1 (missing), -2 (not asked); items without a vote are left out. wrong: so many
    further items have no answer and count as wrong. clusters: one label per item, the wrong ones included.
    The fit starts at the share of votes that say right, and a solution in which the jury is worse than chance is turned
    around: right and wrong could else change places. It takes the judges' errors for independent given what is right.
    Raises DataError below three judges that vote.

    >>> right = np.arange(100) < 70
    >>> votes = np.array([right, right ^ (np.arange(100) % 10 == 0), right ^ (np.arange(100) % 10 == 5)], dtype=np.int8)
    >>> found = dawid_skene(("a", "b", "c"), votes, resamples=99)
    >>> f"{found.score:.2f}", [f"{judge.sensitivity:.2f}" for judge in found.judges]
    ('0.70', ['1.00', '0.90', '0.90'])
    """
    refuse_few(votes)
    voted = (votes >= 0).any(axis=0)
    patterns, place = np.unique(np.maximum(votes[:, voted], MISSING), axis=1, return_inverse=True)
    place = place.reshape(-1)
    table = Patterns(patterns)
    times = np.bincount(place, minlength=patterns.shape[1]).astype(np.float64)
    fit = table.fitted(times[None], by_share(patterns)[None], STEPS, CLOSE)
    answers = int(voted.sum())
    kept = np.concatenate([np.flatnonzero(voted), np.arange(votes.shape[1], votes.shape[1] + wrong)])
    units = codes(clusters, votes.shape[1] + wrong)[kept] if clusters is not None else np.arange(len(kept))
    score = float(fit.chance[0] @ times) / (answers + wrong)
    low, high = _bootstrap(table, fit.chance[0], place, units, wrong, level=level, resamples=resamples, seed=seed)
    interval = Interval(
        low=min(low, score),
        high=max(high, score),
        level=level,
        method="refitted percentile",
        n=len(kept),
        n_clusters=len(np.unique(units)),
        seed=seed,
        resamples=resamples,
    )
    quality = tuple(
        JudgeQuality(judge, float(fit.right[0, row]), float(fit.wrong[0, row]), int((votes[row] >= 0).sum()))
        for row, judge in enumerate(judges)
    )
    return DawidSkene(score, fit.chance[0][place], interval, quality, fit.steps, fit.converged)


def refuse_few(votes: VoteArray) -> None:
    """Raise ArgumentError for other codes than those of votes, DataError below three judges that vote."""
    one_of("votes", votes, (RIGHT, WRONG, MISSING, NOT_ASKED), dims=2, meaning="1, 0, -1 (missing) or -2")
    voting = int((votes >= 0).any(axis=1).sum())
    if voting < FEWEST:
        raise DataError(
            f"{voting} judges vote: Dawid and Skene's method needs {FEWEST} to tell good judges from bad ones",
            hint="--method mean or majority",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """chance: (r, k) that a pattern is of a right answer. right, wrong: (r, judges) sensitivity and specificity."""

    chance: FloatArray
    right: FloatArray
    wrong: FloatArray
    steps: int
    converged: bool


class Patterns:
    """The distinct columns of votes: all that a fit needs, with how often each occurs."""

    def __init__(self, patterns: VoteArray) -> None:
        self.says_right = (patterns == RIGHT).astype(np.float64)
        self.says_wrong = (patterns == WRONG).astype(np.float64)

    def fitted(self, times: FloatArray, chance: FloatArray, steps: int, close: float) -> Fit:
        """Fits of r data sets at once. times: (r, k) how often each pattern occurs. chance: (r, k) or (1, k) start."""
        total = times.sum(axis=1, keepdims=True)
        last, step, moved = (chance * times).sum(axis=1), 0, math.inf
        right, wrong, share = self._tables(times, chance, total)
        while moved > close and step < steps:
            chance = self._chances(right, wrong, share)
            right, wrong, share = self._tables(times, chance, total)
            now = (chance * times).sum(axis=1)
            moved, last, step = float((np.abs(now - last) / total[:, 0]).max()), now, step + 1
        upside_down = (right + wrong - 1).sum(axis=1) < 0
        chance[upside_down] = 1 - chance[upside_down]
        right[upside_down], wrong[upside_down] = 1 - right[upside_down], 1 - wrong[upside_down]
        return Fit(chance, right, wrong, step, moved <= close)

    def _tables(self, times: FloatArray, chance: FloatArray, total: FloatArray) -> tuple[FloatArray, ...]:
        """Sensitivity and specificity of each judge, and the share of right answers."""
        as_right, as_wrong = chance * times, (1 - chance) * times
        right = (as_right @ self.says_right.T + 2 * PSEUDO) / (
            as_right @ (self.says_right + self.says_wrong).T + 3 * PSEUDO
        )
        wrong = (as_wrong @ self.says_wrong.T + 2 * PSEUDO) / (
            as_wrong @ (self.says_right + self.says_wrong).T + 3 * PSEUDO
        )
        return right, wrong, (as_right.sum(axis=1, keepdims=True) + PSEUDO) / (total + 2 * PSEUDO)

    def _chances(self, right: FloatArray, wrong: FloatArray, share: FloatArray) -> FloatArray:
        """(r, k) posterior chance that a pattern is of a right answer."""
        odds = np.log(share / (1 - share)) + np.log(right / (1 - wrong)) @ self.says_right
        odds = odds + np.log((1 - right) / wrong) @ self.says_wrong
        chance: FloatArray = 0.5 * (1 + np.tanh(odds / 2))
        return chance


def by_share(patterns: VoteArray) -> FloatArray:
    """(k,) share of a pattern's votes that say right."""
    share: FloatArray = (patterns == RIGHT).sum(axis=0) / np.maximum((patterns >= 0).sum(axis=0), 1)
    return share


def _bootstrap(
    table: Patterns,
    chance: FloatArray,
    place: np.typing.NDArray[np.int64],
    units: np.typing.NDArray[np.int64],
    wrong: int,
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Tails of the score over resampled items or clusters; the items that count as wrong are resampled too."""
    left_out, kinds = quantiles.tail(level), len(chance)
    column = np.concatenate([place, np.full(wrong, kinds)])  # the last column: wrong for want of an answer
    cells = np.zeros((len(np.unique(units)), kinds + 1)) if len(np.unique(units)) < len(units) else None
    if cells is None:
        unit, often = np.unique(column, return_counts=True)
        rows = np.eye(kinds + 1)[unit]
    else:
        np.add.at(cells, (np.unique(units, return_inverse=True)[1].reshape(-1), column), 1.0)
        rows, often = np.unique(cells, axis=0, return_counts=True)
    scores = []
    step = max(1, draws.CELLS // max(len(rows), kinds + 1))
    rng = draws.generator(seed)
    draws.refuse_number(resamples)
    for start in range(0, resamples, step):
        drawn = rng.multinomial(int(often.sum()), often / often.sum(), min(step, resamples - start)) @ rows
        times = drawn[:, :kinds]
        some = times.sum(axis=1) > 0
        shares = np.zeros(len(drawn))
        if some.any():
            fit = table.fitted(times[some], np.broadcast_to(chance, times[some].shape), STEPS, CLOSE_DRAWN)
            shares[some] = (fit.chance * times[some]).sum(axis=1) / drawn[some].sum(axis=1)
        scores.append(shares)
    low, high = np.quantile(np.concatenate(scores), [left_out, 1 - left_out]).tolist()
    return float(low), float(high)
