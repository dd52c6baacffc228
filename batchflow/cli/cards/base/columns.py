"""Widths of a table's columns, so that it fits a terminal. Texts are folded, never cut; numbers stay whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

LEAST = 80
"""Columns that every table fits into."""
GAP = 2
READABLE = 24
"""A column of texts that had to be narrower than this gets a line of its own above its row."""
_NUMBER = re.compile(r"[-+−]?[\d,.]*\d( [%/–] ?[\d,.]+)*(:\d+)?( \((mid-p )?[\d.e-]+\))?|-|")
"""A figure, also with another one behind it: `12:3 (mid-p 0.035)`."""

Table = Sequence[Sequence[str]]


def laid_out(table: Table, width: int) -> tuple[list[int], int | None]:
    """Widths of the columns, and the column that stands on lines of its own, if one has to (its width is 0).

    >>> laid_out([("name", "n"), ("abcdef", "1")], 80)
    ([6, 1], None)
    """
    widths = _full(table)
    texts = [place for place in range(len(widths)) if not _is_of_numbers(table, place)]
    if not texts or _total(widths) <= width:
        return widths, None
    widest = max(texts, key=lambda place: widths[place])
    shrunk = _shrunk(widths, texts, width, READABLE)
    if _total(shrunk) <= width:
        return shrunk, None
    alone = [0 if place == widest else size for place, size in enumerate(widths)]
    rest = [place for place in texts if place != widest]
    return _shrunk(alone, rest or [place for place in range(len(widths)) if place != widest], width, 6), widest


def fold(text: str, width: int) -> list[str]:
    """The lines of a text, none wider than `width`; broken behind a space, `_`, `-` or `/` where one is near, else
    behind any space.

    >>> fold("openai_gpt-5_llm_hints_0", 12)
    ['openai_gpt-', '5_llm_hints_', '0']
    """
    lines = []
    while len(text) > width:
        cut = max(text.rfind(mark, width // 2, width) for mark in " _-/") + 1
        cut = cut or text.rfind(" ", 1, width) + 1 or width
        lines.append(text[:cut].rstrip(" "))
        text = text[cut:]
    return [*lines, text]


def lines(table: Table, width: int) -> list[str]:
    """A table as plain lines; its first row holds the names of the columns."""
    widths, alone = laid_out(table, width)
    out = []
    for number, row in enumerate(table):
        if alone is not None and number and row[alone].strip():
            out += [f"  {part}" for part in fold(row[alone].strip(), width - 2)]
        cells = [fold(cell, size) if size else [""] for cell, size in zip(row, widths, strict=True)]
        for depth in range(max(map(len, cells))):
            parts = [
                (cell[depth] if depth < len(cell) else "").ljust(size)
                for cell, size in zip(cells, widths, strict=True)
                if size
            ]
            line = (" " * GAP).join(parts).rstrip()
            out += [line] if line or alone is None else []
    return out


def _full(table: Table) -> list[int]:
    return [max(len(row[place]) for row in table) for place in range(len(table[0]))]


def _total(widths: Sequence[int]) -> int:
    shown = [size for size in widths if size]
    return sum(shown) + GAP * (len(shown) - 1)


def _is_of_numbers(table: Table, place: int) -> bool:
    return all(_NUMBER.fullmatch(row[place]) for row in table[1:])


def _shrunk(widths: Sequence[int], places: Sequence[int], width: int, least: int) -> list[int]:
    """Take from the widest of the named columns until all fit, or none of these is wider than `least`."""
    fitted = list(widths)
    while _total(fitted) > width:
        widest = max(places, key=lambda place: fitted[place])
        if fitted[widest] <= least:
            break
        fitted[widest] -= 1
    return fitted
