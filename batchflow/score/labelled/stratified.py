"""Labels of a stratified sample: each counts for the answers of its stratum, labelled or not.

A sample that takes answers by what the jury says of them finds the jury's errors with fewer labels than a plain one.
Taken for a plain one it is wrong, because rare verdicts are in it too often.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError, DataError
from batchflow.score.base import quantiles
from batchflow.score.base.arguments import FloatArray, numbers
from batchflow.score.base.clusters import CountArray
from batchflow.score.intervals import LEVEL, Interval
from batchflow.score.labelled.calibration import FEW_LABELS, Calibrated, selection_note
from batchflow.score.labelled.gold import Design

STRATIFIED = "stratified ppi++ adjusted"
PSEUDO = 4.0
"""Pseudo-labels of an adjusted interval, shared out among the strata."""

Places = npt.NDArray[np.intp]


def allocate(sizes: Sequence[int], n: int) -> list[int]:
    """Sample sizes of strata of these sizes, n in all: in proportion to the root of a stratum's size.

    Power allocation (Bankier 1988, The American Statistician 42): between shares by size, in which rare strata get next
    to nothing, and equal ones, which waste labels where most items are. Each stratum gets two, so that it has a
    variance, and none more than it holds. Raises ArgumentError below one for each stratum.

    >>> allocate([900, 80, 16, 4], 50)
    [34, 10, 4, 2]
    """
    if n < len(sizes):
        raise ArgumentError(f"{n} items cannot be drawn from {len(sizes)} strata")
    least = 2 if n >= 2 * len(sizes) else 1
    given = [min(least, size) for size in sizes]
    for _ in range(min(n, sum(sizes)) - sum(given)):  # the next one goes where the most is lacking by the root's share
        worth = [math.sqrt(size) / (own + 0.5) if own < size else 0.0 for size, own in zip(sizes, given, strict=True)]
        given[worth.index(max(worth))] += 1
    return given


def ppi_stratified(
    labels: FloatArray,
    everyone: FloatArray,
    known: Sequence[bool] | npt.NDArray[np.bool_],
    strata: Sequence[Hashable],
    *,
    drawn: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
    level: float = LEVEL,
) -> Calibrated:
    """PPI++ mean of a stratified sample (Fisch et al. 2024, arXiv 2406.04291) whose strata are a sample themselves.

    everyone: (N,) jury values of all items. known: (N,) which are labelled, a random subset of each stratum; labels:
    (n,) theirs, in order. strata: (N,) the stratum of each item. drawn: (N,) those that the sample took; None: all.
    score = λ · mean(everyone) + Σ W_h · mean_h(label - λ · judged), W_h the stratum's share of all items. Its variance
    is that of double sampling for stratification (Cochran 1977, Sampling Techniques, section 12.2): the labels' within
    strata, and that of the items themselves. The interval is adjusted, see `_within`.
    Raises DataError where a stratum has no label, ArgumentError for values outside 0..1 and for other lengths.
    """
    everyone, labels = numbers("everyone", everyone), numbers("labels", labels)
    mask = np.asarray(known, dtype=np.bool_)
    if len(mask) != len(everyone) or len(strata) != len(everyone) or int(mask.sum()) != len(labels):
        raise ArgumentError("everyone, known and strata have one value for each item, labels one for each known item")
    place_of, sizes = _placed(strata)
    place, judged = place_of[mask], everyone[mask]
    counts = np.bincount(place, minlength=len(sizes))
    if not counts.all():
        empty = int(np.flatnonzero(counts == 0)[0])
        name = strata[int(np.flatnonzero(place_of == empty)[0])]
        raise DataError(
            f"none of the {sizes[empty]:,} answers to which the jury gives {name} is labelled",
            hint="label the answers of the sheet that are still open",
        )
    share, left = sizes / sizes.sum(), 1 - counts / sizes
    weight = _weight(labels, judged, place, share**2 * left / counts)
    middle, variance = _within(labels, judged, weight, place, share, left, pseudo=0.0)
    base, n = weight * float(everyone.mean()), len(everyone)
    raw, error = base + middle, math.sqrt(variance + _of_items(labels, place, share, pseudo=0.0) / n)
    centre, variance = _within(labels, judged, weight, place, share, left, pseudo=PSEUDO)
    half = quantiles.normal(level) * math.sqrt(variance + _of_items(labels, place, share, pseudo=PSEUDO) / n)
    score = min(max(raw, 0.0), 1.0)
    interval = Interval(
        low=max(min(base + centre - half, score), 0.0),
        high=min(max(base + centre + half, score), 1.0),
        level=level,
        method=STRATIFIED,
        n=n,
        n_clusters=n,
        standard_error=error,
    )
    beside = np.zeros(n, np.bool_) if drawn is None else mask & ~np.asarray(drawn, dtype=np.bool_)
    return Calibrated(score, interval, len(labels), _notes(len(labels), len(sizes), weight, everyone, beside), weight)


def _notes(n: int, strata: int, weight: float, everyone: FloatArray, beside: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Notes on the labels. beside: labelled items that the sample did not take."""
    basis = f"stratified PPI++ on {n} gold labels of this model's own answers, weight of the jury {weight:.2f}"
    notes = [f"{basis}; each label counts for its stratum, of {strata} by the jury's verdict"]
    if beside.any():
        count = int(beside.sum())
        notes.append(f"{count} of the labels are of answers outside the sheet; they have to be a random choice")
        notes += selection_note(everyone[beside], everyone[~beside])
    if n < FEW_LABELS:
        notes.append(f"{n} labels are few: label more items")
    return tuple(notes)


def strata_of(design: Design, items: Sequence[str], values: FloatArray) -> list[str]:
    """(n_items,) strata by a design; an item that is in none takes that of the item with the nearest value.

    values: (n_items,) jury values. Raises ArgumentError where no item is in a stratum.
    """
    names = [design.strata.get(item, "") for item in items]
    inside = np.flatnonzero([bool(name) for name in names])
    if not len(inside):
        raise ArgumentError("design has a stratum for none of the items")
    for place in (place for place, name in enumerate(names) if not name):
        names[place] = names[int(inside[np.argmin(np.abs(values[inside] - values[place]))])]
    return names


def stratum_weights(known: npt.NDArray[np.bool_], strata: Sequence[Hashable]) -> FloatArray:
    """(N,) how many items each labelled item stands for; 0 for the others."""
    place, sizes = _placed(strata)
    counts = np.bincount(place[known], minlength=len(sizes))
    weights: FloatArray = np.where(known, (sizes / np.maximum(counts, 1))[place], 0.0)
    return weights


def _placed(strata: Sequence[Hashable]) -> tuple[Places, CountArray]:
    """(N,) the number of each item's stratum, and the sizes of the strata."""
    numbers_of: dict[Hashable, int] = {}
    place = np.array([numbers_of.setdefault(name, len(numbers_of)) for name in strata], dtype=np.intp)
    return place, np.bincount(place, minlength=len(numbers_of)).astype(np.int64)


def _means(values: FloatArray, place: Places, size: int) -> FloatArray:
    """(k,) means by stratum."""
    means: FloatArray = np.bincount(place, values, minlength=size) / np.bincount(place, minlength=size)
    return means


def _weight(labels: FloatArray, judged: FloatArray, place: Places, factor: FloatArray) -> float:
    """λ that makes the variance within strata least, drawn towards 1 as if two more labels of each stratum said so.

    Where a stratum is one value of the jury there is nothing to tune: every λ gives the same score.
    """
    k = len(factor)
    jury = judged - _means(judged, place, k)[place]
    human = labels - _means(labels, place, k)[place]
    spread = float(factor @ _means(jury**2, place, k))
    if spread <= 0:
        return 1.0
    best, n, more = float(factor @ _means(jury * human, place, k)) / spread, len(labels), 2 * k
    return min(max((n * best + more) / (n + more), 0.0), 1.0)


def _within(
    labels: FloatArray, judged: FloatArray, weight: float, place: Places, share: FloatArray, left: FloatArray, *,
    pseudo: float,
) -> tuple[float, float]:  # fmt: skip
    """Σ W_h · mean_h(label - λ · judged) and its variance, with pseudo-labels, half of them right.

    They are shared out among the strata in which an answer is left unlabelled, as Price and Bonett do for sums of
    proportions (2004, Computational Statistics and Data Analysis 45): where all labels of a stratum agree, its variance
    would be 0, and the interval far too narrow.
    """
    k, is_open = len(share), left > 0
    more = np.where(is_open, pseudo / max(int(is_open.sum()), 1), 0.0)
    jury, rectified = weight * _means(judged, place, k), labels - weight * judged
    total = np.bincount(place, minlength=k) + more
    first = (np.bincount(place, rectified, minlength=k) + more * (0.5 - jury)) / total
    square = (np.bincount(place, rectified**2, minlength=k) + more * (jury**2 + (1 - jury) ** 2) / 2) / total
    return float(share @ first), float((share**2 * left * np.maximum(square - first**2, 0.0) / total).sum())


def _of_items(labels: FloatArray, place: Places, share: FloatArray, *, pseudo: float) -> float:
    """Variance of the label among all items, by the labelled ones weighted for their strata."""
    k = len(share)
    more = pseudo / k
    total = np.bincount(place, minlength=k) + more
    first = (np.bincount(place, labels, minlength=k) + more / 2) / total
    square = (np.bincount(place, labels**2, minlength=k) + more / 2) / total
    return max(float(share @ square) - float(share @ first) ** 2, 0.0)
