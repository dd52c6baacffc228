"""Schemas, templates and prompts that both riddle tasks share.

A line of a template names fields of a riddle (`First hint: {first_hint}`), or `{image}` alone for the picture. A line
whose field the riddle lacks, or whose hint was not asked for, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from batchflow.errors import UsageError
from batchflow.records import Image, Item, strict
from batchflow.tasks.datasets.riddle_rows import HINTS
from batchflow.texts import templates
from batchflow.texts.templates import Pieces, Prompt, Template

SPLITS = ("llm", "vlm")
MAX_HINTS = len(HINTS)
_NO_PICTURE: Mapping[str, tuple[Image, ...]] = {"image": ()}

_ASKED = ("description", "category", "picarats", "image", *HINTS)
_TEMPLATES = Path(__file__).parents[1] / "templates"

ANSWER = strict("riddle_answer", {"justification": "string", "answer": "string"})


def check_split(task: str, split: str) -> None:
    """Raise UsageError for a split that riddles do not have."""
    if split not in SPLITS:
        raise UsageError(f"task {task} has no split {split!r}", hint=f"splits: {', '.join(SPLITS)}")


def template(split: str, path: Path | None) -> Template:
    """The built-in answer template of a split, or the user's own file, checked.

    Raises UsageError for a file that cannot be read, or that lacks a line or names a field that does not exist.
    """
    chosen = templates.read(_TEMPLATES / f"answer_{split}.txt", path)
    templates.refuse_unknown(chosen, _ASKED, ("description", "image") if split == "vlm" else ("description",))
    return chosen


def prompt(item: Item, hints: int, template: Template) -> Prompt:
    """The question to a model, with the first `hints` hint fields as far as the riddle has them.

    Raises UsageError when hints is not 0 to 4.
    """
    if not 0 <= hints <= MAX_HINTS:
        raise UsageError(f"--hints {hints}: riddles have 0 to {MAX_HINTS} hints")
    system, lines = _asking(template, hints)
    pictures = _NO_PICTURE if item.image is None else {"image": (item.image,)}
    return Prompt(system, tuple(templates.parts(lines, item.fields, pictures)))


def hint_places(item: Item) -> tuple[int, ...]:
    """Places, from 1, of the hints that an item has."""
    values = [*map(item.fields.get, HINTS)]
    return tuple([place for place, value in enumerate(values, start=1) if value]) if any(values) else ()


def hints_available(item: Item) -> int:
    """Number of hints that the riddle has, 0 to 4."""
    return len(HINTS) - [*map(item.fields.get, HINTS)].count(None)


def columns(item: Item) -> Mapping[str, Any]:
    """Columns to group by: category (text or None), picarats (points or None), hints_available (0 to 4)."""
    fields = item.fields
    return {
        "category": fields.get("category"),
        "picarats": fields.get("picarats"),
        "hints_available": hints_available(item),
    }


def reference(item: Item) -> str:
    """The reference answer."""
    return str(item.fields["answer"])


@lru_cache(maxsize=64)
def _asking(template: Template, hints: int) -> tuple[str, tuple[Pieces, ...]]:
    """System text, and lines of a question with so many hints: further hints, and what is for judges, are left out."""
    shown, layout = frozenset(_ASKED).difference(HINTS[hints:]), templates.layout(template)
    return layout.system, tuple(pieces for pieces in layout.pieces if shown.issuperset(pieces[1::2]))
