"""Schemas, templates and prompts that both riddle tasks share.

A line of a template names fields of a riddle (`First hint: {first_hint}`), or `{image}` alone for the picture. A line
whose field the riddle lacks, or whose hint was not asked for, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import UsageError
from batchflow.records import Image, Item, strict
from batchflow.tasks.base import Asked, Source
from batchflow.tasks.datasets import riddle_rows
from batchflow.tasks.datasets.riddle_rows import HINTS
from batchflow.texts import templates
from batchflow.texts.templates import Pieces, Prompt, Template

SPLITS = ("llm", "vlm")
MAX_HINTS = len(HINTS)
_NO_PICTURE: Mapping[str, tuple[Image, ...]] = {"image": ()}

_ASKED = ("description", "category", "picarats", "image", *HINTS)
_NO_HINTS = (None,) * MAX_HINTS
_MOST_POINTS = 2**53 - 1  # beyond it, a number of a table may not be the one that was written
_MOST_KEPT = 10_000  # different columns whose JSON text is kept
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


def asked(source: Source, split: str, hints: int, template: Template) -> Iterator[Item | Asked]:
    """Questions about the riddles of a split; items, where a template or a row is not of the usual shape."""
    system, lines = _asking(template, hints)
    frames = [pieces for pieces in lines if len(pieces) == 3 and pieces[1] != "image"]
    if len(frames) < len(lines) or not frames:
        return riddle_rows.items(source, split)
    return riddle_rows.asked(source, split, _asker(system, frames, split))


def _asker(system: str, frames: Sequence[Pieces], split: str) -> Callable[[Any], Asked | None]:
    """Asks about a row with the fields of a riddle as attributes; None for one with a blank text, or a strange number.

    frames: the lines of the question, each of a text, a field and a text.
    """
    columns_of: dict[tuple[str | None, int | None, int], str] = {}
    around = [(before, after) for before, _, after in frames]
    values_of: Callable[[Any], Any] = attrgetter(*(name for _, name, _ in frames))
    is_alone, hints_of = len(frames) == 1, attrgetter(*HINTS)

    def asker(row: Any) -> Asked | None:
        item_id, category, points, given = row.id, row.category or None, row.picarats, hints_of(row)
        description, answer = row.description, row.answer
        if (
            not (description and answer) or description.isspace() or answer.isspace()
            or (row.split != split and row.split is not None)
            or (category is not None and category.isspace())
            or (points is not None and (points.__class__ is not int or abs(points) > _MOST_POINTS))
        ):  # fmt: skip
            return None
        if item_id.__class__ is not str or not (item_id.isalnum() or item_id.replace("-", "").isalnum()):
            return None
        places: tuple[int, ...] = ()
        if given != _NO_HINTS:
            if any(hint is not None and hint.isspace() for hint in given):
                return None
            places = tuple([place for place, hint in enumerate(given, start=1) if hint])
        key = (category, points, len(places))
        if (columns := columns_of.get(key)) is None:
            if len(columns_of) >= _MOST_KEPT:
                columns_of.clear()
            named = {"category": category, "picarats": points, "hints_available": len(places)}
            columns = columns_of[key] = files.dumps(named).decode()
        values = (values_of(row),) if is_alone else values_of(row)
        shown = zip(around, values, strict=True)
        parts = [f"{before}{value}{after}" for (before, after), value in shown if value is not None and value != ""]
        return item_id, system, tuple(parts), columns, places

    return asker


def reference(item: Item) -> str:
    """The reference answer."""
    return str(item.fields["answer"])


@lru_cache(maxsize=64)
def _asking(template: Template, hints: int) -> tuple[str, tuple[Pieces, ...]]:
    """System text, and lines of a question with so many hints: further hints, and what is for judges, are left out."""
    shown, layout = frozenset(_ASKED).difference(HINTS[hints:]), templates.layout(template)
    return layout.system, tuple(pieces for pieces in layout.pieces if shown.issuperset(pieces[1::2]))
