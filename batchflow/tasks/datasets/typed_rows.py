"""Rows of a JSON Lines file read straight from their bytes into typed fields: the fast way beside that of any row.

A row that has another field, or another type in one, is left to the reading that takes any row and says what is wrong.
This module is the home of msgspec among the tasks; it takes 14 ms to import, so it is imported when rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from batchflow import files
from batchflow.errors import DataError

_SCALAR = str | int | float | bool | None
Used = TypeVar("Used")
_MOST_FIELDS = 100
_LINES = {".jsonl", ".ndjson"}


def reader(
    path: Path, kinds: Mapping[str, Any], use: Callable[[Any], Used | None]
) -> Callable[[bytes], Used | None] | None:
    """Reads a line into an object with the fields `kinds` and makes use of it; None for a line of another shape.

    Fields that the file's first row has besides may be any text, number or truth value. None for a file whose rows have
    to be read otherwise.
    """
    if path.suffix.lower() not in _LINES:
        return None
    try:
        row: Mapping[str, Any] = next((row for _, row in islice(files.objects(path), 1)), {})
    except DataError:  # of UTF-16, say; the other reading tells
        return None
    others = [name for name in row if name not in kinds]
    if len(others) > _MOST_FIELDS:
        return None
    fields = [(name, kind, None) for name, kind in kinds.items()]
    fields += [(f"_{place}", _SCALAR, msgspec.field(default=None, name=name)) for place, name in enumerate(others)]
    decode = msgspec.json.Decoder(msgspec.defstruct("Row", fields, gc=False, forbid_unknown_fields=True)).decode

    def read(line: bytes) -> Used | None:
        try:
            row = decode(line)
        except (ValueError, RecursionError):
            return None
        return use(row)

    return read
