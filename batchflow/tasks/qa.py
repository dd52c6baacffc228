"""Task `qa`: any question of a user's own file, with its context and pictures; the answer is plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batchflow.records import Item, Json, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.prompts import neutral_prompts

NAME = "qa"
FIELDS = neutral.FIELDS
SPLITS = (neutral.ALL,)
MAX_HINTS = 0
ANSWER: Schema | None = None
EXTRACT: tuple[str, ...] = ()
JUDGED_BY = "correctness"
JUDGE_FACTS: Json = {}
METRIC = "mean"
BY: tuple[str, ...] = ()
CLUSTER: str | None = None

prompt = neutral_prompts.prompt
hints_available = neutral_prompts.no_hints
hint_places = neutral_prompts.no_places
columns = neutral.ledger_columns
reference = neutral_prompts.reference


def source(settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG001 - the protocol's signature
    """The user's own file. Raises UsageError."""
    return neutral.local(NAME, dataset)


def items(source: Source, split: str) -> Iterator[Item]:
    """Stream the items of a split, in file order. Raises DataError with file, line and field."""
    return neutral.items(source, split)


def template(split: str, path: Path | None) -> Template:  # noqa: ARG001 - the protocol's signature
    """The built-in or the user's template. Raises UsageError."""
    return neutral_prompts.template(NAME, path, ("question",))
