"""Tasks of an arena: `arena` asks its questions, `battles` asks a reviewer which of two answers is better.

Questions are EvalScope's and FastChat's: JSON Lines with `question_id`, `text` or `turns`, and `category`
(github.com/modelscope/evalscope, v0.16.3, run_arena.py; github.com/lm-sys/FastChat, llm_judge). Battles are written by
`batchflow arena jury`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Item, Json, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.prompts import neutral_prompts
from batchflow.tasks.systems.own_words import OwnWords
from batchflow.texts.templates import Prompt

ReadRow = Callable[[Json, str], Item]
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Verbatim(OwnWords):
    """A task whose rows hold their own prompts. read: makes an item of a row, which stands at a place."""

    NAME: str
    read: ReadRow
    SPLITS: tuple[str, ...] = (neutral.ALL,)
    MAX_HINTS: int = 0
    FIELDS: tuple[str, ...] = ()
    ANSWER: Schema | None = None
    EXTRACT: tuple[str, ...] = ()
    JUDGED_BY: str = "rating"
    METRIC: str = "mean"
    BY: tuple[str, ...] = ()
    CLUSTER: str | None = None

    def source(self, settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG002 - the protocol's signature
        """The file that `--dataset` names. Raises UsageError."""
        return neutral.local(self.NAME, dataset)

    def items(self, source: Source, split: str) -> Iterator[Item]:  # noqa: ARG002 - the protocol's signature
        """The rows of the file. Raises DataError with file, line and field."""
        seen: dict[str, int] = {}
        for number, row in files.objects(source.path):
            item = self.read(row, f"{source.path}, line {number}")
            if item.id in seen:
                raise DataError(f"{source.path}, line {number}: {item.id!r} stands in line {seen[item.id]} already")
            seen[item.id] = number
            yield item
        if not seen:
            raise DataError(f"{source.path}: it holds no row")

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """The task's own words. Raises UsageError for a template of the user's."""
        if path is not None:
            raise UsageError(f"task {self.NAME} has its own words", hint="--task qa takes a template")
        return Template(f"builtin:{self.NAME}", self.NAME, files.digest(self.NAME.encode()))

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:  # noqa: ARG002 - the protocol's signature
        """The question of the row, and its system text. Raises UsageError for hints."""
        neutral_prompts.refuse_hints(hints)
        return Prompt(item.context or "", (item.question,))

    def columns(self, item: Item) -> Mapping[str, Any]:
        """The row's own columns."""
        return item.fields

    def reference(self, item: Item) -> str:  # noqa: ARG002 - the protocol's signature
        """Empty: nobody knows the one right answer."""
        return ""


class Asked(NamedTuple):
    """A question. id: as its file has it, a text or a number. turns: of the conversation; the first one is asked."""

    id: str | int
    text: str
    category: str
    turns: int = 1

    @property
    def key(self) -> str:
        """The id as a text, by which answers and reviews are matched."""
        return str(self.id)


def question_of(row: Json, where: str) -> Asked:
    """A question of EvalScope's form (text), or of FastChat's (turns). Raises DataError with place and field."""
    key, turns = row.get("question_id"), row.get("turns")
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise DataError(f"{where}, field question_id: {key!r:.60} is no id")
    if "text" in row or turns is None:
        field, texts = "text", [row.get("text")]
    else:
        field, texts = "turns", turns if isinstance(turns, list) and turns else [None]
    if not isinstance(texts[0], str) or not texts[0].strip():
        raise DataError(f"{where}, field {field}: a text is expected")
    return Asked(key, texts[0], str(row.get("category") or "general"), len(texts))


def _question(row: Json, where: str) -> Item:
    query = question_of(row, where)
    return Item(query.key, neutral.ALL, {"category": query.category}, question=f"Question: {query.text}\n\nAnswer:")


def _battle(row: Json, where: str) -> Item:
    for name in ("id", "prompt"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise DataError(f"{where}, field {name}: a text is expected", hint="batchflow arena jury writes battles")
    fields = {name: value for name, value in row.items() if name not in {"id", "prompt", SYSTEM}}
    return Item(row["id"], neutral.ALL, fields, question=row["prompt"], context=row.get(SYSTEM) or None)


QUESTIONS = Verbatim("arena", _question)
BATTLES = Verbatim("battles", _battle)
