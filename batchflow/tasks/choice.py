"""Task `choice`: a question of a user's own file with options; the answer is the letter of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.records import Item, Json, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.datasets.place import Place
from batchflow.tasks.prompts import neutral_prompts

NAME = "choice"
FIELDS = (*neutral.FIELDS, "options")
SPLITS = (neutral.ALL,)
MAX_HINTS = 0
ANSWER: Schema | None = None
EXTRACT: tuple[str, ...] = ("option_letter",)
JUDGED_BY = "correctness"
JUDGE_FACTS: Json = {}
METRIC = "mean"
BY: tuple[str, ...] = ()
CLUSTER: str | None = None

prompt = neutral_prompts.prompt
hints_available = neutral_prompts.no_hints
hint_places = neutral_prompts.no_places
reference = neutral_prompts.reference


def source(settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG001 - the protocol's signature
    """The user's own file. Raises UsageError."""
    return neutral.local(NAME, dataset)


def items(source: Source, split: str) -> Iterator[Item]:
    """Stream the items of a split, in file order. Raises DataError with file, line and field."""
    return neutral.items(source, split, ("question", "options"), _finished)


def template(split: str, path: Path | None) -> Template:  # noqa: ARG001 - the protocol's signature
    """The built-in or the user's template. Raises UsageError."""
    return neutral_prompts.template(NAME, path, ("question", "options"))


def columns(item: Item) -> Mapping[str, Any]:
    """The row's own columns, its context, and the options, by which extractors know the letters."""
    return {**neutral.ledger_columns(item), neutral.OPTIONS: files.dumps(item.options).decode()}


def _finished(item: Item, row: Mapping[str, Any], place: Place) -> Item:
    options = neutral.options(row, place)
    return item._replace(options=options, references=tuple(_letter(one, options, place) for one in item.references))


def _letter(reference: str, options: tuple[str, ...], place: Place) -> str:
    """The letter of a right option, which is told as letter or as the option's own text. A number is neither."""
    letters = neutral.LETTERS[: len(options)]
    text = reference.strip()
    same = [letter for letter, option in zip(letters, options, strict=True) if option.strip() == text]
    letter = text.strip("().").upper()
    named = [letter] if len(letter) == 1 and letter in letters else []
    meant = set(same) | set(named)
    if len(meant) != 1:
        why = "means two options" if meant else "is no option's letter and no option's text"
        raise place.error("reference", f"{text[:40]!r} {why}; write a letter, A to {letters[-1]}")
    return meant.pop()
