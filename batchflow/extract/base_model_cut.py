"""Extractor `base_model_cut`: an answer without the further questions that a base model makes up behind it."""

from __future__ import annotations

import re

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "base_model_cut"
ARGUMENT = ""

# The first line of another question, in the forms of prompts with examples; `Q` alone needs a blank line before it.
_NEXT = re.compile(
    r"^[ \t]*(?:\#{1,6}[ \t]*|\*\*)?"
    r"(?:question|problem|exercise|instruction|human|user)[ \t]*\d{0,6}[ \t]*(?:\*\*)?:"
    r"|(?<=\n\n)[ \t]*Q[ \t]*\d{0,6}[ \t]*[:.]",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK = re.compile(r"\n[ \t]*\n")
_LABEL = re.compile(r"\s*(?:answer|a)[ \t]*:", re.IGNORECASE)


def extract(text: str, item: Item) -> str | None:
    """The text up to the next question; for an item with options, up to a blank line too.

    Leading white space and a repeated `Answer:` are dropped. None where no letter or digit is left.
    """
    text = text.replace("\r\n", "\n")
    label = _LABEL.match(text)
    kept = text[label.end() :].lstrip() if label else text.lstrip()
    marks = (_NEXT, _BLANK) if item.options else (_NEXT,)
    ends = [match.start() for mark in marks if (match := mark.search(kept))]
    kept = kept[: min(ends, default=len(kept))].strip()
    return kept if any(map(str.isalnum, kept)) else None


bind = plain(NAME, extract)
