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
from batchflow.ledger.request_rows import Columns
from batchflow.records import Kind, Outcome, Parsed, Response, Usage
from batchflow.steps.base.answer_form import Form, as_answer
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import votes
from batchflow.texts import parsing, thoughts
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry

if TYPE_CHECKING:
    from batchflow.vendors.shared.row_shapes import Plain, Tokens

    Row = tuple[int, str, int, int, int, str, str | None, str | None, str | None, Tokens]
    """(id, custom_id, raw file, offset, length, outcome, parsed, error, model, tokens): what is made fastest."""

MOST_TOKENS = 2**31 - 1  # of one request; more is a vendor's mistake, and no database's INTEGER
CHUNK = 20_000  # rows that are sorted and written together: about 8 MB
IN_MEMORY = 2 << 20  # bytes of further chunks that wait in memory for their transaction; more wait on the disk
_MOST_RULINGS = 1_000  # different verdicts of a rule that are kept; most rules have three

_OK, _STRICT = Outcome.OK.value, Parsed.STRICT.value
_id_of = itemgetter(0)


class Reading:
    """A job's raw rows, decoded and kept aside, so that the transaction that sorts them in is short."""

    def __init__(self, session: VendorSession, job: JobRecord) -> None:
        context, batch = session.context, session.batch
        self._context, self._decode, self._nonce = context, session.vendor.decode, batch.nonce
        self._form = Form.of(batch)
        self._plain, self._is_strict = registry.plain_reader(batch.provider), self._form.strict
        self._hidden = Hidden(context.settings.secrets(batch.provider))
        self._low = batches.request_range(batch.id)[0]
        folder = str(context.settings.processed)
        self._aside = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)  # noqa: SIM115 - `__exit__` closes it
        self._chunk: list[Row] = []
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
            low, end, chunk = self._low, 0, self._chunk
            ours, digits = f"-{self._nonce}-", batch_file.PLACE_DIGITS
            with path.open("rb", buffering=files.CHUNK) as handle:
                for line in handle:
                    offset, length = end, len(line)
                    end += length
                    if len(chunk) >= CHUNK:
                        self._put_aside()
                        chunk = self._chunk
                    if (row := plain(line)) is None:
                        self._decode_line(tx, line, number, offset, length)
                        continue
                    custom_id, text, model, _, _, tokens = row
                    head, mark, _ = custom_id.partition(ours)
                    if is_strict(text) and mark and head.isdecimal() and len(head) <= digits:
                        request_id = low + int(head)  # nearly always so; a pattern takes 0.2 µs more
                        chunk.append((request_id, custom_id, number, offset, length, _OK, _STRICT, None, model, tokens))
                    else:
                        self._settle_plain(tx, row, line, number, offset, length)

    def _settle_plain(self, tx: Tx | None, row: Plain, line: bytes, number: int, offset: int, length: int) -> None:
        """Take a row of the usual shape whose answer has to be looked at."""
        if thoughts.behind(row[1]) is not row[1]:
            return self._decode_line(tx, line, number, offset, length)
        if (at := batch_file.place(row[0], self._nonce)) is None:
            return self._odd("unknown_id")
        custom_id, text, model, row_id, finish, tokens = row
        response = Response(custom_id, Outcome.OK, text, None, None, model, row_id, finish)
        return self._settle(tx, response, tokens, self._low + at, number, offset, length)

    def _decode_line(self, tx: Tx | None, line: bytes, number: int, offset: int, length: int) -> None:
        """Take a row of any shape."""
        line = line.rstrip(b"\n")
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
        parsed, error = answer.parsed.value if answer else None, self._hidden.text(error)[:4000] if error else None
        outcome, custom_id = response.outcome.value, str(response.custom_id)
        self._chunk.append(
            (request_id, custom_id, number, offset, length, outcome, parsed, error, response.model, tokens)
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
        ids, custom_ids, numbers, offsets, lengths, *what, tokens = zip(*rows, strict=True)
        return request_rows.packed([*what, *zip(*tokens, strict=True), numbers, offsets, lengths, ids, custom_ids])

    def _odd(self, kind: str) -> None:
        self.oddities[kind] = self.oddities.get(kind, 0) + 1


def _no_plain(_line: bytes) -> None:
    """The fast reader of a provider that has none."""


def _never_strict(_text: str) -> bool:
    """The fast check of answers whose form has none."""
    return False


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
