"""Components of a score's variance: items, samples of an item, judges; split by analysis of variance.

Votes of J judges on K samples of each of n items are a balanced design, samples nested in items, both crossed with
judges. The mean squares' expectations are those of Brennan (2001, Generalizability Theory, (s:i)×j); solved for the
components, as Searle, Casella and McCulloch (1992, ch. 4) do, with components below 0 set to 0. What one sample or one
judge cannot show is None.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from batchflow.errors import DataError
from batchflow.score.base.arguments import FloatArray, numbers, positive
from batchflow.score.base.clusters import CountArray
from batchflow.score.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class Components:
    """Variance of one vote in [0, 1], split.

    items: of the items' expected values. samples: of repeated answers to one item; None where each was answered once,
    it is within `items` then. judges: of the judges' means. disagreement: of what judges think of an item beyond that;
    both None with one judge. rest: of a judge on a sample. n_items, n_samples, n_judges: from which they were
    estimated; 0: assumed.
    """

    mean: float
    items: float
    samples: float | None
    judges: float | None
    disagreement: float | None
    rest: float
    n_items: int = 0
    n_samples: int = 0
    n_judges: int = 0
    alike: bool = False
    """All votes were the same, so `items` is what the next ones may show."""

    def of_item(self, samples: int, judges: int) -> float:
        """Variance of an item's value, the mean of `judges` votes on each of `samples` answers, for these judges."""
        repeated = (self.samples or 0.0) / samples
        return self.items + repeated + (self.disagreement or 0.0) / judges + self.rest / (samples * judges)

    def of_score(self, items: int, samples: int, judges: int, *, any_judges: bool = False) -> float:
        """Variance of a score. any_judges: as if the judges were a sample, too: their means add what no item shows."""
        own = (self.judges or 0.0) / judges if any_judges else 0.0
        return self.of_item(samples, judges) / items + own

    def half_width(self, items: int, samples: int, judges: int, *, level: float = LEVEL) -> float:
        """Half the width of the interval that a score will have."""
        return _z(level) * float(np.sqrt(self.of_score(items, samples, judges)))

    def scaled(self, factor: float) -> Components:
        """The components of votes that are so many times as large."""
        squared: dict[str, Any] = {
            name: None if value is None else value * factor**2 for name, value in self.parts.items()
        }
        return replace(self, mean=self.mean * factor, **squared)

    @property
    def parts(self) -> dict[str, float | None]:
        """The components by name."""
        names = ("items", "samples", "judges", "disagreement", "rest")
        return {name: getattr(self, name) for name in names}

    def difference(self, correlation: float) -> Components:
        """The components of the difference of two such models whose items correlate so; all else is independent."""
        return replace(
            self,
            mean=0.0,
            items=2 * self.items * (1 - correlation),
            samples=None if self.samples is None else 2 * self.samples,
            judges=None if self.judges is None else 0.0,
            disagreement=None if self.disagreement is None else 2 * self.disagreement,
            rest=2 * self.rest,
        )


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def components(votes: Any, item_of: Sequence[Hashable] | None = None) -> Components:
    """Split the variance of votes.

    votes: (n_judges, n_answers) in [0, 1], nan where there is none. item_of: whose answer each column is. Answers that
    lack a vote are left out, and of items with more answers than most as many as most have. Votes that are all alike
    are no proof of no variance: two right items and two wrong ones are added then, as Agresti and Coull (1998) do.
    Raises DataError below two items with a whole set of votes.

    >>> found = components([[1, 1, 0, 0], [1, 0, 0, 0]])
    >>> round(found.items, 4), round(found.disagreement or 0, 4), found.samples
    (0.1667, 0.125, None)
    """
    given = np.asarray(votes, dtype=np.float64)
    if given.ndim != 2:
        raise DataError("votes of judges on answers are a table of two dimensions")
    cube = _balanced(given, None if item_of is None else list(item_of))
    judges, items, samples = cube.shape
    solved = _solved(_mean_squares(cube), judges=judges, items=items, samples=samples)
    mean, alike = float(cube.mean()), bool((cube == cube.flat[0]).all())
    if alike:
        share = (mean * items + 2) / (items + 4)
        solved["items"] = share * (1 - share)
    return Components(mean=mean, n_items=items, n_samples=samples, n_judges=judges, alike=alike, **solved)


def _balanced(votes: FloatArray, labels: Sequence[Hashable] | None) -> FloatArray:
    """(judges, items, samples): the items that have as many whole answers as at least half of them.

    labels: whose answer each column is; None where each is an item of its own.
    """
    whole = np.flatnonzero(~np.isnan(votes).any(axis=0))
    kept = whole[:, None] if labels is None else _alike(whole, labels)
    if len(kept) < 2:
        raise DataError(f"{len(kept)} items have a vote of every judge: variance needs two", hint="a longer pilot")
    cube: FloatArray = votes[:, kept]
    numbers("votes", cube.reshape(-1))
    return cube


def _alike(columns: CountArray, labels: Sequence[Hashable]) -> CountArray:
    """(items, samples) the columns of the items that have as many of these as at least half of them."""
    of_item: dict[Hashable, list[int]] = {}
    for column in columns.tolist():
        of_item.setdefault(labels[column], []).append(column)
    counts = sorted(map(len, of_item.values()), reverse=True)
    most = counts[(len(counts) - 1) // 2] if counts else 0
    return np.array([own[:most] for own in of_item.values() if len(own) >= most])


def _mean_squares(cube: FloatArray) -> dict[str, float]:
    judges, items, samples = cube.shape
    grand, of_item, of_judge = cube.mean(), cube.mean(axis=(0, 2)), cube.mean(axis=(1, 2))
    of_sample, of_pair = cube.mean(axis=0), cube.mean(axis=2)
    squares = {"items": judges * samples * float(((of_item - grand) ** 2).sum()) / (items - 1)}
    if samples > 1:
        squares["samples"] = judges * float(((of_sample - of_item[:, None]) ** 2).sum()) / (items * (samples - 1))
    if judges > 1:
        squares["judges"] = items * samples * float(((of_judge - grand) ** 2).sum()) / (judges - 1)
        apart = of_pair - of_item - of_judge[:, None] + grand
        squares["pairs"] = samples * float((apart**2).sum()) / ((items - 1) * (judges - 1))
    if samples > 1 and judges > 1:
        left = cube - of_sample - of_pair[:, :, None] + of_item[:, None]
        squares["rest"] = float((left**2).sum()) / (items * (samples - 1) * (judges - 1))
    return squares


def _solved(squares: dict[str, float], *, judges: int, items: int, samples: int) -> dict[str, Any]:
    rest, pairs, repeats = squares.get("rest", 0.0), squares.get("pairs", 0.0), squares.get("samples", 0.0)
    within = pairs + repeats - rest if samples > 1 else pairs
    return {
        "items": max((squares["items"] - within) / (judges * samples), 0.0),
        "samples": max((repeats - rest) / judges, 0.0) if samples > 1 else None,
        "judges": max((squares["judges"] - pairs) / (items * samples), 0.0) if judges > 1 else None,
        "disagreement": max((pairs - rest) / samples, 0.0) if judges > 1 else None,
        "rest": rest,
    }


def assumed(
    mean: float, *, stability: float = 1.0, error: float = 0.0, shared: float = 0.5, leniency: float = 0.0
) -> Components:
    """Components of right/wrong answers that nobody has seen yet.

    mean: share of right answers. stability: correlation of two answers to one item. error: share of a judge's wrong
    votes; shared: the part of their variance that all judges have in common. leniency: standard deviation of judges'
    means.
    """
    for name, value in (("mean", mean), ("stability", stability), ("shared", shared)):
        if not 0 <= value <= 1:
            raise DataError(f"{name} is {value:g}, it has to lie in [0, 1]")
    if not 0 <= error < 0.5:
        raise DataError(f"error is {error:g}: a judge that errs on half of the answers tells nothing")
    positive("leniency", leniency, zero=True)
    spread, noise = mean * (1 - mean) * (1 - 2 * error) ** 2, error * (1 - error)
    return Components(
        mean=mean, items=stability * spread, samples=(1 - stability) * spread + shared * noise,
        judges=leniency**2, disagreement=0.0, rest=(1 - shared) * noise,
    )  # fmt: skip
