"""Tests of judges' biases: for models of their own house, for long answers, for the answer that stands first.

A judge's vote is held against a reference that its bias does not touch. Where there are labels enough, answers of one
label are compared with each other alone, so that a house with more right answers is no bias. Else the mean vote of the
other judges on the same answer is taken off, which assumes that all judges tell right from wrong about equally well.
What is left of the vote is regressed on what may sway it.

    own house   points that the judge gives answers of its own house more than answers of others
    length      points more for each doubling of the answer's length, within each model
    position    points by which the answer on the left wins more often than not, over pairs judged in both orders

Errors are clustered on the item (the prompt), with Student's t on the clusters less one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError
from batchflow.score.base import quantiles
from batchflow.score.base.arguments import FloatArray, numbers
from batchflow.score.base.clusters import Labels, codes
from batchflow.score.base.significance import holm, t_test
from batchflow.score.intervals import LEVEL
from batchflow.score.pairwise.ranking import Verdicts
from batchflow.score.values import Votes

ENOUGH = 20  # labelled answers on each side, from which labels are the reference
FEWEST = 2  # clusters
LABELS, OTHERS, ORDERS = "labels", "other judges", "both orders"
METHOD = "least squares, errors clustered on the item, Student's t"


@dataclass(frozen=True, slots=True)
class Bias:
    """Size of one judge's bias, as a share of the scale, with its interval. kind: own house, length or position.

    reference: what its votes are held against. n: answers (pairs, of a position); n_clusters: items (prompts) that they
    are about. p_holm: corrected for all judges that were tested for this kind of bias.
    """

    kind: str
    judge: str
    size: float
    low: float
    high: float
    p: float
    p_holm: float
    n: int
    n_clusters: int
    reference: str
    method: str = METHOD


@dataclass(frozen=True, slots=True, eq=False)
class JudgedAnswers:
    """One model's answers with the votes on them, all (n,) and nan where there is none.

    houses: the houses that the model may be of. items: what each answer is an answer to. votes: by judge.
    lengths: of the answers, in characters. labels: what people say.
    """

    model: str
    houses: frozenset[str]
    items: tuple[str, ...]
    votes: Mapping[str, FloatArray]
    lengths: FloatArray
    labels: FloatArray

    def __post_init__(self) -> None:
        for name, values in {"lengths": self.lengths, "labels": self.labels, **self.votes}.items():
            if values.shape != (len(self.items),):
                raise ArgumentError(f"{self.model}: {name} has shape {values.shape} for {len(self.items)} answers")
        for name, values in {"labels": self.labels, **self.votes}.items():
            numbers(name, values[~np.isnan(values)])


def judged_answers(
    votes: Votes,
    field: str,
    *,
    houses: frozenset[str],
    item_of: Sequence[str],
    lengths: Sequence[float | None],
    labels: Mapping[str, float],
) -> JudgedAnswers:
    """One model's answers from its votes. labels: by item of `votes.items`. lengths: one per item, None if unknown."""
    cast = np.asarray(votes.of(field), dtype=np.float64)
    return JudgedAnswers(
        votes.model,
        houses,
        tuple(item_of),
        {judge: np.where(row >= 0, row, np.nan) for judge, row in zip(votes.judges, cast, strict=True)},
        np.array([math.nan if each is None else each for each in lengths], dtype=np.float64),
        np.array([labels.get(item, math.nan) for item in votes.items], dtype=np.float64),
    )


def slope(
    y: FloatArray, x: FloatArray, clusters: Labels, *, level: float = LEVEL
) -> tuple[float, float, float, float, int] | None:
    """Least-squares slope of y on x with an intercept: slope, bounds, p, and the number of clusters.

    The error is the sandwich over clusters, times C/(C-1); None where x does not vary or there is one cluster.

    >>> found = slope(np.array([0.0, 1.0, 0.0, 2.0]), np.array([0.0, 1.0, 0.0, 1.0]), [1, 2, 3, 4])
    >>> f"{found[0]:.2f} [{found[1]:.2f}, {found[2]:.2f}] {found[4]}"
    '1.50 [0.20, 2.80] 4'
    """
    apart = x - x.mean()
    square, of = float((apart**2).sum()), codes(clusters, len(x))
    count = int(of.max()) + 1 if len(of) else 0
    if square <= 0 or count < FEWEST:
        return None
    estimate = float((apart * y).sum()) / square
    rest = y - y.mean() - estimate * apart
    sums = np.bincount(of, weights=apart * rest)
    variance = float((sums**2).sum()) * count / (count - 1) / square**2
    half = quantiles.student(level, count - 1) * math.sqrt(variance)
    return estimate, estimate - half, estimate + half, t_test(estimate, variance, count - 1), count


def judge_biases(
    models: Sequence[JudgedAnswers], houses: Mapping[str, frozenset[str]], *, level: float = LEVEL
) -> tuple[Bias, ...]:
    """Own-house and length bias of each judge, as far as the answers let them be seen.

    houses: those that each judge may be of; judges that are not named are no models, and are not tested. Own house
    needs answers of a model of the judge's house and of another one.
    """
    biases: list[Bias] = []
    for judge, own in houses.items():
        parts = [model for model in models if judge in model.votes]
        sides = [np.full(len(part.items), float(bool(own & part.houses))) for part in parts]
        if own:
            biases += _tested("own house", judge, parts, sides, level, within=False)
        sized = [np.log2(np.maximum(part.lengths, 1.0)) for part in parts]
        biases += _tested("length", judge, parts, sized, level, within=True)
    return corrected(biases)


def position_bias(verdicts: Verdicts, judge: str = "", *, level: float = LEVEL) -> Bias | None:
    """By how much the left answer wins more often than half, over the pairs that were judged in both orders.

    In such a pair both models stand left once, so that their strengths cancel. None with fewer than two prompts of such
    pairs.
    """
    first, second = np.minimum(verdicts.left, verdicts.right), np.maximum(verdicts.left, verdicts.right)
    keys = np.column_stack([verdicts.prompts, first, second])
    pairs, place = np.unique(keys, axis=0, return_inverse=True)
    place, straight = place.reshape(-1), verdicts.left == first
    sums = [
        np.bincount(place[side], weights=verdicts.score[side], minlength=len(pairs)) for side in (straight, ~straight)
    ]
    times = [np.bincount(place[side], minlength=len(pairs)) for side in (straight, ~straight)]
    both = (times[0] > 0) & (times[1] > 0)
    prompts = pairs[both, 0]
    if len(np.unique(prompts)) < FEWEST:
        return None
    shift = (sums[0][both] / times[0][both] + sums[1][both] / times[1][both]) / 2 - 0.5
    mean, of = float(shift.mean()), codes(prompts, len(shift))
    count = int(of.max()) + 1
    gathered = np.bincount(of, weights=shift - mean)
    variance = float((gathered**2).sum()) * count / (count - 1) / len(shift) ** 2
    half = quantiles.student(level, count - 1) * math.sqrt(variance)
    p = t_test(mean, variance, count - 1)
    method = "mean, errors clustered on the prompt, Student's t"
    return Bias("position", judge, mean, mean - half, mean + half, p, p, len(shift), count, ORDERS, method)


def corrected(biases: Sequence[Bias]) -> tuple[Bias, ...]:
    """The biases with Holm's correction over the judges that were tested for the same kind."""
    by_kind: dict[str, list[Bias]] = {}
    for each in biases:
        by_kind.setdefault(each.kind, []).append(each)
    return tuple(
        replace(each, p_holm=p)
        for group in by_kind.values()
        for each, p in zip(group, holm([e.p for e in group]), strict=True)
    )


def _tested(
    kind: str, judge: str, parts: Sequence[JudgedAnswers], sway: Sequence[FloatArray], level: float, *, within: bool
) -> list[Bias]:
    """The test with labels as the reference where there are enough on both sides, else with the other judges."""
    for reference in (LABELS, OTHERS):
        rest = [_rest(judge, part, reference) for part in parts]
        known = [~np.isnan(y) & ~np.isnan(x) for y, x in zip(rest, sway, strict=True)]
        y, x = _joined(rest, known, within=within), _joined(sway, known, within=within)
        pairs = ((part.items, kept) for part, kept in zip(parts, known, strict=True))
        items = [item for of_part, kept in pairs for item, keep in zip(of_part, kept.tolist(), strict=True) if keep]
        if not len(x):
            continue
        if reference == LABELS:
            if min(int((x > x.mean()).sum()), int((x <= x.mean()).sum())) < ENOUGH:
                continue
            strata = _joined([part.labels for part in parts], known, within=False)
            y, x = _within(y, strata), _within(x, strata)
        if (fit := slope(y, x, items, level=level)) is not None:
            size, low, high, p, count = fit
            return [Bias(kind, judge, size, low, high, p, p, len(x), count, reference)]
    return []


def _within(values: FloatArray, strata: FloatArray) -> FloatArray:
    """The values about the mean of their stratum."""
    _, place = np.unique(strata, return_inverse=True)
    centred: FloatArray = values - (np.bincount(place, weights=values) / np.bincount(place))[place]
    return centred


def _rest(judge: str, part: JudgedAnswers, reference: str) -> FloatArray:
    """(n,) the judge's vote, less the others' where these are the reference; nan where one of them is missing."""
    if reference == LABELS:
        against = np.where(np.isnan(part.labels), np.nan, 0.0)
    else:
        others = np.array([votes for name, votes in part.votes.items() if name != judge])
        known = (~np.isnan(others)).sum(axis=0) if len(others) else np.zeros(len(part.items))
        total = np.nansum(others, axis=0) if len(others) else np.zeros(len(part.items))
        against = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    rest: FloatArray = part.votes[judge] - against
    return rest


def _joined(values: Sequence[FloatArray], known: Sequence[npt.NDArray[np.bool_]], *, within: bool) -> FloatArray:
    """The known values of all models; within: each model's about its own mean."""
    kept = [each[mask] for each, mask in zip(values, known, strict=True)]
    if within:
        kept = [each - each.mean() if len(each) else each for each in kept]
    return np.concatenate(kept) if kept else np.zeros(0)
