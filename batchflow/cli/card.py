"""The one form in which every report reaches a terminal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A title, key-value rows, an optional table (first row: names), notes, and the next command."""

    title: str
    next: str
    rows: tuple[tuple[str, str], ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    rehearsal: bool = False


def title(name: str, rehearsal: bool) -> str:
    """A name, marked when it was only rehearsed."""
    return f"{name} (REHEARSAL)" if rehearsal else name
