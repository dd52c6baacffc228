"""Texts shown to a judge of plain answers: the question, what the data set knows about it, the candidate's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchflow.records import Item, Json
from batchflow.texts import templates
from batchflow.texts.templates import Prompt, Template

NEEDED = ("question", "candidate_answer")


def template(builtin: Path, path: Path | None) -> Template:
    """The built-in judge template, or the user's own file, checked. Raises UsageError."""
    chosen = templates.read(builtin, path)
    templates.refuse_faulty(chosen, NEEDED)
    return chosen


def prompt(item: Item, answer: Json, template: Template, more: dict[str, Any] | None = None) -> Prompt:
    """The question to a judge. A line whose field is empty is left out: a row may lack options or a reference.

    more: further fields of the template, the same for every item. Raises UsageError for a template that names a field
    which no row has.
    """
    text = templates.shown(answer.get("answer"))
    several = len(item.references) > 1
    lettered = templates.lettered(item.options)
    values = {
        **item.fields,
        "question": item.question,
        "context": item.context,
        "options": None if lettered is None else f"\n{lettered}",
        "id": item.id,
        "reference": item.references[0] if item.references and not several else None,
        "references": "\n" + "\n".join(item.references) if several else None,
        "candidate_answer": templates.fenced(text, templates.fence(text)),
        **(more or {}),
    }
    return templates.question(item, template, values, frozenset(more or ()))
