"""Prompts of the tasks that ask anything: templates that may name any column of the user's own file."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import UsageError
from batchflow.records import Item, Json, Part
from batchflow.tasks.base import Prompt, Template
from batchflow.tasks.neutral import LETTERS
from batchflow.tasks.prompts import template as templates

PICTURE = "{picture}"
_HIDDEN = ("reference",)


def template(task: str, kind: str, path: Path | None, needed: tuple[str, ...]) -> Template:
    """The built-in answer template of a task, or the user's own file, checked.

    needed: fields that the user turn has to hold. Raises UsageError, also for a judge's template: there is none.
    """
    if kind != "answer":
        raise UsageError(
            f"task {task}: its answers are plain text, and no judge's question is known for these",
            hint="judge riddles (--task riddles), or read the answers in results/",
        )
    chosen = templates.read(f"answer_{task}.txt", path)
    layout = templates.layout(chosen)
    if not layout.system:
        raise UsageError(f"template {chosen.name}: there is no system text above {templates.SEPARATOR!r}")
    if lacking := [name for name in needed if name not in layout.fields]:
        raise UsageError(f"template {chosen.name}: the user turn has to hold {{{lacking[0]}}}")
    if leaking := [name for name in _HIDDEN if name in layout.fields]:
        raise UsageError(f"template {chosen.name}: {{{leaking[0]}}} would tell the model the answer")
    if any(PICTURE in line and line != PICTURE for line in layout.lines):
        raise UsageError(f"template {chosen.name}: {PICTURE} has to be alone on its line")
    return chosen


def prompt(item: Item, hints: int, template: Template) -> Prompt:
    """The question to a model; pictures stand where the template says, before all else where it does not.

    Raises UsageError for a template that names a column which the item does not have.
    """
    if hints:
        raise UsageError(f"--hints {hints}: this task has no hints")
    layout = templates.layout(template)
    values = {
        **item.fields,
        "question": item.question,
        "context": item.context,
        "options": lettered(item.options),
        "id": item.id,
    }
    parts: list[Part] = [] if PICTURE in layout.lines else list(item.pictures)
    for pieces in layout.pieces:
        if pieces == ("", "picture", ""):
            parts += item.pictures
            continue
        if unknown := [name for name in pieces[1::2] if name not in values]:
            raise UsageError(
                f"template {template.name}: item {item.id} has no field {{{unknown[0]}}}",
                hint=f"fields of this data set: {', '.join(values)}",
            )
        line = templates.filled(pieces, values)
        parts += [] if line is None else [line]
    return Prompt(layout.system, tuple(parts))


def lettered(options: tuple[str, ...]) -> str | None:
    """The options, one a line, each behind its letter; None without options."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)) or None


def judge_prompt(item: Item, answer: Json, template: Template) -> Prompt:  # noqa: ARG001 - the protocol's signature
    """No question: `template` has refused the judge's template before. Raises UsageError."""
    raise UsageError(f"template {template.name}: no judge's question is known for plain text answers")


def no_hints(item: Item) -> int:  # noqa: ARG001 - the protocol's signature
    """Zero."""
    return 0


def no_places(item: Item) -> tuple[int, ...]:  # noqa: ARG001 - the protocol's signature
    """No hint."""
    return ()


def reference(item: Item) -> str:
    """The first reference answer; empty where the data set has none, and then no rule applies."""
    return item.references[0] if item.references else ""
