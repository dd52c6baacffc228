"""Rows of a batch on their way: on the disk, until all of them can be written to the ledger at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from batchflow import files
from batchflow.ledger import request_rows


class Spool:
    """Rows that wait on the disk, a chunk at a time, until all of them can be written to the ledger at once.

    The file has no name, so a killed process leaves nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._chunk: list[tuple[Any, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: tuple[Any, ...]) -> None:
        """One more row: its place, its part, and the rest as `ledger.request_rows.insert` takes it."""
        self._chunk.append(row)
        if len(self._chunk) == request_rows.CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._file.write(files.dumps(self._chunk) + b"\n")
        self._chunk.clear()

    def __iter__(self) -> Iterator[list[Any]]:
        if self._chunk:
            self._flush()
        self._file.seek(0)
        yield from map(files.loads, self._file)
