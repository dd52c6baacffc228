"""Decoded rows onto their requests: the first answer counts, an answer beats a failure, all else is an oddity."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from batchflow.ledger import Tx, request_rows
from batchflow.ledger.records import JobRecord
from batchflow.ledger.request_rows import BAND, Answered, AnsweredRow, Columns
from batchflow.records import Outcome

_RANKS = {Outcome.OK.value: 3, Outcome.EXPIRED.value: 1, Outcome.CANCELLED.value: 1}  # of a row; all others: 2
_ID, _OUTCOME, _INPUT = map(Answered._fields.index, ("id", "outcome", "input_tokens"))
_id_of, _outcome_of = itemgetter(_ID), itemgetter(_OUTCOME)
_TOKENS = slice(_INPUT, _INPUT + 6)


class Sums:
    """Counts and tokens that the ledger keeps of a job besides its rows, added up while the rows are written.

    `request_rows.counts_of`, `usage_of` and `without_usage` say the same, in 2 µs a row.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str | None, int | None], list[int]] = {}

    def add(self, columns: Columns) -> None:
        """Take rows that are written for the first time."""
        outcomes, parsed = columns[_OUTCOME], columns[_OUTCOME + 1]
        tokens, count = columns[_TOKENS], len(columns[_ID])
        prompts = tokens[0]
        if len(outcomes) == len(parsed) == 1 and None not in prompts and _band(min(prompts)) == _band(max(prompts)):
            sums = [sum(column) * (count if len(column) == 1 else 1) for column in tokens]
            return self._add(outcomes[0], parsed[0], _band(prompts[0]), [count, *sums])
        whole = (column * count if len(column) == 1 else column for column in (outcomes, parsed, *tokens))
        for outcome, how, read, *more in zip(*whole, strict=True):
            band = None if read is None else _band(read)
            self._add(outcome, how, band, [1, read or 0, *(number or 0 for number in more)])
        return None

    def add_silent(self, outcome: str, count: int) -> None:
        """Take requests that have no row."""
        if count:
            self._add(outcome, None, None, [count, 0, 0, 0, 0, 0, 0])

    def _add(self, outcome: str, parsed: str | None, band: int | None, numbers: list[int]) -> None:
        key = outcome, parsed, band
        sums = self._groups.get(key)
        self._groups[key] = numbers if sums is None else [a + b for a, b in zip(sums, numbers, strict=True)]

    @property
    def counts(self) -> list[list[str | int | None]]:
        """(outcome, parsed, requests, input, cached, output and reasoning tokens), as `jobs.counts` holds them."""
        rows: dict[tuple[str, str | None], list[int]] = {}
        for (outcome, parsed, _), (number, read, cached, given, reasoned, _, _) in self._groups.items():
            row = rows.setdefault((outcome, parsed), [0] * 5)
            rows[outcome, parsed] = _sum(row, (number, read, cached, given, reasoned))
        return [[*key, *rows[key]] for key in sorted(rows, key=str)]

    @property
    def usage(self) -> list[list[int]]:
        """The rows of `request_rows.usage_of`."""
        rows: dict[int, list[int]] = {}
        for (_, _, band), (number, read, cached, given, reasoned, kept, hour) in self._groups.items():
            if band is not None:
                rows[band] = _sum(rows.get(band, [0] * 7), (number, read, cached, kept, hour, given, reasoned))
        return [[band, *rows[band]] for band in sorted(rows)]

    @property
    def blind(self) -> int:
        """The number of `request_rows.without_usage`."""
        ran = request_rows.RAN
        return sum(row[0] for (outcome, _, band), row in self._groups.items() if band is None and outcome in ran)


def _band(tokens: int) -> int:
    return (max(tokens, 1) - 1) // BAND


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


class Sorter:
    """Assigns a job's rows to its requests, in whose order they come. sums: None once they are no sums any more."""

    def __init__(self, tx: Tx, job: JobRecord, oddities: dict[str, int]) -> None:
        self._tx, self.oddities = tx, oddities
        self._first, self._last = request_rows.span(tx, job.id)
        self._seen = bytearray(self._last - self._first + 1)  # 0 nothing, 1 never ran, 2 a failure, 3 an answer
        self._rows: list[AnsweredRow] = []
        self.reached = 0
        self.sums: Sums | None = Sums()

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
            if seen:
                self.sums = None  # they hold the row that this one replaces
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
        if touched == len(columns[_ID]):
            if self.sums is not None:
                self.sums.add(columns)
        else:
            self.sums = None
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
