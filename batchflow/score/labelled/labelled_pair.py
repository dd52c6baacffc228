"""The difference of two models with human labels of both: what the judges' errors leave of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from batchflow.errors import DataError
from batchflow.score.base import quantiles
from batchflow.score.base.arguments import FloatArray
from batchflow.score.base.significance import normal_p
from batchflow.score.intervals import LEVEL, Interval
from batchflow.score.labelled.calibration import ppi
from batchflow.score.labelled.gold import Design
from batchflow.score.labelled.stratified import STRATIFIED, ppi_stratified, strata_of
from batchflow.score.paired import Scored
from batchflow.score.values import Votes

FEWEST = 2


@dataclass(frozen=True, slots=True)
class JudgeErrors:
    """The errors of the jury, or of one judge, on one model's labelled answers. wrong_passed: the mean value of the
    `wrong` ones that people call wrong; right_failed: 1 minus that of the `right` ones. None without such answers.
    judge: empty for the jury together.
    """

    model: str
    wrong: int
    wrong_passed: float | None
    right: int
    right_failed: float | None
    judge: str = ""


@dataclass(frozen=True, slots=True)
class CorrectedDifference:
    """Model a minus model b, corrected by labels of both models' answers to the same items.

    uncorrected: by the votes alone. interval, p: PPI++ on the differences, adjusted (`calibration.ppi`). labels: items
    with a label of both.
    """

    a: str
    b: str
    difference: float
    uncorrected: float
    interval: Interval
    p: float
    labels: int
    weight: float
    errors: tuple[JudgeErrors, JudgeErrors]
    notes: tuple[str, ...]


def corrected_difference(
    a: Scored,
    b: Scored,
    labels_a: Mapping[str, float],
    labels_b: Mapping[str, float],
    *,
    level: float = LEVEL,
    design: Design | None = None,
    slope: float | None = None,
) -> CorrectedDifference:
    """PPI++ on the paired difference. labels_a, labels_b: human label by item, in [0, 1], of a random subset of items.

    design: how the items were drawn, if by the verdicts on one of the models. slope: of the labels' differences on the
    votes', as the votes lead to expect (`reliability.expected_slope_of_differences`).
    A jury that lets one model's wrong answers pass more often than another's makes a difference between equal models;
    two corrections, one a model, would not see that their errors go together. Raises DataError where fewer than two
    common items have a label of both.
    """
    place_a, place_b = ({item: row for row, item in enumerate(each.items)} for each in (a, b))
    common = sorted(place_a.keys() & place_b.keys())
    labelled_items = [item for item in common if item in labels_a and item in labels_b]
    rest = [item for item in common if not (item in labels_a and item in labels_b)]
    if len(labelled_items) < FEWEST:
        raise DataError(
            f"{len(labelled_items)} items have a label of both {a.name}'s and {b.name}'s answer",
            hint="label both models' answers to the same items, 100 of them chosen at random",
        )

    def judged(items: list[str]) -> FloatArray:
        return np.array([a.values[place_a[item]] - b.values[place_b[item]] for item in items], dtype=np.float64)

    human = np.array([labels_a[item] - labels_b[item] for item in labelled_items], dtype=np.float64)
    if design is not None and not design.drawn.isdisjoint(labelled_items):
        items = [*labelled_items, *rest]
        everyone, known = (judged(items) + 1) / 2, np.arange(len(items)) < len(labelled_items)
        strata, drawn = strata_of(design, items, everyone), [item in design.drawn for item in items]
        for row, item in enumerate(labelled_items):  # unanswered: nobody drew them, and what they are worth is known
            strata[row] = strata[row] if item in design.strata else "no answer"
        estimate = ppi_stratified((human + 1) / 2, everyone, known, strata, drawn=drawn, level=level)
    else:
        halves = [(each + 1) / 2 for each in (human, judged(labelled_items), judged(rest))]
        estimate = ppi(*halves, level=level, slope=slope, paired=True)
    low, high = 2 * estimate.interval.low - 1, 2 * estimate.interval.high - 1
    error = estimate.interval.standard_error
    interval = replace(estimate.interval, low=low, high=high, standard_error=None if error is None else 2 * error)
    middle, half = (low + high) / 2, (high - low) / 2
    return CorrectedDifference(
        a.name,
        b.name,
        2 * estimate.score - 1,
        float(judged(common).mean()),
        interval,
        normal_p(quantiles.normal(level) * middle / half),
        len(labelled_items),
        estimate.weight or 0.0,
        (_errors(a, labels_a), _errors(b, labels_b)),
        (
            *(note for note in estimate.footnotes if any(sign in note for sign in _SHARED)),
            *((_AS_DRAWN,) if estimate.interval.method == STRATIFIED else ()),
        ),
    )


_SHARED = ("chosen at random:", "too few", "outside the sheet", "its stratum")
"""Signs of the notes that are told of a pair as well."""

_AS_DRAWN = (
    "the judges' shares of errors are those of the labelled answers, in which rare verdicts are more than their share"
)


def judge_errors(name: str, votes: Votes, field: str, labels: Mapping[str, float]) -> tuple[JudgeErrors, ...]:
    """Each judge's errors on the labelled answers of one model; a vote that is missing is no error."""
    rows = zip(votes.judges, votes.of(field), strict=True)
    return tuple(
        replace(
            _told(
                name, [(labels[i], float(v)) for i, v in zip(votes.items, cast, strict=True) if v >= 0 and i in labels]
            ),
            judge=judge,
        )
        for judge, cast in rows
    )


def _errors(model: Scored, labels: Mapping[str, float]) -> JudgeErrors:
    values = zip(model.items, model.values.tolist(), strict=True)
    return _told(model.name, [(labels[item], value) for item, value in values if item in labels])


def _told(model: str, pairs: Sequence[tuple[float, float]]) -> JudgeErrors:
    """The errors in pairs of label and vote."""
    wrong = [value for label, value in pairs if label == 0]
    right = [value for label, value in pairs if label == 1]
    return JudgeErrors(
        model,
        len(wrong),
        float(np.mean(wrong)) if wrong else None,
        len(right),
        1 - float(np.mean(right)) if right else None,
    )
