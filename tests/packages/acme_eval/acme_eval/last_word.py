"""Extractor `last_word`."""

from __future__ import annotations

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "last_word"
ARGUMENT = ""


def _last(text: str, item: Item) -> str | None:
    return text.rsplit(maxsplit=1)[-1] if text.split() else None


bind = plain(NAME, _last)
