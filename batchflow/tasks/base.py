"""The protocol of a task: its items, its prompts, the form of an answer, and the judge kind that suits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from batchflow.records import Item, Json, Part, Schema
from batchflow.settings import Settings
from batchflow.texts.templates import Prompt, Template

__all__ = ("Prompt", "Source", "Task", "Template")


@dataclass(frozen=True, slots=True)
class Source:
    """Source of a data set, recorded in the ledger. sha256 is of the file's bytes.

    mapping: (field of the task, column of the file) of each pair that `--map` names. format: the ending that the file's
    name should have; empty where it has it.
    """

    location: str  # builtin:riddles, hub:owner/name@revision/file, or a path
    path: Path
    sha256: str
    mapping: tuple[tuple[str, str], ...] = ()
    format: str = ""


Asked = tuple[str, str, tuple[Part, ...], str, tuple[int, ...]]
"""A question about an item: its id, system text and parts, its columns as JSON text, the places of its hints."""

Known = tuple[str, str, tuple[str, ...]]
"""An item's id, its question and the right answers to it."""


class Task(Protocol):
    """A source of items with its prompts and schemas. A module or an instance satisfies it."""

    @property
    def NAME(self) -> str: ...
    @property
    def SPLITS(self) -> tuple[str, ...]: ...
    @property
    def MAX_HINTS(self) -> int: ...
    @property
    def FIELDS(self) -> tuple[str, ...]:
        """Fields of a row, by the names that `--map` takes."""

    @property
    def ANSWER(self) -> Schema | None:
        """Schema of an answer, justification before answer; None: plain text."""

    @property
    def EXTRACT(self) -> tuple[str, ...]:
        """The extractors between a plain text and the answer that is judged, unless `--extract` names others."""

    @property
    def JUDGED_BY(self) -> str:
        """The judge kind that suits the answers, unless `jury --kind` names another."""

    @property
    def JUDGE_FACTS(self) -> Json:
        """The criteria and the like of that kind, as its batches record them; empty for most kinds."""

    @property
    def METRIC(self) -> str:
        """The metric of the answers' values, unless `score --metric` names another."""

    @property
    def BY(self) -> tuple[str, ...]:
        """Columns that are scored apart, unless `score --by` names others."""

    @property
    def CLUSTER(self) -> str | None:
        """The column whose values are the units of observation, unless `--cluster` names another."""

    def source(self, settings: Settings, split: str, dataset: Path | None) -> Source:
        """Locate (and for a hub: download once, verify) the data. Raises DataError or UsageError."""

    def items(self, source: Source, split: str) -> Iterator[Item]:
        """Stream the items of a split. Raises DataError with file, line and field."""

    def template(self, split: str, path: Path | None) -> Template:
        """The built-in or the user's template of the question."""

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:
        """The question to a model; `hints` cumulative, empty ones skipped."""

    def hints_available(self, item: Item) -> int:
        """Number of hints that the item has."""

    def hint_places(self, item: Item) -> tuple[int, ...]:
        """Numbers of the hints that the item has, from 1; there may be gaps."""

    def columns(self, item: Item) -> Mapping[str, Any]:
        """Scalar columns that `score --by` may group by; kept in the ledger with each request."""

    def reference(self, item: Item) -> str:
        """The reference answer, for rules."""


@runtime_checkable
class QuickTask(Protocol):
    """A task that may know what is asked about a row without making an item of it; tasks need not."""

    def asked(self, source: Source, split: str, hints: int, template: Template) -> Iterator[Item | Asked]:
        """`items` of the split; in place of an item may stand what `prompt`, `columns` and `hint_places` say of it."""

    def known(self, source: Source, split: str) -> Iterator[Known]:
        """`known` of each of the `items` of a data set that was read before."""


def rows_asked(task: Task, source: Source, split: str, hints: int, template: Template) -> Iterator[Item | Asked]:
    """The items of a split, or what is asked about them where the task knows it sooner."""
    if isinstance(task, QuickTask):
        return task.asked(source, split, hints, template)
    return task.items(source, split)


def rows_known(task: Task, source: Source, split: str) -> Iterator[Known]:
    """The questions of a data set that was read before, and their right answers."""
    return task.known(source, split) if isinstance(task, QuickTask) else map(known, task.items(source, split))


def known(item: Item) -> Known:
    """Question of an item and the right answers to it."""
    return item.id, question_of(item), references_of(item)


def question_of(item: Item) -> str:
    """The question of an item as its data set words it, hints and instructions left out."""
    return item.question or str(item.fields.get("description") or "")


def references_of(item: Item) -> tuple[str, ...]:
    """The right answers to an item."""
    answer = item.fields.get("answer")
    return item.references or (() if answer is None else (str(answer),))
