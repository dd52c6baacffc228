"""Scores that use gold labels: prediction-powered (own labels), and Rogan–Gladen (others' labels)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from batchflow.errors import DataError
from batchflow.score.base import quantiles
from batchflow.score.base.arguments import FloatArray, numbers, positive
from batchflow.score.base.clusters import TINY
from batchflow.score.base.significance import rank_sum
from batchflow.score.intervals import LEVEL, Interval
from batchflow.score.labelled.gold import Gold, jury_of
from batchflow.score.values import RIGHT, WRONG

FEW_LABELS = 30
SELECTED = 0.01  # p below which labelled items are told not to be a random subset
PPI = "ppi++ adjusted"
PSEUDO, PSEUDO_ALONE = 4, 2  # pseudo-labels of λ by the jury's standard deviation, with and without its reliability
ROOT, PLAIN = 0.5, 1.0  # powers of the slope: of a score, and of a difference


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A score corrected by gold labels. labels: how many were used. weight: λ of PPI++, else None.

    published, published_score: interval and point as the method's authors give them, where ours are others.
    """

    score: float
    interval: Interval
    labels: int
    footnotes: tuple[str, ...]
    weight: float | None = None
    published: Interval | None = None
    published_score: float | None = None


def ppi(
    labels: FloatArray,
    judged: FloatArray,
    unlabelled: FloatArray,
    *,
    level: float = LEVEL,
    slope: float | None = None,
    paired: bool = False,
) -> Calibrated:
    """PPI++ mean (Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453), its weight λ cross-fitted.

    labels, judged: (n,) human label and jury value of the labelled items, a random subset. unlabelled: (N,) jury values
    of the rest. slope: of labels on jury values, as the votes lead to expect (`reliability.expected_slope`).
    paired: the values are (difference + 1) / 2 of two models.
    score = mean(labels - λ_i · judged) + mean(λ_i) · mean(unlabelled), λ_i tuned without item i, see `_weights`.
    weight: their mean. interval: adjusted, see `_adjusted`. published, published_score: with the one λ of the paper's
    section 6 and its normal interval, as the package ppi-python gives them.
    Raises DataError below two labels, UsageError for a level outside (0, 1), ArgumentError for values outside 0..1.
    """
    labels = numbers("labels", labels)
    judged, unlabelled = numbers("judged", judged, size=len(labels)), numbers("unlabelled", unlabelled)
    n, rest = len(labels), len(unlabelled)
    if n < 2:
        raise DataError(f"{n} gold labels are too few", hint="label at least 30 items chosen at random")
    if slope is not None:
        numbers("slope", [slope])
    times, power = (PSEUDO_ALONE, PLAIN) if slope is None or paired else (PSEUDO, ROOT)
    weights = _weights(labels, judged, unlabelled, times, 1.0 if slope is None else slope**power)
    weight, rectified = float(weights.mean()), labels - weights * judged
    raw = float(rectified.mean()) + (weight * float(unlabelled.mean()) if rest else 0.0)
    variance = float(rectified.var()) / n + (weight**2 * float(unlabelled.var()) / rest if rest else 0.0)
    score = min(max(raw, 0.0), 1.0)
    low, high = _adjusted(rectified, weight, unlabelled, level)
    interval = Interval(
        low=max(min(low, score), 0.0),
        high=min(max(high, score), 1.0),
        level=level,
        method=PPI,
        n=n + rest,
        n_clusters=n + rest,
        standard_error=math.sqrt(variance),
    )
    basis = f"PPI++ on {n} gold labels of this model's own answers, weight of the jury {weight:.2f}"
    notes = [f"{basis}; it holds if the labelled items were chosen at random", *selection_note(judged, unlabelled)]
    if np.ptp(labels) == 0 and rest:
        notes.append(f"all {n} labels agree, so they do not show how often the jury errs")
    if n < FEW_LABELS:
        notes.append(f"{n} labels are few: label more items")
    point, published = _published(labels, judged, unlabelled, level)
    return Calibrated(score, interval, n, tuple(notes), weight, published, point)


def with_wrong(calibrated: Calibrated, wrong: int) -> Calibrated:
    """The corrected score of the answers, and `wrong` items without one, as the score of all of them.

    The share of items that are answered is itself a sample's: its error joins that of the corrected score (MOVER,
    Zou and Donner 2008).
    """
    if not wrong:
        return calibrated
    interval, n = calibrated.interval, calibrated.interval.n + wrong
    share, z = interval.n / n, quantiles.normal(interval.level)
    apart = z * z * calibrated.score**2 * share * (1 - share) / n
    low, high = (
        math.sqrt((share * (calibrated.score - bound)) ** 2 + apart) for bound in (interval.low, interval.high)
    )
    score = share * calibrated.score
    joined = replace(
        interval,
        low=max(score - low, 0.0),
        high=min(score + high, 1.0),
        n=n,
        n_clusters=n,
        standard_error=None if interval.standard_error is None else share * interval.standard_error,
    )
    return replace(calibrated, score=score, interval=joined, published=None, published_score=None)


def _published(labels: FloatArray, judged: FloatArray, unlabelled: FloatArray, level: float) -> tuple[float, Interval]:
    """Point and interval as in the paper."""
    n, rest = len(labels), len(unlabelled)
    weight = _power(labels, judged, unlabelled) if rest else 0.0
    rectified = labels - weight * judged
    raw = float(rectified.mean()) + (weight * float(unlabelled.mean()) if rest else 0.0)
    variance = float(rectified.var()) / n + (weight**2 * float(unlabelled.var()) / rest if rest else 0.0)
    half = quantiles.normal(level) * math.sqrt(variance)
    # the published bounds stand around what was estimated, before it is cut
    low, high = (min(max(bound, 0.0), 1.0) for bound in (raw - half, raw + half))
    interval = Interval(low, high, level, "ppi++", n + rest, n + rest, standard_error=math.sqrt(variance))
    return min(max(raw, 0.0), 1.0), interval


def _weights(
    labels: FloatArray, judged: FloatArray, unlabelled: FloatArray, times: float, agreeing: float
) -> FloatArray:
    """(n,) weight λ of the jury for each labelled item: (S_ly + A · P) / ((1 + n/N) · (S_yy + P)), of the others.

    S_ly, S_yy: sums of products of label and jury value, and of squares of jury values, about their means. P, `times`
    the standard deviation of the jury's values on all items, stands for labels of which the votes alone say how far (A,
    `agreeing`) the jury agrees with them: four times and √slope for a score, twice and slope for a difference; without
    the slope, twice, for labels with which it agrees. Labels that are all alike show no covariance, which is no sign
    that the jury is worth nothing; how much judges differ on an item is one. An item's own label does not enter its
    weight, or the score would be pulled towards the labels that happen to be there (`scripts/ppi_simulation` and
    `scripts/label_simulation` have the errors of these and of other rules).
    """
    n, rest = len(labels), len(unlabelled)
    if not rest:
        return np.zeros(n)
    label, jury, square, both = (each.sum() - each for each in (labels, judged, judged**2, labels * judged))
    mean = (jury + unlabelled.sum()) / (n - 1 + rest)
    spread = np.maximum((square + (unlabelled**2).sum()) / (n - 1 + rest) - mean**2, TINY)
    pseudo = times * np.sqrt(spread)
    above, below = both - label * jury / (n - 1) + agreeing * pseudo, square - jury**2 / (n - 1) + pseudo
    weights: FloatArray = np.clip(above / ((1 + n / rest) * below), 0.0, 1.0)
    return weights


def selection_note(judged: FloatArray, unlabelled: FloatArray) -> list[str]:
    """A note where the labelled items are no random subset, as the jury's values on them and on the rest tell."""
    if not len(unlabelled):
        return []
    p = rank_sum(judged, unlabelled)
    if p >= SELECTED:
        return []
    seen = f"the jury gives {100 * judged.mean():.1f} on them and {100 * unlabelled.mean():.1f} on the rest (p {p:.2g})"
    return [f"the labelled items do not look chosen at random: {seen}; a corrected score needs a random subset"]


def _adjusted(rectified: FloatArray, weight: float, unlabelled: FloatArray, level: float) -> tuple[float, float]:
    """The PPI++ interval after adding two pseudo-items to the labels and two to the rest.

    The published interval is Wald's: where no labelled answer shows an error of the jury, it takes the jury to be
    free of errors, and at 50 labels and a score of 98 % covers 62 instead of 95 of 100. The pseudo-labels are those
    of Agresti and Min 2005 for paired proportions, half an item in each cell of (label, jury value); the rest gets one
    right and one wrong. Coverage: docs/statistics.md.
    """
    labels_mean, labels_variance = _padded(rectified, np.array([0.0, 1.0, -weight, 1 - weight]), 0.5)
    rest_mean, rest_variance = _padded(unlabelled, np.array([0.0, 1.0]), 1.0) if len(unlabelled) else (0.0, 0.0)
    centre = labels_mean + weight * rest_mean
    half = quantiles.normal(level) * math.sqrt(labels_variance + weight**2 * rest_variance)
    return centre - half, centre + half


def _padded(values: FloatArray, pseudo: FloatArray, times: float) -> tuple[float, float]:
    """Mean of the values with each pseudo-value added `times` times, and the variance of that mean."""
    n = len(values) + times * len(pseudo)
    mean = float(values.sum() + times * pseudo.sum()) / n
    square = float((values**2).sum() + times * (pseudo**2).sum()) / n
    return mean, (square - mean**2) / n


def _power(labels: FloatArray, judged: FloatArray, unlabelled: FloatArray) -> float:
    """The paper's λ: cov(labels, judged) / ((1 + n/N) · var(all jury values)), cut to [0, 1].

    It is 0 where all labels are alike, so that the paper's score is then their mean, whatever the jury says.
    """
    n, rest = len(labels), len(unlabelled)
    spread = float(np.concatenate([judged, unlabelled]).var(ddof=1))
    if spread == 0:
        return 0.0
    together = float(((labels - labels.mean()) * (judged - judged.mean())).mean())
    return min(max(together / ((1 + n / rest) * spread), 0.0), 1.0)


def rogan_gladen(
    passed: float, n: int, *, specificity: float, wrong: int, sensitivity: float, right: int, level: float = LEVEL
) -> Calibrated:
    """The score that a jury of known sensitivity and specificity saw as `passed`.

    passed: share of n answers that the jury calls right. specificity: share of `wrong` wrong answers that it calls
    wrong; sensitivity: share of `right` right answers that it calls right. Point by Rogan and Gladen 1978; interval
    with the adjusted plug-in of Lee et al. 2025 (arXiv 2511.21140). Raises DataError where the jury does no better than
    chance or one kind of answer was never labelled.

    >>> found = rogan_gladen(0.4, 1000, specificity=0.7, wrong=200, sensitivity=0.9, right=200)
    >>> [round(x, 4) for x in (found.score, found.interval.low, found.interval.high)]
    [0.1667, 0.0564, 0.2627]
    """
    for name, share in (("passed", passed), ("specificity", specificity), ("sensitivity", sensitivity)):
        numbers(name, [share])
    for name, count in (("n", n), ("wrong", wrong), ("right", right)):
        positive(name, count, zero=name != "n")
    if not wrong or not right:
        raise DataError(
            f"the gold labels hold {right} right and {wrong} wrong answers: both kinds are needed",
            hint="label more answers",
        )
    if specificity + sensitivity <= 1:
        raise DataError(
            f"on the gold labels the jury is no better than chance (sensitivity {sensitivity:.2f}, "
            f"specificity {specificity:.2f}), so its votes give no score"
        )
    score = (passed + specificity - 1) / (specificity + sensitivity - 1)
    score = min(max(score, 0.0), 1.0)
    low, high, se = _plug_in(
        passed, n, specificity=specificity, wrong=wrong, sensitivity=sensitivity, right=right, z=quantiles.normal(level)
    )
    interval = Interval(
        low=min(max(low, 0.0), score),
        high=max(min(high, 1.0), score),
        level=level,
        method="rogan-gladen",
        n=n,
        n_clusters=n,
        standard_error=se,
    )
    note = (
        f"Rogan–Gladen on {right + wrong} gold labels of other models' answers: the majority of the jury has "
        f"sensitivity {sensitivity:.3f} and specificity {specificity:.3f} there, assumed here too"
    )
    return Calibrated(score, interval, right + wrong, (note,))


def _plug_in(
    passed: float, n: int, *, specificity: float, wrong: int, sensitivity: float, right: int, z: float
) -> tuple[float, float, float]:
    """Bounds and standard error after adding z² pseudo-answers to the test set and 2 to each calibration set."""
    p, q0, q1 = (
        (n * passed + z * z / 2) / (n + z * z),
        (wrong * specificity + 1) / (wrong + 2),
        (right * sensitivity + 1) / (right + 2),
    )
    vp, v0, v1 = p * (1 - p) / (n + z * z), q0 * (1 - q0) / (wrong + 2), q1 * (1 - q1) / (right + 2)
    slope = q0 + q1 - 1
    if slope <= 0:
        return 0.0, 1.0, math.inf
    centre = (p + q0 - 1) / slope
    se = math.sqrt(vp + (1 - centre) ** 2 * v0 + centre**2 * v1) / slope
    shift = 2 * z * z * (-(1 - centre) * v0 + centre * v1)
    return centre + shift - z * se, centre + shift + z * se, se


def from_others(majority: FloatArray, gold: Gold, field: str, *, provider: str, model: str, level: float) -> Calibrated:
    """Rogan–Gladen with the jury's majority on labelled answers of other models. Raises DataError without such."""
    right, valid = jury_of(gold, field)
    usable = gold.labelled(field) & ~gold.of_model(provider, model) & (valid > 0)
    right, valid, human = right[usable], valid[usable], gold.human[field][usable]
    if not len(human):
        raise DataError(
            f"the gold labels have no row on {field} that fits: neither of this model's items, nor of other models "
            "with their judges' votes",
            hint=f"labels need the custom_id and model of this batch, or columns such as {field}_<judge>",
        )
    verdict = (1 + np.sign(2 * right - valid)) / 2
    passes, fails = verdict[human == RIGHT], 1 - verdict[human == WRONG]
    return rogan_gladen(
        float(majority.mean()),
        len(majority),
        specificity=float(fails.mean()) if len(fails) else 0.0,
        wrong=len(fails),
        sensitivity=float(passes.mean()) if len(passes) else 0.0,
        right=len(passes),
        level=level,
    )
