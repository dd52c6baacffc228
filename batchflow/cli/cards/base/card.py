"""The one form in which every report reaches a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Row = TypeVar("Row")

Table = tuple[tuple[str, ...], ...]
"""Rows of cells; the first one holds the headings."""

FEW_NOTES = 3
REHEARSED = "(REHEARSAL)"
"""Mark of what was only rehearsed; it is never cut or broken."""


@dataclass(frozen=True, slots=True)
class Card:
    """A title, key-value rows, one or two tables (first row: names), notes, and the next command.

    folds: only the first FEW_NOTES notes are shown, unless a user asks for all (`--verbose`). more: a table
    that is shown below the first one then.
    """

    title: str
    next: str
    rows: tuple[tuple[str, str], ...] = ()
    table: Table = ()
    notes: tuple[str, ...] = ()
    rehearsal: bool = False
    folds: bool = False
    below: Table = ()
    more: Table = ()


def unfolded(card: Card) -> Card:
    """The card with everything that its tables can tell."""
    return replace(card, below=card.more or card.below)


def folded(card: Card) -> Card:
    """The card with its first notes alone, and with a note on the others."""
    if not card.folds or len(card.notes) <= FEW_NOTES:
        return card
    more = len(card.notes) - FEW_NOTES
    rest = f"{more} more {'note' if more == 1 else 'notes'}; --verbose shows all"
    return replace(card, notes=(*card.notes[:FEW_NOTES], rest))


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column of a table: its heading, and the cell that it takes out of a row."""

    heading: str
    cell: Callable[[Row], str]


def table_of(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> Table:
    """A table of values, by its columns; empty without values.

    >>> table_of([Column("n", str), Column("square", lambda n: str(n * n))], [2, 3])
    (('n', 'square'), ('2', '4'), ('3', '9'))
    """
    cells = [tuple(each.cell(row) for each in columns) for row in rows]
    return (tuple(each.heading for each in columns), *cells) if cells else ()


def tabulated(columns: Mapping[str, str], rows: Iterable[Mapping[str, str]]) -> Table:
    """A table of cells with names. columns: the heading of each name, in order; a cell that a row lacks is empty.

    Raises KeyError for a cell without a column.

    >>> tabulated({"name": "batch", "n": "items"}, [{"name": "a", "n": "3"}, {"name": "b"}])
    (('batch', 'items'), ('a', '3'), ('b', ''))
    """
    cells = [dict.fromkeys(columns, ""), *rows]
    for row in cells:
        if strange := row.keys() - columns.keys():
            raise KeyError(*strange)
    return tuple(columns.values()), *(tuple(row.get(name, "") for name in columns) for row in cells[1:])


def title(name: str, rehearsal: bool) -> str:
    """A name, marked when it was only rehearsed."""
    return f"{name} {REHEARSED}" if rehearsal else name
