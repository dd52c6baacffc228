"""Raw rows of a job into outcomes: read aside, sorted by their requests, written in one go.

Rows of the usual shape are read straight from their bytes (`vendors.shared.row_shapes`); `parsing.read_row` reads all
others, and both say the same of every row.
"""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from operator import itemgetter
from pathlib import Path
from typing import Self

from batchflow import batch_file, files
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import JobRecord
from batchflow.ledger.request_rows import Answered, AnsweredRow
from batchflow.records import Kind, Outcome, Parsed, Response, Usage
from batchflow.steps.base.answer_form import Form, as_answer
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import votes
from batchflow.texts import parsing
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry

MOST_TOKENS = 2**31 - 1  # of one request; more is a vendor's mistake, and no database's INTEGER
CHUNK = 10_000  # rows that are sorted and written together: about 4 MB
IN_MEMORY = 8 << 20  # bytes of chunks that wait in memory for their transaction; more wait on the disk

_OK, _STRICT = Outcome.OK.value, Parsed.STRICT.value
_RANKS = {_OK: 3, Outcome.EXPIRED.value: 1, Outcome.CANCELLED.value: 1}  # of a row; all others: 2
_id_of = itemgetter(Answered._fields.index("id"))
_outcome_of = itemgetter(Answered._fields.index("outcome"))


class Reading:
    """A job's raw rows, decoded and kept aside, so that the transaction that sorts them in is short."""

    def __init__(self, session: VendorSession, job: JobRecord) -> None:
        context, batch = session.context, session.batch
        self._context, self._decode, self._nonce = context, session.vendor.decode, batch.nonce
        self._form = Form.of(batch)
        self._plain, self._is_strict = registry.plain_reader(batch.provider), self._form.strict
        self._place = batch_file.placing(batch.nonce)
        self._hidden = Hidden(context.settings.secrets(batch.provider))
        self._low = batches.request_range(batch.id)[0]
        folder = str(context.settings.processed)
        self._aside = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)  # noqa: SIM115 - `__exit__` closes it
        self._chunk: list[AnsweredRow] = []
        self.oddities: dict[str, int] = {}
        self.votes = votes.Votes(job.id) if batch.kind is Kind.JUDGE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()

    def read(self, path: Path, number: int) -> None:
        """Decode one raw file."""
        with self._context.ledger.read() if self._form.needs_columns else nullcontext() as tx:
            for offset, length, line in files.lines(path):
                self._read(tx, line, number, offset, length)
                if len(self._chunk) >= CHUNK:
                    self._put_aside()

    def _read(self, tx: Tx | None, line: bytes, number: int, offset: int, length: int) -> None:
        if self._plain is not None and (plain := self._plain(line)) is not None:
            custom_id, text, model, row_id, finish, tokens = plain
            if (place := self._place(custom_id)) is None:
                return self._odd("unknown_id")
            request_id = self._low + int(place[1])
            if self._is_strict is not None and self._is_strict(text):
                row = (_OK, _STRICT, None, model, *tokens, number, offset, length, request_id, custom_id)
                return self._chunk.append(row)
            response = Response(custom_id, Outcome.OK, text, None, None, model, row_id, finish)
        elif not line or line.isspace():
            return None
        else:
            read = parsing.read_row(line, self._decode)
            at = None if read is None else batch_file.place(read.custom_id, self._nonce)
            if read is None or at is None:
                return self._odd("garbage_line" if read is None else "unknown_id")
            response, request_id, tokens = read, self._low + at, _tokens(read.usage)
        columns = request_rows.columns_of(tx, request_id) if tx is not None else ""
        answer = self._answer(response, columns, number, offset)
        error = response.error or (answer.why if answer else None)
        return self._chunk.append(
            (
                response.outcome.value,
                answer.parsed.value if answer else None,
                self._hidden.text(error)[:4000] if error else None,
                response.model,
                *tokens,
                *(number, offset, length),
                *(request_id, str(response.custom_id)),
            )
        )

    def _answer(self, response: Response, columns: str, number: int, offset: int) -> parsing.Answer | None:
        """Reads a reply; a judge's is kept for the votes as well."""
        if self.votes is None:
            return self._form.read(response, columns) if response.outcome is Outcome.OK else None
        verdict = self._form.verdict(response, columns)
        self.votes.read(number, offset, verdict)
        return as_answer(verdict)

    def sorted_chunks(self) -> Iterator[list[AnsweredRow]]:
        """The rows with an id in the form of ours, a chunk at a time, each in the order of its requests."""
        if self._aside.tell():
            if self._chunk:
                self._put_aside()
            self._aside.seek(0)
            while size := self._aside.read(8):
                yield marshal.loads(self._aside.read(int.from_bytes(size)))  # noqa: S302 - our own file, without a name
        elif self._chunk:
            self._chunk.sort(key=_id_of)
            yield self._chunk

    def _put_aside(self) -> None:
        self._chunk.sort(key=_id_of)  # stable: rows of one request stay in their order
        data = marshal.dumps(self._chunk)
        self._aside.write(len(data).to_bytes(8) + data)
        self._chunk = []

    def _odd(self, kind: str) -> None:
        self.oddities[kind] = self.oddities.get(kind, 0) + 1


class Sorter:
    """Assigns rows to their requests: the first answer counts, an answer beats a failure, all else is an oddity."""

    def __init__(self, tx: Tx, job: JobRecord, oddities: dict[str, int]) -> None:
        self._tx, self.oddities = tx, oddities
        self._first, self._last = request_rows.span(tx, job.id)
        self._seen = bytearray(self._last - self._first + 1)  # 0 nothing, 1 never ran, 2 a failure, 3 an answer
        self._rows: list[AnsweredRow] = []
        self.reached = 0

    def add(self, chunk: list[AnsweredRow]) -> None:
        """Take rows in the order of their requests, and write them."""
        ids = [_id_of(row) for row in chunk]
        start, end = ids[0] - self._first, ids[-1] + 1 - self._first
        if start >= 0 and end <= len(self._seen) and len(set(ids)) == len(ids) and not any(self._seen[start:end]):
            for row in chunk:  # all are requests of this job, and none was seen
                self._seen[_id_of(row) - self._first] = _RANKS.get(_outcome_of(row), 2)
            self._rows = chunk
        else:
            for row in chunk:
                self._sort(row)
        self._flush()

    def _sort(self, row: AnsweredRow) -> None:
        place, rank = _id_of(row) - self._first, _RANKS.get(_outcome_of(row), 2)
        if not 0 <= place < len(self._seen):
            return self._odd("unknown_id")
        if self._seen[place]:
            self._flush()  # what was seen may turn out to be a stranger with an id that only looks like ours
        seen = self._seen[place]
        if seen:
            self._odd("duplicate")
        if rank > seen:
            self._seen[place] = rank
            self._rows.append(row)
        return None

    def _flush(self) -> None:
        """Write what is collected. Rows whose id is ours in form but was never sent reach no request."""
        rows, self._rows = self._rows, []
        touched = request_rows.settle(self._tx, rows)
        self.reached += touched
        if touched != len(rows):
            for row in rows:
                if not request_rows.settle(self._tx, [row]):
                    self._odd("unknown_id")
                    self._seen[_id_of(row) - self._first] = 0

    @property
    def settled(self) -> int:
        """Number of requests with a row."""
        return len(self._seen) - self._seen.count(0)

    @property
    def ran(self) -> int:
        """Number of requests whose row says that they ran."""
        return self.settled - self._seen.count(1)

    def _odd(self, kind: str) -> None:
        self.oddities[kind] = self.oddities.get(kind, 0) + 1


_Tokens = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
_NO_TOKENS: _Tokens = (None, None, None, None, None, None)


def _tokens(usage: Usage | None) -> _Tokens:
    """The tokens of a usage in its order, as far as a database's INTEGER goes."""
    if usage is None:
        return _NO_TOKENS
    counts = (
        usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens,
        usage.written_tokens, usage.written_1h_tokens,
    )  # fmt: skip
    if max(counts) <= MOST_TOKENS:
        return counts
    a, b, c, d, e, f = (min(count, MOST_TOKENS) for count in counts)
    return a, b, c, d, e, f
