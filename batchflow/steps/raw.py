"""Single rows out of raw output, by the place that the ledger remembers."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from batchflow import files, responses
from batchflow.errors import DataError
from batchflow.ledger.records import JobRecord, RequestRecord
from batchflow.records import Response
from batchflow.vendors.base import Vendor


class RawReader:
    """Reads single rows out of raw files by offset; handles stay open while it is."""

    def __init__(self, project: Path, vendor: Vendor, found: tuple[JobRecord, ...]) -> None:
        self._project, self._vendor = project, vendor
        self._paths = {(job.id, n): file["path"] for job in found for n, file in enumerate(job.raw)}
        self._open: dict[tuple[int, int], int] = {}  # file descriptors
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def line(self, request: RequestRecord) -> bytes | None:
        """The raw bytes of a request's row, None where the vendor returned none. Raises DataError for a lost file."""
        if request.raw_file is None or request.raw_offset is None or request.raw_length is None:
            return None
        key = (request.raw_job_id or request.job_id, request.raw_file)
        if key not in self._open:
            path = self._project / self._paths[key]
            try:
                self._open[key] = self._stack.enter_context(path.open("rb", buffering=0)).fileno()
            except OSError as error:
                raise DataError(
                    f"{path}: the raw output cannot be read ({error.strerror})",
                    hint="put it back from where it was moved or kept: it holds the answers, which are asked for once",
                ) from None
        line = os.pread(self._open[key], request.raw_length, request.raw_offset)
        return line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\n")

    def original(self, line: bytes | None) -> tuple[Response | None, Any]:
        """A raw row decoded, and as the results file shows it: itself, or its text where it is no plain JSON."""
        if line is None:
            return None, None
        try:
            value = files.loads(line)
        except ValueError:
            return self.response(line), line.decode("utf-8", "replace")
        response = responses.decoded(value, self._vendor.decode) if isinstance(value, dict) else None
        is_plain = not files.is_deep(line, value)  # few programs read a deeper one
        return response, files.spliced(line) if is_plain else line.decode("utf-8", "replace")

    def response(self, line: bytes | None) -> Response | None:
        """A raw row decoded."""
        return responses.read_row(line, self._vendor.decode) if line is not None else None
