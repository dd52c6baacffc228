"""Prompt templates: a text file taken apart, and its lines filled in.

Up to the line `=== user turn ===` it is the system text, word for word. Below it, each line is one part of the user
turn: a label and a field in braces (`Question: {question}`), or a field alone. A line whose field an item lacks is left
out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

from batchflow import files
from batchflow.errors import UsageError
from batchflow.records import Item, Part

SEPARATOR = "=== user turn ==="
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_ -]*)\}")

PICTURE = "{picture}"
DECLARED = "task:"
"""Beginning of the name of a template that a task file declares."""

Pieces = tuple[str, ...]
"""A line of the user turn taken apart: text, field, text, field, ..., text."""


class Prompt(NamedTuple):
    """Message for one item: system text, and the parts of one user turn. shared: leading parts that no item changes."""

    system: str
    parts: tuple[Part, ...]
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt template with the hash that goes into the ledger. `name` is a path, `builtin:...` or `task:...`."""

    name: str
    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A template taken apart: the system text, and the lines of the user turn."""

    system: str
    lines: tuple[str, ...]
    pieces: tuple[Pieces, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields that its lines name."""
        return frozenset(name for pieces in self.pieces for name in pieces[1::2])


def is_file(name: str) -> bool:
    """Tells whether a template's name is the path of a file of the user's."""
    return not name.startswith(("builtin:", DECLARED))


def read(builtin: Path, path: Path | None) -> Template:
    """The built-in template, or the user's own file. Raises UsageError where it cannot be read."""
    file = path or builtin
    try:
        raw = file.read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"template {file}: cannot be read ({error})") from None
    name = str(path) if path else f"builtin:{file.name}"
    return Template(name, text, hashlib.sha256(raw).hexdigest())


@lru_cache(maxsize=16)
def layout(template: Template) -> Layout:
    """A template taken apart. Raises UsageError where the line between its two halves is missing."""
    system, separator, turn = template.text.partition(f"\n{SEPARATOR}\n")
    if not separator:
        raise UsageError(
            f"template {template.name}: the line {SEPARATOR!r} is missing",
            hint="start from a copy of a built-in one (docs/data.md, Prompts)",
        )
    lines = tuple(line.strip() for line in turn.splitlines() if line.strip())
    return Layout(system.strip(), lines, tuple(tuple(_FIELD.split(line)) for line in lines))


def filled(pieces: Pieces, values: Mapping[str, Any]) -> str | None:
    """The line with its fields filled in, once: braces in a question or an answer stay as they are."""
    words = list(pieces)
    for place in range(1, len(words), 2):
        value = values.get(words[place])
        if value is None:
            return None
        words[place] = str(value)
    return "".join(words)


def parts(lines: tuple[Pieces, ...], values: Mapping[str, Any], pictures: Mapping[str, tuple[Part, ...]]) -> list[Part]:
    """The parts of a user turn, without the lines whose field is None. pictures: by the field that stands for them."""
    turn: list[Part] = []
    for pieces in lines:
        if len(pieces) == 3:  # nearly all
            before, name, after = pieces
            if name in pictures and not (before or after):
                turn += pictures[name]
            elif (value := values.get(name)) is not None:
                turn.append(f"{before}{value}{after}")
        elif (line := filled(pieces, values)) is not None:
            turn.append(line)
    return turn


def question(
    item: Item, template: Template, values: Mapping[str, Any], constant: frozenset[str] = frozenset()
) -> Prompt:
    """The prompt about an item that may be anything; pictures come first where the template has no place for them.

    constant: fields that are the same for every item; the lines of a built-in template that name no others come first,
    so that a vendor's cache holds them. Raises UsageError for a template that names a field which `values` has not.
    """
    parted = layout(template)
    for name in sorted(parted.fields - values.keys() - {"picture"}):
        raise UsageError(
            f"template {template.name}: item {item.id} has no field {{{name}}}",
            hint=f"fields of this data set: {', '.join(values)}",
        )
    shared, own = _by_constancy(template, constant) if constant else ((), parted.pieces)
    first = [] if PICTURE in parted.lines else list(item.pictures)
    begin = parts(shared, values, {})
    return Prompt(parted.system, (*begin, *first, *parts(own, values, {"picture": item.pictures})), len(begin))


@lru_cache(maxsize=16)
def _by_constancy(template: Template, constant: frozenset[str]) -> tuple[tuple[Pieces, ...], tuple[Pieces, ...]]:
    """The lines that are the same for every item, and the others; of a user's own template, whose order stays, none."""
    pieces = layout(template).pieces
    shared = () if is_file(template.name) else tuple(line for line in pieces if set(line[1::2]) <= constant)
    return shared, tuple(line for line in pieces if line not in shared)


def refuse_faulty(template: Template, needed: tuple[str, ...], picture: str = PICTURE) -> Layout:
    """A template taken apart. Raises UsageError without a system text, without a needed field, or where the picture's
    field shares its line.
    """
    parted = layout(template)
    if not parted.system:
        raise UsageError(f"template {template.name}: there is no system text above {SEPARATOR!r}")
    if lacking := [name for name in needed if name not in parted.fields]:
        raise UsageError(f"template {template.name}: the user turn has to hold {{{lacking[0]}}}")
    if any(picture in line and line != picture for line in parted.lines):
        raise UsageError(f"template {template.name}: {picture} has to be alone on its line")
    return parted


def refuse_unknown(template: Template, names: tuple[str, ...], needed: tuple[str, ...]) -> None:
    """`refuse_faulty` for a template of riddles, whose fields are known. Raises UsageError."""
    parted = refuse_faulty(template, (), "{image}")
    if unknown := sorted(parted.fields.difference(names)):
        raise UsageError(
            f"template {template.name}: no field {{{unknown[0]}}} here",
            hint=f"fields of this template: {', '.join(names)}",
        )
    refuse_faulty(template, needed, "{image}")


def lettered(options: tuple[str, ...]) -> str | None:
    """The options, one a line, each behind its letter; None without options."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)) or None


def shown(value: Any) -> str:
    """A candidate's text; a value of another type is shown as the JSON that it is."""
    if value is None:
        return ""
    return value if isinstance(value, str) else files.dumps(value).decode()


def fence(*texts: str) -> str:
    """A line that none of the texts contains, so that none can close it; the same texts give the same fence."""
    digest = hashlib.sha256(files.dumps(texts)).hexdigest()
    while any(digest[:16] in text for text in texts):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return f"=====[{digest[:16]}]====="


def fenced(text: str, mark: str) -> str:
    """A candidate's text between two fence lines, below the line that announces it."""
    return f"\n{mark}\n{text}\n{mark}"
