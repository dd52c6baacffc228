"""Rows of a batch on their way: on the disk, until all of them can be written to the ledger at once."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

Rows = tuple[int, list[int], *tuple[Any, ...]]
"""Place of the first row, the part of each, and the columns of `ledger.request_rows.insert` behind its first two."""


class Spool:
    """Rows that wait on the disk, a chunk at a time, until all of them can be written to the ledger at once.

    The file has no name, so a killed process leaves nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, rows: Rows) -> None:
        """More rows, by column: the place of the first one, their parts, and the rest in the ledger's order."""
        data = marshal.dumps(rows)
        self._file.write(len(data).to_bytes(8) + data)

    def __iter__(self) -> Iterator[Rows]:
        self._file.seek(0)
        while size := self._file.read(8):
            yield marshal.loads(self._file.read(int.from_bytes(size)))  # noqa: S302 - our own file, without a name
