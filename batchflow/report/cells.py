"""Texts from outside as cells of tables that spreadsheets open: none of them is a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?")


def cell(value: Any) -> Any:
    """A value as a cell of CSV. A text that a spreadsheet would run as a formula gets an apostrophe in front.

    >>> cell("=1+1"), cell("-5"), cell("-5+A1"), cell(None), cell(0.5), cell(True)
    ("'=1+1", '-5', "'-5+A1", '', 0.5, 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = str(value).replace("\0", "�")
    is_plain = text == "-" or _NUMBER.fullmatch(text)  # a dash alone stands for no value
    return f"'{text}" if text.startswith(_FORMULA) and not is_plain else text


def write_csv(out: TextIO, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows as CSV with CRLF, as RFC 4180 has it."""
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([cell(value) for value in row])
