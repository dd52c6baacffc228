"""Extractor `code_fence`: what the fenced block of a Markdown text holds."""

from __future__ import annotations

import re

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "code_fence"
ARGUMENT = ""

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$", re.MULTILINE)


def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
    """Returns the content of the block; None without a block, for an unclosed one, and for several that differ."""
    fences = blocks(text)
    return fences[0] if fences and len(set(fences)) == 1 and fences[0].strip() else None


def blocks(text: str) -> list[str]:
    """The contents of all fenced blocks, in order; empty where a block is never closed."""
    held: list[str] = []
    mark, start = "", 0
    for fence in _FENCE.finditer(text.replace("\r\n", "\n") if "\r" in text else text):
        if not mark:
            mark, start = fence[1], fence.end() + 1
        elif fence[1].startswith(mark) and not fence[2].strip():
            held.append(fence.string[start : max(start, fence.start() - 1)])
            mark = ""
    return [] if mark else held


bind = plain(NAME, extract)
