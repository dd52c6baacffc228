r"""Extractor `boxed`: what the last `\boxed{...}` holds, braces balanced."""

from __future__ import annotations

import re

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "boxed"
ARGUMENT = ""

_START = re.compile(r"\\f?boxed\s{0,8}\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)  # an escaped brace is a character of the answer


def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
    """Returns the content of the last box; None without a box, and for an empty or unclosed one."""
    starts = [match.end() for match in _START.finditer(text)]
    if not starts:
        return None
    depth = 1
    for mark in _BRACE.finditer(text, starts[-1]):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return text[starts[-1] : mark.start()].strip() or None
    return None


bind = plain(NAME, extract)
