"""Tasks that a file declares: data, prompt, form of an answer, judge, columns and metric, without a line of Python.

What the file says is recorded with each batch, so that later steps need it no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchflow.records import Item, Json, Schema, strict
from batchflow.settings import Settings
from batchflow.tasks import choice, neutral, qa
from batchflow.tasks.base import Prompt, Source, Task, Template
from batchflow.tasks.datasets.columns import Mapped
from batchflow.tasks.prompts import neutral_prompts
from batchflow.texts import templates

FORMS: dict[str, Task] = {"text": qa, "choice": choice, "json": qa}
"""The forms of an answer, each with the task whose items it takes."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared task. FACTS: what its file says. path: of its data, which only the file itself tells."""

    NAME: str
    FIELDS: tuple[str, ...]
    ANSWER: Schema | None
    EXTRACT: tuple[str, ...]
    JUDGED_BY: str
    JUDGE_FACTS: Json
    METRIC: str
    BY: tuple[str, ...]
    CLUSTER: str | None
    FACTS: Json
    form: str
    format: str
    mapping: Mapped
    text: str | None
    path: Path | None = None
    SPLITS: tuple[str, ...] = (neutral.ALL,)
    MAX_HINTS: int = 0

    def source(self, settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG002 - the protocol's
        """The file that it names, or another one. Raises UsageError."""
        source = neutral.local(self.NAME, dataset or self.path, self.format)
        return replace(source, mapping=self.mapping)

    def items(self, source: Source, split: str) -> Iterator[Item]:
        """Stream the items of a split, in file order. Raises DataError with file, line and field."""
        return FORMS[self.form].items(replace(source, format=self.format), split)

    def template(self, split: str, path: Path | None) -> Template:
        """The user's template, the declared one, or the built-in one of the form. Raises UsageError."""
        if path is not None or self.text is None:
            form = FORMS[self.form]
            return neutral_prompts.template(form.NAME, path, ("question",)) if path else form.template(split, None)
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return neutral_prompts.checked(Template(f"{templates.DECLARED}{self.NAME}", self.text, digest), ())

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:
        """The question to a model. Raises UsageError for hints, and for a template that names an unknown column."""
        return neutral_prompts.prompt(item, hints, template)

    def hints_available(self, item: Item) -> int:
        """Zero."""
        return neutral_prompts.no_hints(item)

    def hint_places(self, item: Item) -> tuple[int, ...]:
        """No hint."""
        return neutral_prompts.no_places(item)

    def columns(self, item: Item) -> Mapping[str, Any]:
        """The row's own columns, as the form's task keeps them."""
        return FORMS[self.form].columns(item)

    def reference(self, item: Item) -> str:
        """The first reference; empty where the data set has none."""
        return neutral_prompts.reference(item)


def of_facts(facts: Json, path: Path | None = None) -> Declared:
    """The task that some facts declare: those of a file, or of a batch's spec."""
    form = FORMS[facts["form"]]
    return Declared(
        NAME=facts["name"],
        FIELDS=form.FIELDS,
        ANSWER=strict("answer", facts["fields"]) if facts["form"] == "json" else None,
        EXTRACT=tuple(facts.get("extract", form.EXTRACT)),
        JUDGED_BY=facts.get("judge", {}).get("judge_kind", form.JUDGED_BY),
        JUDGE_FACTS=facts.get("judge", {}).get("judge_facts", {}),
        METRIC=facts.get("metric", form.METRIC),
        BY=tuple(facts.get("by", ())),
        CLUSTER=facts.get("cluster"),
        FACTS=facts,
        form=facts["form"],
        format=facts.get("format", ""),
        mapping=tuple((field, column) for field, column in facts.get("columns", {}).items()),
        text=facts.get("prompt"),
        path=path,
    )
