"""Schemas, templates and prompts that both riddle tasks share.

A line of a template names fields of a riddle (`First hint: {first_hint}`), or `{image}` alone for the picture. A line
whose field the riddle lacks, or whose hint was not asked for, is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import UsageError
from batchflow.records import Item, Json, Part, Schema
from batchflow.tasks.base import Prompt, Template
from batchflow.tasks.datasets.riddle_rows import HINTS
from batchflow.tasks.prompts import template as templates
from batchflow.tasks.prompts.template import SEPARATOR, Pieces

SPLITS = ("llm", "vlm")
MAX_HINTS = len(HINTS)

_CANDIDATE = ("candidate_answer", "candidate_justification")
_ASKED = ("description", "category", "picarats", "image", *HINTS)
_JUDGED = ("answer", "solution", "justification", *_CANDIDATE)
_REQUIRED = {"answer": ("description",), "judge": ("description", "answer", "candidate_answer")}


def _strict(name: str, kind: str, *properties: str) -> Schema:
    """A closed object whose properties are all required; their order is the order in which a model writes them."""
    schema: Json = {
        "type": "object",
        "properties": {name: {"type": kind} for name in properties},
        "required": list(properties),
        "additionalProperties": False,
    }
    return Schema(name, schema)


ANSWER = _strict("riddle_answer", "string", "justification", "answer")
VERDICT = _strict("riddle_verdict", "boolean", "is_answer_correct", "is_justification_correct")


def check_split(task: str, split: str) -> None:
    """Raise UsageError for a split that riddles do not have."""
    if split not in SPLITS:
        raise UsageError(f"task {task} has no split {split!r}", hint=f"splits: {', '.join(SPLITS)}")


def template(kind: str, split: str, path: Path | None) -> Template:
    """The built-in template of a kind (`answer` or `judge`) and split, or the user's own file, checked.

    Raises UsageError for a file that cannot be read, or that lacks a line or names a field that does not exist.
    """
    made = templates.read(f"{kind}_{split}.txt", path)
    _check(made, kind, split)
    return made


def prompt(item: Item, hints: int, template: Template) -> Prompt:
    """The question to a model, with the first `hints` hint fields as far as the riddle has them.

    Raises UsageError when hints is not 0 to 4.
    """
    if not 0 <= hints <= MAX_HINTS:
        raise UsageError(f"--hints {hints}: riddles have 0 to {MAX_HINTS} hints")
    layout = templates.layout(template)
    return Prompt(layout.system, _parts(_asking(template, hints), item, item.fields))


def judge_prompt(item: Item, answer: Json, template: Template) -> Prompt:
    """The question to a judge: the riddle with all its hints, the reference, and the candidate's text in a fence.

    answer: a parsed answer; what it lacks is shown to the judge as an empty text.
    """
    layout = templates.layout(template)
    candidate = (_shown(answer.get("answer")), _shown(answer.get("justification")))
    fence = _fence(*candidate)
    fenced = {name: f"\n{fence}\n{text}\n{fence}" for name, text in zip(_CANDIDATE, candidate, strict=True)}
    return Prompt(layout.system, _parts(layout.pieces, item, {**item.fields, **fenced}))


def hint_places(item: Item) -> tuple[int, ...]:
    """Places, from 1, of the hints that an item has."""
    return tuple([place for place, name in enumerate(HINTS, start=1) if item.fields.get(name)])


def hints_available(item: Item) -> int:
    """Number of hints that the riddle has, 0 to 4."""
    return len([name for name in HINTS if item.fields.get(name) is not None])


def columns(item: Item) -> Mapping[str, Any]:
    """Columns to group by: category (text or None), picarats (points or None), hints_available (0 to 4)."""
    return {
        "category": item.fields.get("category"),
        "picarats": item.fields.get("picarats"),
        "hints_available": hints_available(item),
    }


def reference(item: Item) -> str:
    """The reference answer."""
    return str(item.fields["answer"])


@lru_cache(maxsize=64)
def _asking(template: Template, hints: int) -> tuple[Pieces, ...]:
    """The lines of a question with so many hints: further hints, and what only a judge may see, are left out."""
    shown = frozenset(_ASKED).difference(HINTS[hints:])
    return tuple(pieces for pieces in templates.layout(template).pieces if shown.issuperset(pieces[1::2]))


def _check(template: Template, kind: str, split: str) -> None:
    layout = templates.layout(template)
    known = _ASKED if kind == "answer" else (*_ASKED, *_JUDGED)
    required = (*_REQUIRED[kind], "image") if split == "vlm" else _REQUIRED[kind]
    if not layout.system:
        raise UsageError(f"template {template.name}: there is no system text above {SEPARATOR!r}")
    if unknown := sorted(layout.fields.difference(known)):
        raise UsageError(
            f"template {template.name}: no field {{{unknown[0]}}} here",
            hint=f"fields of this template: {', '.join(known)}",
        )
    if lacking := [name for name in required if name not in layout.fields]:
        raise UsageError(f"template {template.name}: the user turn has to hold {{{lacking[0]}}}")
    if any("{image}" in line and line != "{image}" for line in layout.lines):
        raise UsageError(f"template {template.name}: {{image}} has to be alone on its line")


_PICTURE: Pieces = ("", "image", "")


def _parts(lines: tuple[Pieces, ...], item: Item, values: Mapping[str, Any]) -> tuple[Part, ...]:
    parts = [item.image if pieces == _PICTURE else templates.filled(pieces, values) for pieces in lines]
    return tuple([part for part in parts if part is not None])


def _shown(value: Any) -> str:
    """A candidate's field as text; schema-breaking values are shown as the JSON that they are."""
    if value is None:
        return ""
    return value if isinstance(value, str) else files.dumps(value).decode()


def _fence(*texts: str) -> str:
    """A line that none of the texts contains, so that none can close it; the same texts give the same fence."""
    digest = hashlib.sha256(files.dumps(texts)).hexdigest()
    while any(digest[:16] in text for text in texts):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return f"=====[{digest[:16]}]====="
