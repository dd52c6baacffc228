"""Single rows out of raw output, by the place that the ledger remembers: never without asking whose they are.

A raw file has to be the one that was downloaded, and a row has to carry the custom_id of its request: offsets in
another file lead to somebody else's answers, or into the middle of one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from batchflow import batch_file, files
from batchflow.errors import DataError
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord, SettledRecord, SettledRow
from batchflow.records import Outcome, Response, Usage
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.digests import digest
from batchflow.texts import parsing, thoughts
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

if TYPE_CHECKING:
    from batchflow.vendors.shared.row_shapes import Plain

BLOCK = 1 << 18
_BOM = b"\xef\xbb\xbf"
_BOM_START = _BOM[:1]
Placed = RequestRecord | SettledRecord
"""A request with the place of its row."""
FAR = 4  # reads in a row that were far from the one before

_DELETED_HINT = "batchflow results {name} --again decodes its own output; batchflow retry {name} asks for the rest"
_CHANGED_HINT = (
    "put the old file back, or download it once more while the vendor keeps it: batchflow results {name} --again"
)


def response_of(plain: Plain) -> Response:
    """A row that was read the fast way, as `decode` gives it."""
    custom_id, text, model, row_id, finish, tokens = plain
    usage = None if tokens[0] is None else Usage(*(count or 0 for count in tokens))
    return Response(custom_id, Outcome.OK, text, None, usage, model, row_id, finish)


class RawReader:
    """Reads single rows of a batch out of its raw files, and its retries'; handles stay open while it is."""

    def __init__(self, context: Context, vendor: Vendor, tx: Tx, batch: BatchRecord) -> None:
        self._context, self._vendor, self._tx, self._name = context, vendor, tx, batch.name
        self._nonces = {member.id: member.nonce for member in batches.retries_of(tx, batch.id)}
        parts = jobs.with_retries(tx, batch.id)
        self._batch_of = {job.id: job.batch_id for job in parts}
        self._files = {(job.id, n): file for job in parts for n, file in enumerate(job.raw)}
        self._plain, self._whole = registry.plain_reader(batch.provider), registry.whole_reader(batch.provider)
        self._block: tuple[tuple[int, int] | None, int, bytes] = (None, 0, b"")  # of a file, from where, its bytes
        self._misses = 0
        self._open: dict[tuple[int, int], int] = {}  # file descriptors
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def plain(self, row: SettledRow, custom_id: str) -> tuple[Plain, bytes] | None:
        """A request's raw row of the usual shape with its bytes, which are plain JSON; None for one of any other kind.

        `original` says the same of it. Raises DataError for a file that is not as it was.
        """
        _, job_id, raw_job_id, number, offset, length = row[:6]
        if self._whole is None or (raw_job_id is not None and raw_job_id != job_id):
            return None
        held, start, block = self._block
        try:
            at = offset - start  # type: ignore[operator]
            is_here = held == (job_id, number) and at >= 0 and at + length <= len(block)  # type: ignore[operator]
        except TypeError:  # no place at all
            return None
        # nearly always so, and 0.6 µs less than `_line`
        line = block[at : at + length].rstrip(b"\n") if is_here else self._line(SettledRecord._make(row))  # type: ignore[operator]
        plain = None if line is None else self._whole(line)
        if line is None or plain is None or plain[0] != custom_id:
            return None
        return (plain, line) if thoughts.behind(plain[1]) is plain[1] else None

    def usual(self, request: Placed) -> tuple[Plain, bytes] | None:
        """A request's raw row of the usual shape with its bytes; None for one of any other kind, or of a retry.

        `response` says the same of it. Raises DataError for a file that is not as it was.
        """
        if self._plain is None or (request.raw_job_id is not None and request.raw_job_id != request.job_id):
            return None
        line = self._line(request)
        plain = None if line is None else self._plain(line)
        if line is None or plain is None or plain[0] != request.custom_id:
            return None
        return (plain, line) if thoughts.behind(plain[1]) is plain[1] else None

    def original(self, request: Placed) -> tuple[Response | None, Any]:
        """A request's raw row decoded, and as the results file shows it: itself, or its text where it is no plain JSON.

        Both None where the vendor returned none. Raises DataError for a file or row that is not as it was.
        """
        line = self._line(request)
        if line is None:
            return None, None
        try:
            value = files.loads(line)
        except ValueError:
            return self._own(request, parsing.read_row(line, self._vendor.decode)), line.decode("utf-8", "replace")
        decoded = parsing.decoded(value, self._vendor.decode) if isinstance(value, dict) else None
        is_plain = not files.is_deep(line, value)  # few programs read a deeper one
        return self._own(request, decoded), files.spliced(line) if is_plain else line.decode("utf-8", "replace")

    def response(self, request: Placed) -> Response | None:
        """A request's raw row decoded, None where the vendor returned none. Raises DataError as `original`."""
        line = self._line(request)
        if line is None:
            return None
        plain = None if self._plain is None else self._plain(line)
        if plain is None or thoughts.behind(plain[1]) is not plain[1]:
            return self._own(request, parsing.read_row(line, self._vendor.decode))
        return self._own(request, response_of(plain))

    def _line(self, request: Placed) -> bytes | None:
        """The raw bytes of a request's row, None where the vendor returned none."""
        number, offset, length = request.raw_file, request.raw_offset, request.raw_length
        if number is None or offset is None or length is None:
            return None
        key = (request.raw_job_id or request.job_id, number)
        if key not in self._open:
            self._open[key] = self._opened(request, key)
        held, start, block = self._block
        try:
            if held == key and start <= offset and offset + length <= start + len(block):
                line = block[offset - start : offset - start + length]  # nearly always so
            else:
                line = self._bytes(key, offset, length)
        except (OSError, ValueError, OverflowError, TypeError):  # a place that can be in no file
            raise self._elsewhere(request) from None
        return line.removeprefix(_BOM).rstrip(b"\n") if line[:1] == _BOM_START else line.rstrip(b"\n")

    def _bytes(self, key: tuple[int, int], offset: int, length: int) -> bytes:
        """The bytes of a row beyond the last block read, in which most are: they stand in the order of their requests.

        Raises OSError, ValueError, OverflowError, TypeError.
        """
        held, start, _ = self._block
        if length < 0 or length > BLOCK // 4:
            return os.pread(self._open[key], length, offset)
        is_backward = held == key and offset < start  # some vendors answer the last request first
        begin = max(0, offset + length - BLOCK) if is_backward else offset
        misses = self._misses + 1 if held == key and abs(offset - start) > 2 * BLOCK else 0
        self._misses = misses
        if misses > FAR:  # in no order: single rows cost less than blocks
            return os.pread(self._open[key], length, offset)
        self._block = (key, begin, os.pread(self._open[key], BLOCK, begin))
        return self._block[2][offset - begin : offset - begin + length]

    def _opened(self, request: Placed, key: tuple[int, int]) -> int:
        """A raw file's descriptor, once its bytes are those that were downloaded."""
        if key not in self._files:
            raise DataError(
                f"{self._name}: the answer to {request.item_id} came from a retry that was deleted, with its bytes",
                hint=_DELETED_HINT.format(name=self._name),
            )
        entry = self._files[key]
        path = payloads.raw_file(self._context, entry)
        try:
            handle = self._stack.enter_context(path.open("rb", buffering=0))
            is_as_it_was = digest(handle) == entry["sha256"]
        except OSError as error:
            raise DataError(
                f"{path}: the raw output cannot be read ({error.strerror})",
                hint="restore it from where it was moved or backed up: its answers are not asked for twice",
            ) from None
        if not is_as_it_was:
            text = f"{path}: the raw output was changed or cut since it was downloaded; {self._name} is left as it was"
            raise DataError(text, hint=_CHANGED_HINT.format(name=self._name))
        return int(handle.fileno())

    def _own(self, request: Placed, decoded: Response | None) -> Response:
        """Returns the decoded row if it is about this request."""
        custom_id = decoded.custom_id if decoded else None
        if decoded is None or not self._is_about(request, custom_id):
            raise self._elsewhere(request)
        return decoded

    def _is_about(self, request: Placed, custom_id: str | None) -> bool:
        if request.raw_job_id is None or request.raw_job_id == request.job_id:
            return custom_id == request.custom_id
        batch_id = self._batch_of[request.raw_job_id]
        place = batch_file.place(custom_id, self._nonces.get(batch_id, ""))
        return place is not None and request_rows.is_asked_for(self._tx, batch_id, place, str(custom_id), request.id)

    def _elsewhere(self, request: Placed) -> DataError:
        return DataError(
            f"{self._name}: the ledger points to the wrong bytes for {request.item_id} ({request.custom_id})",
            hint=f"batchflow ledger check; batchflow results {self._name} --again decodes its answers again",
        )
