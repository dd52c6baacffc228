"""The one form in which every report reaches a terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace

FEW_NOTES = 3


@dataclass(frozen=True, slots=True)
class Card:
    """A title, key-value rows, an optional table (first row: names), notes, and the next command.

    folds: only the first FEW_NOTES notes are shown, unless a user asks for all (`--verbose`).
    """

    title: str
    next: str
    rows: tuple[tuple[str, str], ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    rehearsal: bool = False
    folds: bool = False


def folded(made: Card) -> Card:
    """The card with its first notes alone, and with a note on the others."""
    if not made.folds or len(made.notes) <= FEW_NOTES:
        return made
    more = len(made.notes) - FEW_NOTES
    rest = f"{more} more {'note' if more == 1 else 'notes'}; --verbose shows all"
    return replace(made, notes=(*made.notes[:FEW_NOTES], rest))


def title(name: str, rehearsal: bool) -> str:
    """A name, marked when it was only rehearsed."""
    return f"{name} (REHEARSAL)" if rehearsal else name
