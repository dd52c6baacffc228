"""Designs: how many items, samples, judges and labels a wished precision, or a difference to be found, takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from batchflow.errors import ArgumentError
from batchflow.score.base.arguments import numbers, positive
from batchflow.score.intervals import LEVEL
from batchflow.score.paired import POWER, sample_size
from batchflow.score.planning.components import Components


@dataclass(frozen=True, slots=True)
class Design:
    """A study. half_width: of its interval, or of the interval of its difference."""

    items: int
    samples: int
    judges: int
    half_width: float

    @property
    def answers(self) -> int:
        """Answers of one model."""
        return self.items * self.samples

    @property
    def votes(self) -> int:
        """Votes on the answers of one model."""
        return self.answers * self.judges


@dataclass(frozen=True, slots=True)
class Lever:
    """Effect of twice as much of one thing. half_width: with the choice of judges in it.

    gain: share of the variance that vanishes, for each share that it adds to the costs.
    """

    name: str
    half_width: float
    gain: float


def for_precision(parts: Components, half_width: float, samples: int, judges: int, *, level: float = LEVEL) -> Design:
    """The fewest items whose interval is at most so wide, with these samples and judges.

    >>> for_precision(Components(0.5, 0.25, None, None, None, 0.0), 0.05, 1, 1).items
    385
    """
    positive("half_width", half_width)
    z = NormalDist().inv_cdf((1 + level) / 2)
    items = max(math.ceil(parts.of_item(samples, judges) * (z / half_width) ** 2 - 1e-9), 2)
    return Design(items, samples, judges, parts.half_width(items, samples, judges, level=level))


def for_difference(
    parts: Components, difference: float, samples: int, judges: int, *, level: float = LEVEL, power: float = POWER
) -> Design:
    """The fewest items that show a true difference in `power` of repeats. parts: of the difference of two models.

    >>> for_difference(Components(0.0, 1 / 9, None, None, None, 0.0), 0.03, 1, 1).items
    969
    """
    items = max(sample_size(difference, parts.of_item(samples, judges), level=level, power=power), 2)
    return Design(items, samples, judges, parts.half_width(items, samples, judges, level=level))


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of a model's answers that bring its corrected score to a half width; None: no number of labels does.

    variance: of people's labels. correlation: of the jury's values with them.
    """

    count: int | None
    items: int
    variance: float
    correlation: float
    half_width: float


def for_labels(variance: float, correlation: float, items: int, half_width: float, *, level: float = LEVEL) -> Labels:
    """The fewest labels for a score that they correct (PPI++ with its best weight).

    The jury explains ρ² of the variance, so that of the score is s²(1 - ρ²) / labels + s²ρ² / items (Angelopoulos,
    Duchi and Zrnic 2023, of n ≪ N).

    >>> for_labels(0.21, 0.8, 10_000, 0.03).count
    343
    """
    positive("half_width", half_width)
    _check(variance, correlation, items)
    z = NormalDist().inv_cdf((1 + level) / 2)
    kept, explained = variance * (1 - correlation**2), variance * correlation**2
    room = (half_width / z) ** 2 - explained / items
    if room <= 0:
        return Labels(None, items, variance, correlation, z * math.sqrt(explained / items))
    count = max(math.ceil(kept / room - 1e-9), 2)
    return Labels(count, items, variance, correlation, z * math.sqrt(kept / count + explained / items))


def _check(variance: float, correlation: float, items: int) -> None:
    """Raise ArgumentError for what no labels have."""
    positive("variance", variance, zero=True)
    positive("items", items)
    if not -1 <= correlation <= 1:
        raise ArgumentError(f"correlation is {correlation:g}, it has to lie from -1 to 1")


def label_levers(
    variance: float, correlation: float, items: int, labels: int, *, level: float = LEVEL
) -> tuple[Lever, ...]:
    """Ways to narrow a score that labels correct: more labels, or more items that the jury judges; the best first.

    gain: share of the variance that vanishes with twice as many, whatever they cost.
    """
    _check(variance, correlation, items)
    positive("labels", labels)
    z = NormalDist().inv_cdf((1 + level) / 2)
    kept, explained = variance * (1 - correlation**2) / labels, variance * correlation**2 / items
    choices = [
        Lever(name, z * math.sqrt(after), 1 - after / (kept + explained) if kept + explained else 0.0)
        for name, after in (("labels", kept / 2 + explained), ("items", kept + explained / 2))
    ]
    return tuple(sorted(choices, key=lambda lever: -lever.gain))


def allocated(total: int, spreads: Sequence[float]) -> tuple[int, ...]:
    """Labels of each model, so that their difference is known best: in proportion to their spreads (Neyman 1934).

    spreads: standard deviation of what the jury leaves unexplained, s√(1 - ρ²), of each model.

    >>> allocated(100, [0.3, 0.1])
    (75, 25)
    """
    positive("total", total)
    numbers("spreads", list(spreads), high=math.inf)
    weight = sum(spreads)
    if not spreads or weight <= 0:
        even = total // max(len(spreads), 1)
        return tuple(even for _ in spreads)
    shares = [total * spread / weight for spread in spreads]
    counts = [math.floor(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda place: counts[place] - shares[place])
    for place in order[: total - sum(counts)]:
        counts[place] += 1
    return tuple(counts)


def levers(
    parts: Components, items: int, samples: int, judges: int, *, vote_share: float, level: float = LEVEL
) -> tuple[Lever, ...]:
    """Ways to narrow a score for its money, the best first: more items, more samples of each, or more judges.

    vote_share: the votes' part of the costs, in (0, 1]. Counted is the interval with the choice of judges in it, as if
    they were a sample of all judges.
    """
    now, z = parts.of_score(items, samples, judges, any_judges=True), NormalDist().inv_cdf((1 + level) / 2)
    changes = {
        "items": (2 * items, samples, judges), "samples": (items, 2 * samples, judges),
        "judges": (items, samples, 2 * judges),
    }  # fmt: skip
    choices = []
    for name, design in changes.items():
        if (name == "samples" and parts.samples is None) or (name == "judges" and parts.judges is None):
            continue
        after = parts.of_score(*design, any_judges=True)
        price = vote_share if name == "judges" else 1.0
        choices.append(Lever(name, z * math.sqrt(after), (1 - after / now) / price if now else 0.0))
    return tuple(sorted(choices, key=lambda lever: -lever.gain))
