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
from typing import Any

from batchflow.errors import UsageError
from batchflow.tasks.base import Template

TEMPLATES = Path(__file__).parents[1] / "templates"
SEPARATOR = "=== user turn ==="
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_ -]*)\}")

Pieces = tuple[str, ...]
"""A line of the user turn taken apart: text, field, text, field, ..., text."""


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


def read(builtin: str, path: Path | None) -> Template:
    """The built-in template of this file name, or the user's own file. Raises UsageError where it cannot be read."""
    file = path or TEMPLATES / builtin
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
            hint=f"start from a copy of a built-in one in {TEMPLATES}",
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
