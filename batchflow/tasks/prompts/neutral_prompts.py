"""Prompts of the tasks that ask anything: templates that may name any column of the user's own file."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import UsageError
from batchflow.records import Item
from batchflow.texts import templates
from batchflow.texts.templates import Prompt, Template

_TEMPLATES = Path(__file__).parents[1] / "templates"
_HIDDEN = ("reference",)


def template(task: str, path: Path | None, needed: tuple[str, ...]) -> Template:
    """The built-in answer template of a task, or the user's own file, checked.

    needed: fields that the user turn has to hold. Raises UsageError.
    """
    return checked(templates.read(_TEMPLATES / f"answer_{task}.txt", path), needed)


def checked(chosen: Template, needed: tuple[str, ...]) -> Template:
    """A template that asks without telling the answer. Raises UsageError."""
    layout = templates.refuse_faulty(chosen, needed)
    if leaking := [name for name in _HIDDEN if name in layout.fields]:
        raise UsageError(f"template {chosen.name}: {{{leaking[0]}}} would tell the model the answer")
    return chosen


def prompt(item: Item, hints: int, template: Template) -> Prompt:
    """The question to a model; pictures stand where the template says, before all else where it does not.

    Raises UsageError for a template that names a column which the item does not have.
    """
    refuse_hints(hints)
    values = {
        **item.fields,
        "question": item.question,
        "context": item.context,
        "options": templates.lettered(item.options),
        "id": item.id,
    }
    return templates.question(item, template, values)


def refuse_hints(hints: int) -> None:
    """Raise UsageError for any number of hints but 0."""
    if hints:
        raise UsageError(f"--hints {hints}: this task has no hints")


def no_hints(item: Item) -> int:  # noqa: ARG001 - the protocol's signature
    """Zero."""
    return 0


def no_places(item: Item) -> tuple[int, ...]:  # noqa: ARG001 - the protocol's signature
    """No hint."""
    return ()


def reference(item: Item) -> str:
    """The first reference answer; empty where the data set has none, and then no rule applies."""
    return item.references[0] if item.references else ""
