"""Extractor `strip_thoughts`: an answer without what the model thought aloud."""

from __future__ import annotations

from batchflow.extract.base import plain
from batchflow.records import Item
from batchflow.texts import thoughts

NAME = "strip_thoughts"
ARGUMENT = ""


def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
    """The text behind its thoughts; None for one that ended inside a thought, whatever draft stands in it."""
    return thoughts.behind(text)


bind = plain(NAME, extract)
