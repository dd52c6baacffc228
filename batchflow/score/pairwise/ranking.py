"""Ratings of models from pairwise verdicts: Bradley–Terry with honest errors, and Elo for compatibility."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError, DataError, UsageError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray, numbers
from batchflow.score.base.clusters import CountArray, codes
from batchflow.score.base.significance import holm, t_test
from batchflow.score.intervals import LEVEL, SEED

OUTCOMES = {"left": 1.0, "right": 0.0, "tie": 0.5}
STEPS = 100  # Newton takes under ten; more means that the strengths run away
CLOSE = 1e-10
NOTHING = 1e-8  # a standard error below this is rounding
FEWEST = 2  # prompts that an error can be told from
FEW_PROMPTS = 13  # below, a note says so
ELO_ORDERS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Pairwise verdicts. models: (k,) names. left, right: (n,) indices into it. score: (n,) of the left one: 1, 0, or
    0.5 for a tie. prompts: (n,) cluster indices. unparsed: verdicts that could not be read and are left out.
    """

    models: tuple[str, ...]
    left: CountArray
    right: CountArray
    score: FloatArray
    prompts: CountArray
    unparsed: int = 0

    def wins(self) -> FloatArray:
        """(k, k): how often row beat column, ties as half a win for each."""
        k = len(self.models)
        first = np.bincount(self.left * k + self.right, weights=self.score, minlength=k * k)
        second = np.bincount(self.right * k + self.left, weights=1 - self.score, minlength=k * k)
        total: FloatArray = (first + second).astype(np.float64)
        return total.reshape(k, k)


@dataclass(frozen=True, slots=True)
class Rating:
    """One model. strength: log odds, mean 0 over models. low, high: of the strength, infinite for a model that never
    lost, or never won, along any chain. win_rate: against an average
    model of this list. wins, losses, ties: of its comparisons.
    """

    model: str
    strength: float
    standard_error: float
    low: float
    high: float
    win_rate: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """Difference of two models' strengths, with its own error: those of the strengths go together.

    chance: that a beats b. p: Student's t on the prompts less one; p_holm: corrected for all pairs. low, high: infinite
    where no chain of wins leads from a to b, or from b to a.
    """

    a: str
    b: str
    difference: float
    standard_error: float
    low: float
    high: float
    chance: float
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models by falling strength, and how the errors were made. note: why the errors may be too small."""

    ratings: tuple[Rating, ...]
    level: float
    method: str
    n: int
    n_clusters: int
    unparsed: int
    note: str = ""
    contrasts: tuple[Contrast, ...] = ()


def verdicts(
    left: Sequence[str],
    right: Sequence[str],
    winner: Sequence[str | None],
    prompts: Sequence[Hashable] | None = None,
) -> Verdicts:
    """winner: left, right, tie, or None for a verdict that could not be read: counted, never a win.

    prompts: what was asked, one label per comparison; without, each comparison stands alone.
    Raises DataError for another word, for a model against itself, and where nothing is left.
    """
    if not len(left) == len(right) == len(winner):
        raise DataError(f"{len(left)} left models, {len(right)} right models and {len(winner)} winners do not match")
    kept = [row for row, word in enumerate(winner) if word is not None]
    if not kept:
        raise DataError("there is no verdict to rank by")
    for row in kept:
        if winner[row] not in OUTCOMES:
            raise DataError(f"comparison {row}: winner {winner[row]!r:.60} is not {', '.join(OUTCOMES)} or null")
        if left[row] == right[row]:
            raise DataError(f"comparison {row}: {left[row]!r} stands against itself")
    names = tuple(sorted({name for side in (left, right) for name in side}))
    index = {name: number for number, name in enumerate(names)}
    every = codes(prompts, len(left)) if prompts is not None else np.arange(len(left))
    return Verdicts(
        names,
        np.array([index[left[row]] for row in kept]),
        np.array([index[right[row]] for row in kept]),
        np.array([OUTCOMES[str(winner[row])] for row in kept]),
        every[kept],
        len(winner) - len(kept),
    )


def bradley_terry(wins: FloatArray, names: Sequence[str] | None = None) -> FloatArray:
    """(k,) log strengths with mean 0, by Newton's method on the count matrix.

    wins: (k, k), wins[i, j] = times i beat j, ties half each. Raises DataError where no finite strengths exist: some
    group of models never lost to, or never met, the rest.

    >>> wins = np.array([[0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]], dtype=float)
    >>> np.exp(bradley_terry(wins)).round(3).tolist()
    [0.64, 1.043, 0.66, 2.27]
    """
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1]:
        raise ArgumentError(f"wins has shape {wins.shape}, and a square of counts is needed")
    numbers("wins", wins, high=math.inf, dims=2)
    refuse_split(wins, names)
    k, met, won = len(wins), wins + wins.T, wins.sum(axis=1)
    strength = np.zeros(k)
    best = _likelihood(wins, strength)
    for _ in range(STEPS):
        chance = _chances(strength)
        step = np.linalg.solve(_information(met, chance) + 1 / k, won - (met * chance).sum(axis=1))
        while (reached := _likelihood(wins, strength + step)) < best - CLOSE * abs(best):
            step = step / 2
        strength, best = strength + step, reached
        if np.abs(step).max() < CLOSE:
            centred: FloatArray = strength - strength.mean()
            return centred
    raise DataError("the strengths do not converge: the models are too unevenly matched")


def _chances(strength: FloatArray) -> FloatArray:
    """(k, k) chance that row beats column."""
    chance: FloatArray = 0.5 * (1 + np.tanh((strength[:, None] - strength[None]) / 2))
    return chance


def _likelihood(wins: FloatArray, strength: FloatArray) -> float:
    return -float((wins * np.logaddexp(0, strength[None] - strength[:, None])).sum())


def _information(met: FloatArray, chance: FloatArray) -> FloatArray:
    """(k, k) Fisher information; singular along the shift of all strengths, which 1/k in every cell fixes."""
    weight = met * chance * (1 - chance)
    information: FloatArray = np.diag(weight.sum(axis=1)) - weight
    return information


def reach(wins: FloatArray) -> npt.NDArray[np.bool_]:
    """(..., k, k) whether a chain of wins leads from row to column; finite strengths need all of them (Ford 1957)."""
    size = wins.shape[-1]
    linked: npt.NDArray[np.bool_] = (wins > 0) | np.eye(size, dtype=np.bool_)
    for middle in range(size):
        linked |= linked[..., :, [middle]] & linked[..., [middle], :]
    return linked


def refuse_split(wins: FloatArray, names: Sequence[str] | None) -> None:
    """Raise DataError where a model does not reach another one along wins."""
    linked = reach(wins)
    if not linked.all():
        here, there = np.argwhere(~linked)[0].tolist()
        labels = names or [f"model {number}" for number in range(len(wins))]
        raise DataError(
            f"no strength can be given: no chain of wins or ties leads from {labels[here]} to {labels[there]}",
            hint="judge more pairs, or leave out the model that won or lost everything",
        )


def rank(verdicts: Verdicts, *, level: float = LEVEL) -> Ranking:
    """Bradley–Terry strengths with sandwich errors clustered on the prompt, and Student's bounds.

    Verdicts on one prompt depend on each other, so plain errors, or those of resampled comparisons, are too small. The
    covariance is H⁻¹ (Σ_c g_c g_cᵀ) H⁻¹ · C/(C-1), g_c the score of prompt c, H the information.
    Where the verdicts on every prompt cancel out (ties alone, a judge that always names one side), or a model won or
    lost everything, two pseudo-prompts for each pair stand in, one won by each; what then has no limit is infinite.
    Raises DataError with a single prompt, and where no chain of comparisons joins two models.
    """
    wins, prompts = verdicts.wins(), len(np.unique(verdicts.prompts))
    if prompts < FEWEST:
        refuse_split(wins, verdicts.models)
    linked, seen, note = reach(wins), verdicts, ""
    if not linked.all():
        refuse_split(wins + wins.T, verdicts.models)
        seen, note = _padded(verdicts), "a model won or lost everything"
    strength, covariance = _fitted(seen)
    if math.sqrt(max(float(np.diag(covariance).max()), 0.0)) < NOTHING:
        strength, covariance = _fitted(_padded(verdicts))
        note = "the verdicts on every prompt cancel out"
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    t = quantiles.student(level, prompts - 1)
    upper, lower = (np.where(~linked.all(axis=axis), math.inf, t * error) for axis in (0, 1))
    order = np.argsort(-strength, kind="stable").tolist()
    return Ranking(
        tuple(
            Rating(
                model=verdicts.models[index],
                strength=float(strength[index]),
                standard_error=float(error[index]),
                low=float(strength[index] - lower[index]),
                high=float(strength[index] + upper[index]),
                win_rate=float(1 / (1 + np.exp(-strength[index]))),
                **record(verdicts, index),
            )
            for index in order
        ),
        level=level,
        method="bradley-terry, sandwich clustered on the prompt",
        n=len(verdicts.score),
        n_clusters=prompts,
        unparsed=verdicts.unparsed,
        note="; ".join(filter(None, (note and f"{note}: two pseudo-prompts a pair stand in", few_prompts(prompts)))),
        contrasts=_contrasts(verdicts.models, order, strength, covariance, linked, prompts, level),
    )


def few_prompts(prompts: int) -> str:
    """A note where an error is told from few prompts; else empty."""
    return (
        f"{prompts} prompts are few: the bounds are wide, and may still be too narrow" if prompts < FEW_PROMPTS else ""
    )


def _contrasts(
    models: Sequence[str],
    order: Sequence[int],
    strength: FloatArray,
    covariance: FloatArray,
    linked: npt.NDArray[np.bool_],
    prompts: int,
    level: float,
) -> tuple[Contrast, ...]:
    """Differences of all pairs, the stronger model first, with Holm's correction over them."""
    t, rows = quantiles.student(level, prompts - 1), []
    for a, b in combinations(order, 2):
        variance = max(float(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]), 0.0)
        difference, error = float(strength[a] - strength[b]), math.sqrt(variance)
        low = difference - (t * error if linked[a, b] else math.inf)
        high = difference + (t * error if linked[b, a] else math.inf)
        p = t_test(difference, variance, prompts - 1)
        rows.append(Contrast(models[a], models[b], difference, error, low, high, 1 / (1 + math.exp(-difference)), p, p))
    return tuple(
        replace(row, p_holm=corrected) for row, corrected in zip(rows, holm([row.p for row in rows]), strict=True)
    )


def _fitted(verdicts: Verdicts) -> tuple[FloatArray, FloatArray]:
    """Strengths and their covariance."""
    wins = verdicts.wins()
    strength = bradley_terry(wins, verdicts.models)
    return strength, _sandwich(verdicts, wins, strength)


def _padded(verdicts: Verdicts) -> Verdicts:
    """The verdicts with two pseudo-prompts for each pair of models that met, as Agresti and Min do for pairs.

    One is won by each, and is as long as a prompt is on the mean.
    """
    first, second = np.minimum(verdicts.left, verdicts.right), np.maximum(verdicts.left, verdicts.right)
    pairs, place = np.unique(np.column_stack([first, second]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    last = int(verdicts.prompts.max())
    pseudo: list[tuple[int, int, float, int]] = []  # left, right, score, prompt
    for number, (a, b) in enumerate(pairs.tolist()):
        met = place == number
        size = max(1, round(float(met.sum()) / len(np.unique(verdicts.prompts[met]))))
        pseudo += [(a, b, 1.0, last + 2 * number + 1)] * size + [(a, b, 0.0, last + 2 * number + 2)] * size
    left, right, score, prompts = (np.array(column) for column in zip(*pseudo, strict=True))
    return Verdicts(
        verdicts.models,
        np.concatenate([verdicts.left, left]),
        np.concatenate([verdicts.right, right]),
        np.concatenate([verdicts.score, score]),
        np.concatenate([verdicts.prompts, prompts]),
    )


def record(verdicts: Verdicts, model: int) -> dict[str, int]:
    """Wins, losses and ties of one model."""
    own = np.concatenate([verdicts.score[verdicts.left == model], 1 - verdicts.score[verdicts.right == model]])
    return {"wins": int((own == 1).sum()), "losses": int((own == 0).sum()), "ties": int((own == 0.5).sum())}


def _sandwich(verdicts: Verdicts, wins: FloatArray, strength: FloatArray) -> FloatArray:
    """(k, k) covariance of the centred strengths."""
    from scipy.sparse import coo_array

    k, chance = len(wins), _chances(strength)
    _, prompts = np.unique(verdicts.prompts, return_inverse=True)
    count = int(prompts.max()) + 1
    if count < 2:
        raise DataError("errors need verdicts on at least two prompts")
    rest = verdicts.score - chance[verdicts.left, verdicts.right]
    rows, columns = np.concatenate([prompts, prompts]), np.concatenate([verdicts.left, verdicts.right])
    scores = coo_array((np.concatenate([rest, -rest]), (rows, columns)), shape=(count, k)).tocsr()
    middle = np.asarray((scores.T @ scores).todense()) * (count / (count - 1))
    bread = np.linalg.inv(_information(wins + wins.T, chance) + 1 / k)
    centre = np.eye(k) - 1 / k
    covariance: FloatArray = centre @ bread @ middle @ bread @ centre
    return covariance


def elo(
    verdicts: Verdicts,
    *,
    k: float = 32,
    scale: float = 400,
    base: float = 10,
    initial: float = 1000,
    orders: int = ELO_ORDERS,
    seed: int = SEED,
) -> FloatArray:
    """(n_models,) Elo ratings, the mean over random orders of the verdicts; Elo in file order depends on that order.

    All orders advance together, one verdict of each at a time. Raises UsageError for orders below 1.
    """
    if orders < 1:
        raise UsageError(f"elo needs at least one order, not {orders}")
    rng = draws.generator(seed)
    shuffled = np.array([rng.permutation(len(verdicts.score)) for _ in range(orders)]).T
    every = elo_in_order(verdicts, shuffled, k=k, scale=scale, base=base, initial=initial)
    return np.asarray(every.mean(axis=0), dtype=np.float64)


def elo_in_order(
    verdicts: Verdicts, order: npt.NDArray[np.int64], *, k: float, scale: float, base: float, initial: float
) -> FloatArray:
    """(orders, n_models) ratings after the verdicts in each column of `order`, (n, orders) indices."""
    every = np.arange(order.shape[1])
    rating = np.full((order.shape[1], len(verdicts.models)), float(initial))
    for row in order:
        left, right = verdicts.left[row], verdicts.right[row]
        expected = 1 / (1 + base ** ((rating[every, right] - rating[every, left]) / scale))
        change = k * (verdicts.score[row] - expected)
        rating[every, left] += change
        rating[every, right] -= change
    return rating


@dataclass(frozen=True, slots=True)
class Position:
    """Position bias. left_wins: mean score of the left answer; 0.5 without a bias. agreement: share
    of the prompts and pairs judged in both orders with the same verdict, None without such. twice: how many those are.
    """

    left_wins: float
    agreement: float | None
    twice: int


def position(verdicts: Verdicts) -> Position:
    """Position bias over all verdicts. A pair judged several times in one order counts with its mean verdict.

    >>> seen = verdicts(["a", "b", "a", "b"], ["b", "a", "b", "a"], ["left", "right", "left", "left"], [1, 1, 2, 2])
    >>> position(seen)
    Position(left_wins=0.75, agreement=0.5, twice=2)
    """
    first, second = np.minimum(verdicts.left, verdicts.right), np.maximum(verdicts.left, verdicts.right)
    score = np.where(verdicts.left == first, verdicts.score, 1 - verdicts.score)
    _, pair = np.unique(np.column_stack([verdicts.prompts, first, second]), axis=0, return_inverse=True)
    pair, swapped = pair.reshape(-1), verdicts.left != first
    straight, crossed = (np.bincount(pair[side], minlength=pair.max() + 1) for side in (~swapped, swapped))
    both = (straight > 0) & (crossed > 0)
    sums = [np.bincount(pair[side], weights=score[side], minlength=len(both)) for side in (~swapped, swapped)]
    same = np.sign(sums[0][both] / straight[both] - 0.5) == np.sign(sums[1][both] / crossed[both] - 0.5)
    return Position(float(verdicts.score.mean()), float(same.mean()) if both.any() else None, int(both.sum()))
