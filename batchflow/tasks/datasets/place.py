"""The place of a row in a data set, by which error texts name it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from batchflow.errors import DataError


class Place(NamedTuple):
    """Names the place of a row, for error texts."""

    path: Path
    word: str  # line | row
    number: int

    def error(self, field: str, what: str) -> DataError:
        """The error about a field of this row."""
        return DataError(f"{self.path}, {self.word} {self.number}, field {field}: {what}")
