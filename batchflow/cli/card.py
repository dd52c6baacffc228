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
