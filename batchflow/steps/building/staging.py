"""Puts the items of a batch into stages by a seeded random order, and makes one stage after the other.

The order is that of a hash of seed and unit, so that it is the same on every machine, in every version, and for every
model that is asked the same items. Items of a cluster, and items that ask the same, are one unit and go together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchflow.errors import DataError, UsageError
from batchflow.ledger.records import BatchRecord
from batchflow.records import Image, Item, Kind, Params
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.estimating import noted
from batchflow.steps.base.progress.stages import STAGES, Stages
from batchflow.steps.building import subset as subsets
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Plan, grow
from batchflow.steps.building.local_options import Shaping
from batchflow.steps.building.sources import same_source, same_template
from batchflow.steps.building.subset import Subset
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Asked, Prompt, Source, Task, Template

FIRST = 50
"""Items of the first stage, where `--stage` does not say."""
GROWTH = 1.5
"""Factor between the items of two looks; as in `batchflow.score.sequential`, which is not imported for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """Plan of a batch sent in stages. first: items of the first one. cluster: column whose items go together.

    this_data_set: a run stops by bounds of the data set's own score, not by those of all such items.
    """

    seed: int = 0
    first: int = FIRST
    cluster: str | None = None
    this_data_set: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """The stage of each item, from 0, in the order of the data set. ends, units: items and units after each.

    largest: items of the largest unit.
    """

    of_item: Sequence[int]
    ends: tuple[int, ...]
    units: tuple[int, ...]
    largest: int

    def recorded(self, staging: Staging) -> dict[str, Any]:
        """The plan as the specification holds it."""
        own = {"units": list(self.units)} if staging.this_data_set else {}
        return {
            "seed": staging.seed, "first": staging.first, "growth": GROWTH, "cluster": staging.cluster,
            "ends": list(self.ends), "largest": self.largest, **own,
        }  # fmt: skip


def order(units: Sequence[str], staging: Staging) -> Order:
    """Put items into stages: whole units, in the order of their hashes. units: one label per item.

    >>> order(["a", "b", "c", "c"], Staging(first=1)).ends
    (2, 3, 4)
    >>> order(["a", "b", "c", "c"], Staging(first=1)).units
    (1, 2, 3)
    """
    sizes = Counter(units)
    ranked = sorted(sizes, key=lambda unit: _rank(staging.seed, unit))
    stage_of, ends, n_asked, goal = dict[str, int](), list[int](), 0, float(staging.first)
    counts = list[int]()
    for unit in ranked:
        if n_asked >= goal:
            ends.append(n_asked)
            counts.append(len(stage_of))
            goal = max(goal * GROWTH, n_asked + 1)
        stage_of[unit] = len(ends)
        n_asked += sizes[unit]
    largest = max(sizes.values(), default=1)
    return Order([stage_of[unit] for unit in units], (*ends, n_asked), (*counts, len(stage_of)), largest)


def _rank(seed: int, unit: str) -> bytes:
    return hashlib.blake2b(f"{seed} {unit}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def units_of(task: Task, items: Iterable[Item], hints: int, template: Template, cluster: str | None) -> list[str]:
    """One label per item: its value in the column `cluster`, else the first item that asks the same.

    Raises UsageError for a column that no item has.
    """
    if cluster is not None:
        values = [(item.id, task.columns(item)) for item in items]
        if values and not any(cluster in columns for _, columns in values):
            known = ", ".join(dict.fromkeys(name for _, columns in values for name in columns)) or "none"
            raise UsageError(f"--cluster {cluster}: there is no such column", hint=f"columns: {known}")
        return [
            f"item {own}" if columns.get(cluster) is None else f"{cluster} {columns[cluster]}"
            for own, columns in values
        ]
    first: dict[bytes, str] = {}
    return [first.setdefault(_digest(task.prompt(item, hints, template)), item.id) for item in items]


def _digest(prompt: Prompt) -> bytes:
    digest = hashlib.blake2b(prompt.system.encode("utf-8", "surrogatepass"), digest_size=16)
    for part in prompt.parts:
        text = f"{part.mime},{part.data}" if isinstance(part, Image) else part
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def items_of(task: Task, source: Source, split: str, limit: int | None, subset: Subset | None = None) -> Iterator[Item]:
    """The items of a data set, or those of a subset, the first `limit` of them."""
    rows = task.items(source, split)
    return islice(rows if subset is None else subset.of(rows), limit)


def of_stage(items: Iterable[Item], drawn: Order, number: int) -> Iterator[Item]:
    """The items of one stage, in the order of the data set."""
    return (item for item, stage in zip(items, drawn.of_item, strict=False) if stage == number)


def questions(
    task: Task, items: Iterable[Item | Asked], hints: int, template: Template, samples: int, counts: list[int]
) -> Iterator[Ask]:
    """Requests of a data set, counting the hints that items really have."""
    schema, new = task.ANSWER, tuple.__new__
    columns: Mapping[str, Any] | str
    for item in items:
        if not isinstance(item, Item) and samples == 1:  # nearly all of a large data set
            item_id, system, parts, columns, places = item
            for place in places:
                counts[place - 1] += 1
            yield new(
                Ask, (item_id, system, parts, schema, 0, columns, None, None, None, 0)
            )  # Ask() takes thrice as long
            continue
        shared = 0
        if isinstance(item, Item):
            places, prompt, columns = task.hint_places(item), task.prompt(item, hints, template), task.columns(item)
            item_id, (system, parts, shared) = item.id, prompt
        else:
            item_id, system, parts, columns, places = item
        for place in places:
            counts[place - 1] += 1
        for sample in range(samples):
            yield Ask(item_id, system, parts, schema, sample, columns, None, None, None, shared)


def next_stage(context: Context, batch: BatchRecord) -> None:
    """Make the next stage of a batch: its requests join those that are there. Nothing, where another process did.

    Raises DataError for a data set or template that was changed, or one that falls into other stages by now.
    """
    stages = Stages.of(batch)
    if stages is None or stages.is_last:
        return
    task, source = tasks.of_spec(batch.task, batch.spec), same_source(context, batch)
    template, limit, planned = same_template(task, batch), batch.spec.get("limit"), batch.spec[STAGES]
    staging = Staging(
        seed=planned["seed"], first=planned["first"], cluster=planned["cluster"],
        this_data_set="units" in planned,
    )  # fmt: skip
    subset = subsets.of_spec(batch.spec)
    items = items_of(task, source, batch.split, limit, subset)
    drawn = order(units_of(task, items, batch.hints, template, staging.cluster), staging)
    if drawn.recorded(staging) != planned:
        raise DataError(
            f"{batch.name}: its items now fall into other stages",
            hint="was batchflow or the task changed? Go on with the versions that it was begun with",
        )
    counts = [0] * task.MAX_HINTS
    chosen = of_stage(items_of(task, source, batch.split, limit, subset), drawn, stages.made)
    asks = questions(task, chosen, batch.hints, template, int(batch.spec.get("samples") or 1), counts)
    shaping = Shaping.of(batch.options)
    plan = Plan(
        name=batch.name, kind=Kind.PREDICTION, provider=batch.provider, model=batch.model, endpoint=batch.endpoint,
        task=batch.task, split=batch.split, hints=batch.hints, source=source, template=template,
        params=Params(**batch.params), can=context.settings.capabilities(batch.provider, batch.model),
        options={key: value for key, value in batch.options.items() if key != STAGES}, extra=batch.spec,
    )  # fmt: skip
    grown = grow(context, plan, batch, map(shaping.ask, asks), suffix=f"~stage-{stages.made + 1:02d}", counts=counts)
    if grown is not None:
        noted(context, grown)
