"""The difference of two models by Dawid and Skene's method: both juries' votes are fitted anew in every resample."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError
from batchflow.score.base import draws, quantiles
from batchflow.score.base.arguments import FloatArray
from batchflow.score.base.clusters import codes
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, few_draws
from batchflow.score.latent.fit import CLOSE, CLOSE_DRAWN, STEPS, Patterns, by_share, refuse_few
from batchflow.score.paired import (
    POWER,
    RARE,
    Comparison,
    Comparisons,
    Scored,
    compare,
    explained_by,
    mirrored,
    reach,
    refuse_alike,
    together,
)
from batchflow.score.values import MISSING, Votes

METHOD = "refitted percentile"


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One model's votes with their fit. scored: the chance that its answers to an item are right, by item.

    patterns: (n_judges, k) distinct columns of votes. items, kinds: (n_answers,) place in `scored.items`, and pattern,
    of each answer; the pattern is k for an answer that counts as wrong for want of one.
    """

    scored: Scored
    patterns: npt.NDArray[np.int8]
    items: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]


def fitted(
    name: str,
    votes: Votes,
    *,
    field: str | None = None,
    item_of: Sequence[str] | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Fitted:
    """Dawid and Skene's fit of one model's votes; arguments as of `paired.scored`. Raises DataError below three judges.

    >>> from batchflow.score.riddle import votes_from
    >>> right = [[True, True, False, False], [True, False, False, False], [True, True, False, True]]
    >>> fit = fitted("m", votes_from(["a", "b", "c"], ["1", "2", "3", "4"], right, right))
    >>> [f"{value:.2f}" for value in fit.scored.values]
    ['0.99', '0.81', '0.01', '0.19']
    """
    cast = votes.of(field or next(iter(votes.cast)))
    refuse_few(cast)
    owners = list(item_of or votes.items)
    if len(owners) != len(votes.items) or (clusters is not None and len(clusters) != len(owners)):
        raise DataError(f"{name}: there has to be one item and one cluster for each of {len(votes.items)} answers")
    answered = (cast >= 0).any(axis=0) & ~votes.counts_as_wrong
    patterns, place = np.unique(np.maximum(cast[:, answered], MISSING), axis=1, return_inverse=True)
    kinds = np.full(len(owners), patterns.shape[1], dtype=np.int64)
    kinds[answered] = place.reshape(-1)
    kept = np.flatnonzero(answered | votes.counts_as_wrong).tolist()
    of_name = {item: at for at, item in enumerate(dict.fromkeys(owners[row] for row in kept))}
    items = np.array([of_name[owners[row]] for row in kept], dtype=np.int64)
    labels = {owners[row]: clusters[row] for row in reversed(kept)} if clusters is not None else None
    units = tuple(labels[item] for item in of_name) if labels and len(set(labels.values())) < len(labels) else None
    side = Fitted(Scored(name, tuple(of_name), np.zeros(len(of_name)), units), patterns, items, kinds[kept])
    chance = _fit(side, np.bincount(side.kinds, minlength=patterns.shape[1] + 1)[None, :-1].astype(np.float64))[0]
    values = np.append(chance, 0.0)[side.kinds]
    means = np.bincount(items, weights=values) / np.bincount(items)
    return replace(side, scored=replace(side.scored, values=np.clip(means, 0.0, 1.0)))


def _fit(side: Fitted, times: FloatArray, start: FloatArray | None = None) -> FloatArray:
    """(r, k) chance that an answer of each pattern is right, in r data sets."""
    begin = by_share(side.patterns) if start is None else start
    close = CLOSE if start is None else CLOSE_DRAWN
    fit = Patterns(side.patterns).fitted(times, np.broadcast_to(begin, times.shape).copy(), STEPS, close)
    return fit.chance


def compare_fitted(
    models: Sequence[Fitted],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    power: float = POWER,
) -> Comparisons:
    """Every pair of models by Dawid and Skene's method, as `paired.compare_all`. Raises UsageError below two models.

    Interval and p of a difference are those of one percentile bootstrap over items (or clusters), in which both juries'
    votes are fitted anew. Where fewer than ten items differ by half or more, they are at least as cautious as Agresti
    and Min's.
    """
    sides = [model.scored for model in models]
    refuse_alike(sides)
    pairs = [_compare(a, b, level, resamples, seed, power) for a, b in combinations(models, 2)]
    return together(sides, pairs, level)


def _compare(a: Fitted, b: Fitted, level: float, resamples: int, seed: int, power: float) -> Comparison:
    if a.scored.name > b.scored.name:
        return mirrored(_compare(b, a, level, resamples, seed, power))
    plain = compare(a.scored, b.scored, level=level, resamples=1, seed=seed, power=power)
    common = sorted(set(a.scored.items) & set(b.scored.items))
    labels = a.scored if a.scored.clusters is not None else b.scored
    units = np.arange(len(common))
    if labels.clusters is not None:
        own = dict(zip(labels.items, labels.clusters, strict=True))
        units = codes([own[item] for item in common], len(common))
    tables = [_table(side, common, units) for side in (a, b)]
    sizes = np.bincount(units).astype(np.float64)
    starts = [_fit(side, fit.sum(axis=0, keepdims=True)) for side, (fit, _) in zip((a, b), tables, strict=True)]
    means = [float((chance[0] * weighed.sum(axis=0)).sum()) / len(common)
             for chance, (_, weighed) in zip(starts, tables, strict=True)]  # fmt: skip
    gaps = _resampled((a, b), tables, starts, sizes, resamples, draws.generator(seed))
    left_out, difference = quantiles.tail(level), means[0] - means[1]
    low, high = np.quantile(gaps, [left_out, 1 - left_out]).tolist()
    tail = min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))
    p, error, note = min(2 * (tail + 1) / (resamples + 1), 1.0), float(gaps.std()), ""
    rounded = [replace(side.scored, values=np.round(side.scored.values)) for side in (a, b)]
    rough = compare(rounded[0], rounded[1], level=level, resamples=1)
    differing = _differing(rounded, common)
    if differing < RARE:
        low, high, p = min(low, rough.interval.low), max(high, rough.interval.high), max(p, rough.p)
        note = (
            f"as wide as Agresti–Min's at least, because the models differ on only {differing} of {len(common)} items"
        )
    interval = replace(
        plain.percentile, low=min(low, difference), high=max(high, difference), method=METHOD, resamples=resamples,
        standard_error=error, note=note,
    )  # fmt: skip
    interval = replace(interval, note="; ".join(filter(None, (note, few_draws(interval)))))
    return replace(
        plain, mean_a=means[0], mean_b=means[1], difference=difference, interval=interval, percentile=interval,
        standard_error=error, p=p, p_holm=p, mcnemar=None, detectable=reach(level, power) * error if error else None,
        explained_by=explained_by(difference, *means),
    )  # fmt: skip


def _differing(sides: Sequence[Scored], common: Sequence[str]) -> int:
    """Common items on which the two differ."""
    one, two = (dict(zip(side.items, side.values.tolist(), strict=True)) for side in sides)
    return sum(one[item] != two[item] for item in common)


def _table(side: Fitted, common: Sequence[str], units: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """(units, k) answers of each pattern by unit: their number, and their weight in the mean over items."""
    at = dict(zip(common, units.tolist(), strict=True))
    unit_of = np.array([at.get(item, -1) for item in side.scored.items], dtype=np.int64)[side.items]
    weights = (1 / np.bincount(side.items))[side.items]
    kept = (unit_of >= 0) & (side.kinds < side.patterns.shape[1])
    shape = (int(units.max()) + 1, side.patterns.shape[1])
    counts, weighed = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, (unit_of[kept], side.kinds[kept]), 1.0)
    np.add.at(weighed, (unit_of[kept], side.kinds[kept]), weights[kept])
    return counts, weighed


def _resampled(
    sides: tuple[Fitted, Fitted],
    tables: Sequence[tuple[FloatArray, FloatArray]],
    starts: Sequence[FloatArray],
    sizes: FloatArray,
    resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    """(resamples,) differences over drawn units, every draw fitted anew."""
    draws.refuse_number(resamples)
    rows = np.hstack([sizes[:, None], *(part for table in tables for part in table)])
    kinds, often = np.unique(rows, axis=0, return_counts=True)
    cuts = np.cumsum([1, *(part.shape[1] for table in tables for part in table)])
    step, gaps = max(1, draws.CELLS // max(len(kinds), rows.shape[1])), list[FloatArray]()
    for start in range(0, resamples, step):
        drawn = rng.multinomial(int(often.sum()), often / often.sum(), min(step, resamples - start)) @ kinds
        n_items, *parts = np.split(drawn, cuts, axis=1)[:5]
        shares = [
            (_fit(side, parts[2 * at], starts[at]) * parts[2 * at + 1]).sum(axis=1) / n_items[:, 0]
            for at, side in enumerate(sides)
        ]
        gaps.append(shares[0] - shares[1])
    return np.concatenate(gaps)
