"""Cards on a terminal, drawn by rich. Texts go in as Text, never as markup: they may come from a model."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from batchflow.cli.cards.base import columns
from batchflow.cli.cards.base.card import Card

EDGES = 4
"""Columns that a panel's frame takes."""


def paint(card: Card) -> None:
    """Print a card as a panel, its table below."""
    console = Console(highlight=False)
    body = Table.grid(padding=(0, 2))
    for key, value in card.rows:
        body.add_row(Text(key, style="bold"), Text(value))
    parts: list[RenderableType] = [body] if card.rows else []
    for table in filter(None, (card.table, card.below)):
        names, *rows = columns.lines(table, console.width - EDGES)
        parts += [Text(names, style="bold"), *map(Text, rows)]
    parts += [Text(f"note: {note}", style="yellow") for note in card.notes]
    style = "magenta" if card.rehearsal else "cyan"
    console.print(Panel(Group(*parts), title=Text(card.title), border_style=style, expand=False))
    for command in card.next.split("\n"):
        console.print(Text("next: ") + Text(command, style="bold green"), soft_wrap=True)
