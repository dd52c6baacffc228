"""Bounds of scores and differences that hold at every look, for batches that are sent in stages and stopped."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.judging.ballot import Ballot

if TYPE_CHECKING:
    from batchflow.score.paired import Scored
    from batchflow.score.sequential import Look
    from batchflow.score.summary import Summary

METHOD = "anytime"
"""The name of these intervals, beside `wilson` and the like."""

_CORRECTED = frozenset({"ppi", "layton"})


@dataclass(frozen=True, slots=True)
class Anytime:
    """The bounds of a mean, or of a difference, at each look so far; the last ones are those to report.

    looks: of the population from which the items come. own: of the data set itself, where a run stops by it.
    stages: how far the batch is, in one line.
    """

    looks: tuple[Look, ...]
    stages: str
    own: tuple[Look, ...] = ()

    @property
    def last(self) -> Look:
        """The look that stands."""
        return self.looks[-1]

    @property
    def deciding(self) -> Look:
        """The bounds by which a run stops: once all items are asked, those of the population alone tell anything."""
        return self.own[-1] if self.own and self.own[-1].low < self.own[-1].high else self.looks[-1]

    @property
    def own_text(self) -> str:
        """The bounds of the data set itself, for a note; empty without."""
        if not self.own:
            return ""
        last = self.own[-1]
        return f"; of this data set alone {100 * last.low:.1f} – {100 * last.high:.1f}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        last = self.last
        return {
            "low": last.low, "high": last.high, "level": last.level, "n": last.n, "stages": self.stages,
            "looks": [asdict(look) for look in self.looks],
            "data_set": [asdict(look) for look in self.own],
        }  # fmt: skip


def of_score(ballot: Ballot, stages: Stages, *, field: str, method: str, level: float) -> Anytime | None:
    """The bounds of a score; None where no item has a value."""
    from batchflow.score.sequential import sequence
    from batchflow.score.values import item_values

    item_means = item_values(ballot.votes(), field)
    values = item_means.majority if method == "majority" else item_means.mean
    kept = [index for index, is_judged in enumerate(item_means.judged.tolist()) if is_judged]
    stage_of = [bisect_right(stages.ends, ballot.places[index]) for index in kept]
    order, looks = _by_stage(stage_of)
    labels = ballot.units(stages.cluster)
    units = [labels[kept[at]] for at in order]
    bounds = partial(
        sequence, values[order], looks, level=level, clusters=units, largest=stages.largest, planned=stages.requests
    )
    return _anytime(bounds, stages, stages.text, stage_of, units)


def of_pair(
    a: Scored, b: Scored, stages: tuple[Stages, Stages], stage_of: Mapping[str, int], *, level: float
) -> Anytime | None:
    """The bounds of the difference on the items that both have; None where their stages are not the same.

    stage_of: the stage of each item, from 0. Items of a stage that only one of them has been asked are in neither.
    """
    from batchflow.score.sequential import differences

    if stages[0].planned != stages[1].planned or stages[0].seed != stages[1].seed:
        return None
    n_stages = min(each.made for each in stages)
    sides = [dict(zip(side.items, side.values.tolist(), strict=True)) for side in (a, b)]
    items = [item for item in a.items if item in sides[1] and stage_of.get(item, n_stages) < n_stages]
    if not items:
        return None
    order, looks = _by_stage([stage_of[item] for item in items])
    labels = dict(zip(a.items, a.clusters, strict=True)) if a.clusters is not None else {}
    names = [items[at] for at in order]
    units = [labels.get(name, f"item {name}") for name in names]
    bounds = partial(
        differences, [sides[0][name] for name in names], [sides[1][name] for name in names], looks, level=level,
        clusters=units, largest=max(each.largest for each in stages), planned=stages[0].planned[-1],
    )  # fmt: skip
    shorter = min(stages, key=lambda each: each.made)
    return _anytime(bounds, stages[0], shorter.text, [stage_of[item] for item in items], units)


def _anytime(
    bounds: Callable[..., tuple[Look, ...]],
    stages: Stages,
    text: str,
    stage_of: Sequence[int],
    units: Sequence[Hashable],
) -> Anytime | None:
    """The bounds of the population, and those of the data set itself if its units are known.

    stage_of: the stage of each value. units: the unit of each value, in the order of the stages.
    """
    looks = bounds()
    if not looks:
        return None
    counts = [stages.units[stage] for stage in sorted(set(stage_of))] if stages.units is not None else []
    if not counts or len(set(units)) > counts[-1] or stages.units is None:
        return Anytime(looks, text)
    return Anytime(looks, text, bounds(total=stages.units[-1], counts=counts))


def stages_of_items(ballot: Ballot, stages: Stages) -> dict[str, int]:
    """The stage of each item with an answer, or without one and wrong."""
    pairs = zip(ballot.item_of, ballot.places, strict=True)
    return {item: bisect_right(stages.ends, place) for item, place in pairs}


def _by_stage(stage_of: Sequence[int]) -> tuple[list[int], list[int]]:
    """The places of values in the order of their stages, and the numbers of values after each stage that has some."""
    order = sorted(range(len(stage_of)), key=stage_of.__getitem__)
    ends = [at for at, index in enumerate(order[1:], start=1) if stage_of[index] != stage_of[order[at - 1]]]
    return order, [*ends, len(order)] if order else []


def put_in(numbers: Summary, bounds: Anytime | None, *, ci: str) -> tuple[Summary, tuple[str, ...]]:
    """A score's numbers with the bounds that hold in place of an interval that does not, and notes on it.

    Another interval stays where it was asked for by name, or where labels or a metric make the score; the note says so.
    """
    from batchflow.score.intervals import Interval

    if bounds is None:
        return numbers, ()
    last = bounds.last
    wilson = f"{100 * numbers.wilson.low:.1f} – {100 * numbers.wilson.high:.1f}"
    looks = f"{len(bounds.looks)} look{'' if len(bounds.looks) == 1 else 's'}"
    if ci != "auto" or numbers.method in _CORRECTED or numbers.metric != "mean":
        text = f"sent in stages ({bounds.stages}): the interval shown is not valid under stopping, it holds at one look"
        return numbers, (text,)
    interval = Interval(
        last.low, last.high, last.level, METHOD, last.n, numbers.interval.n_clusters,
        standard_error=numbers.interval.standard_error,
    )  # fmt: skip
    text = (
        f"sent in stages ({bounds.stages}): the interval holds at every look ({looks}){bounds.own_text}; "
        f"Wilson's {wilson} is not valid under stopping"
    )
    groups = ("the intervals of groups hold at one look only",) if numbers.groups else ()
    return replace(numbers, interval=interval), (text, *groups)
