r"""Extractor `last_number`: the last number of a text.

The text is split into words at white space, brackets and signs such as `=`, `$` and `%`. The last word with a digit has
to be one number, whole: a date, a time, a range, a power, a root or `1.234,5` is not taken apart, and then there is no
number. A comma before three digits separates thousands. Numbers written in letters are not read.
"""

from __future__ import annotations

import re
import unicodedata

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "last_number"
ARGUMENT = ""

_WORD = re.compile(r"[^\s()\[\]{}$€£¥%‰°=<>≈~;|!?&#\"'`“”‘’—]+")
_NUMBER = re.compile(
    r"([-+]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4}|/[0-9]+)?)"
    r"(?:(?:[cdkm]?m|in|ft|yd|mi)(?:[²³]|\^[23])|([^\W\d_]{0,12}))"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")  # H2O, x1: a word with a digit in it is no number
_UNIT = re.compile(r"(?:[cdkm]?m|in|ft|yd|mi)(?:[²³]|\^[23])(?:/s\d?)?")
_MULTIPLIERS = frozenset({"k", "K", "M", "B", "T", "bn", "mn", "mio"})
_SCALES = re.compile(r"\s+(?:hundred|thousand|million|billion|trillion|dozen|score|percent of)\b", re.IGNORECASE)
_MORE = re.compile(r" \d{3}(?!\d)")  # `12 300` is one number to some writers, and two to others
_FEW_BEFORE = re.compile(r"(?<![\d.,])\d{1,3} $")
_THREE = re.compile(r"\d{3}(?:\.\d+)?")
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\u00a0|\u202f)(?=\d{3}(?!\d))"), ","),
    (re.compile(r"−(?=[\d.])"), "-"),
    (re.compile(r"\\[dt]?frac[ ]?\{([-+]?\d+)\}[ ]?\{(\d+)\}"), r" \1/\2 "),
    (re.compile(r"([_^])\{([^{}\n]{0,40})\}"), r"\1\2"),
    (re.compile(r"(\\(?:sqrt|[dt]?frac|log|ln|sin|cos|tan))[ ]?\{"), r"\1 \\"),
    (re.compile(r"(?<=\d)[ ]?(?:×|x|·|\*|\\times|\\cdot)[ ]?10\^([-+]?\d{1,4})(?!\d)"), r"e\1"),
)


def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
    """The last number without its thousands separators, sign and exponent as written; fractions stay fractions."""
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    last = None
    for word in _WORD.finditer(text):
        bare = word[0].strip("*_").rstrip(".,:*_/")
        if any(map(_is_digit, bare)) and not _NAME.fullmatch(bare) and not _UNIT.fullmatch(bare):
            last = word, bare
    return None if last is None else _number(text, *last)


def _number(text: str, word: re.Match[str], bare: str) -> str | None:
    """The word as a number; None where it is none, or where its neighbours may belong to it."""
    match = _NUMBER.fullmatch(bare)
    if match is None or match[2] in _MULTIPLIERS or any(map(_is_digit, match[2] or "")):
        return None
    before, after = text[max(word.start() - 20, 0) : word.start()], text[word.end() : word.end() + 20]
    if _SCALES.match(after) or _MORE.match(after):
        return None
    if _THREE.fullmatch(match[1]) and _FEW_BEFORE.search(before):
        return None
    if "/" in match[1] and re.search(r"\d ?$", before):  # `1 1/2`
        return None
    return match[1].replace(",", "")


def _is_digit(char: str) -> bool:
    """Tells whether a character is a digit of any script, a superscript or a written-out fraction such as ½."""
    return char.isdigit() or (not char.isascii() and unicodedata.category(char) in {"Nd", "No"})


bind = plain(NAME, extract)
