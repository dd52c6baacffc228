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
from typing import TYPE_CHECKING, Self

from batchflow import batch_file, files
from batchflow.judges.base import Verdict
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import JobRecord
from batchflow.ledger.request_rows import Answered, AnsweredRow, Columns
from batchflow.records import Kind, Outcome, Parsed, Response, Usage
from batchflow.steps.base.answer_form import Form, as_answer
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import votes
from batchflow.texts import parsing
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry

if TYPE_CHECKING:
    from batchflow.vendors.shared.row_shapes import Tokens

MOST_TOKENS = 2**31 - 1  # of one request; more is a vendor's mistake, and no database's INTEGER
CHUNK = 20_000  # rows that are sorted and written together: about 8 MB
IN_MEMORY = 2 << 20  # bytes of further chunks that wait in memory for their transaction; more wait on the disk
_MOST_RULINGS = 1_000  # different verdicts of a rule that are kept; most rules have three

_OK, _STRICT = Outcome.OK.value, Parsed.STRICT.value
_RANKS = {_OK: 3, Outcome.EXPIRED.value: 1, Outcome.CANCELLED.value: 1}  # of a row; all others: 2
_ID, _OUTCOME = map(Answered._fields.index, ("id", "outcome"))
_id_of, _outcome_of = itemgetter(_ID), itemgetter(_OUTCOME)


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
        self._rulings: dict[str, tuple[Verdict, parsing.Answer | None]] = {}
        self.votes = votes.Votes(job.id) if batch.kind is Kind.JUDGE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()

    def read(self, path: Path, number: int) -> None:
        """Decode one raw file."""
        with self._context.ledger.read() if self._form.needs_columns else nullcontext() as tx:
            plain, is_strict = self._plain or _no_plain, self._is_strict or _never_strict
            place_of, low, end, chunk = self._place, self._low, 0, self._chunk
            with path.open("rb", buffering=files.CHUNK) as handle:
                for line in handle:
                    offset, length = end, len(line)
                    end += length
                    if len(chunk) >= CHUNK:
                        self._put_aside()
                        chunk = self._chunk
                    if (row := plain(line)) is None:
                        self._decode_line(tx, line.rstrip(b"\n"), number, offset, length)
                        continue
                    custom_id, text, model, row_id, finish, tokens = row
                    if (place := place_of(custom_id)) is None:
                        self._odd("unknown_id")
                        continue
                    request_id = low + int(place[1])
                    if is_strict(text):
                        chunk.append(
                            (_OK, _STRICT, None, model, *tokens, number, offset, length, request_id, custom_id)
                        )
                    else:
                        response = Response(custom_id, Outcome.OK, text, None, None, model, row_id, finish)
                        self._settle(tx, response, tokens, request_id, number, offset, length)

    def _decode_line(self, tx: Tx | None, line: bytes, number: int, offset: int, length: int) -> None:
        """Take a row of any shape."""
        if not line or line.isspace():
            return None
        response = parsing.read_row(line, self._decode)
        at = None if response is None else batch_file.place(response.custom_id, self._nonce)
        if response is None or at is None:
            return self._odd("garbage_line" if response is None else "unknown_id")
        return self._settle(tx, response, _tokens(response.usage), self._low + at, number, offset, length)

    def _settle(
        self, tx: Tx | None, response: Response, tokens: Tokens, request_id: int, number: int, offset: int, length: int
    ) -> None:
        columns = request_rows.columns_of(tx, request_id) if tx is not None else ""
        answer = self._answer(response, columns, number, offset)
        error = response.error or (answer.why if answer else None)
        self._chunk.append(
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
        if self._form.by_rule and response.outcome is Outcome.OK and len(self._rulings) < _MOST_RULINGS:
            verdict, answer = self._ruled(response)
            self.votes.read(number, offset, verdict)
            return answer
        verdict = self._form.verdict(response, columns)
        self.votes.read(number, offset, verdict)
        return as_answer(verdict)

    def _ruled(self, response: Response) -> tuple[Verdict, parsing.Answer | None]:
        """A rule's verdict, which its text alone decides, and the same as an answer."""
        text = response.text or ""
        if (ruled := self._rulings.get(text)) is None:
            verdict = self._form.verdict(response, "")  # a rule reads no columns of the row
            ruled = self._rulings[text] = verdict, as_answer(verdict)
        return ruled

    def sorted_chunks(self) -> Iterator[Columns]:
        """The rows with an id in the form of ours, a chunk at a time, each in the order of its requests."""
        if self._aside.tell():
            if len(self._chunk) > CHUNK // 2:  # two whole chunks are more than may be in memory
                self._put_aside()
            self._aside.seek(0)
            while size := self._aside.read(8):
                yield marshal.loads(self._aside.read(int.from_bytes(size)))  # noqa: S302 - our own file, without a name
        if self._chunk:
            yield self._sorted()

    def _put_aside(self) -> None:
        data = marshal.dumps(self._sorted())
        self._aside.write(len(data).to_bytes(8) + data)

    def _sorted(self) -> Columns:
        """The rows that were read last, which are kept no longer."""
        rows, self._chunk = self._chunk, []
        rows.sort(key=_id_of)  # stable: rows of one request stay in their order
        return request_rows.columns_by(rows)

    def _odd(self, kind: str) -> None:
        self.oddities[kind] = self.oddities.get(kind, 0) + 1


def _no_plain(_line: bytes) -> None:
    """The fast reader of a provider that has none."""


def _never_strict(_text: str) -> bool:
    """The fast check of answers whose form has none."""
    return False


class Sorter:
    """Assigns rows to their requests: the first answer counts, an answer beats a failure, all else is an oddity."""

    def __init__(self, tx: Tx, job: JobRecord, oddities: dict[str, int]) -> None:
        self._tx, self.oddities = tx, oddities
        self._first, self._last = request_rows.span(tx, job.id)
        self._seen = bytearray(self._last - self._first + 1)  # 0 nothing, 1 never ran, 2 a failure, 3 an answer
        self._rows: list[AnsweredRow] = []
        self.reached = 0

    def add(self, chunk: Columns) -> None:
        """Take rows in the order of their requests, and write them."""
        ids, outcomes = chunk[_ID], chunk[_OUTCOME]
        start, end = ids[0] - self._first, ids[-1] + 1 - self._first
        if start < 0 or end > len(self._seen) or len(set(ids)) != len(ids) or any(self._seen[start:end]):
            for row in request_rows.rows_by(chunk):
                self._sort(row)
            return self._flush()
        ranks = bytes([_RANKS.get(outcome, 2) for outcome in outcomes])  # requests of this job, none of which was seen
        ranks = ranks if len(ranks) == len(ids) else ranks * len(ids)
        if end - start == len(ids):
            self._seen[start:end] = ranks
        else:
            for place, rank in zip(ids, ranks, strict=True):
                self._seen[place - self._first] = rank
        return self._write(chunk)

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
        """Write what is collected."""
        rows, self._rows = self._rows, []
        if rows:
            self._write(request_rows.columns_by(rows))

    def _write(self, columns: Columns) -> None:
        """Write outcomes. Rows whose id is ours in form but was never sent reach no request."""
        touched = request_rows.settle_columns(self._tx, columns)
        self.reached += touched
        if touched != len(columns[_ID]):
            for row in request_rows.rows_by(columns):
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


_NO_TOKENS: Tokens = (None, None, None, None, None, None)


def _tokens(usage: Usage | None) -> Tokens:
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
