"""A judge's decoded rows into votes. A vote that is not there stays missing; it is never wrong by default."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from batchflow.judges.base import Verdict
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.batches import request_range
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.ledger.request_rows import NewVote
from batchflow.records import Outcome, VoteStatus
from batchflow.steps.base.answer_form import Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.vendors.base import Vendor

_MISSING = Verdict(VoteStatus.MISSING)


class Votes:
    """The verdicts in a job's raw rows, by where they stand; read before the transaction that counts them.

    Verdicts that are one object, as a rule's are, are kept once: a row costs twelve bytes then.
    """

    def __init__(self, job_id: int) -> None:
        self.job_id = job_id
        self._files: dict[int, tuple[array[int], array[int]]] = {}  # by number: offsets, and places of their verdicts
        self._verdicts: list[Verdict] = []
        self._places: dict[int, int] = {}  # by the identity of a verdict, which lives as long as this

    def read(self, number: int, offset: int, verdict: Verdict) -> None:
        """Take the verdict of one row. The rows of a file come in its order."""
        place = self._places.get(id(verdict))
        if place is None:
            place = self._places[id(verdict)] = len(self._verdicts)
            self._verdicts.append(verdict)
        offsets, places = self._files.setdefault(number, (array("q"), array("L")))
        offsets.append(offset)
        places.append(place)

    def at(self, number: int | None, offset: int | None) -> Verdict | None:
        """The verdict of the row at a place in a file; MISSING for a request without a row, None for a place unread."""
        if number is None or offset is None:
            return _MISSING
        offsets, places = self._files.get(number, _NO_FILE)
        index = bisect_left(offsets, offset)
        return self._verdicts[places[index]] if index < len(offsets) and offsets[index] == offset else None

    def of(self, request: RequestRecord) -> Verdict | None:
        """The verdict of a request whose row is this job's; None for another job's."""
        if (request.raw_job_id or request.job_id) != self.job_id:
            return None
        return self.at(request.raw_file, request.raw_offset)


_NO_FILE: tuple[array[int], array[int]] = array("q"), array("L")


def count_own(tx: Tx, batch: BatchRecord, fresh: Votes) -> None:
    """Write the votes of one job of a judge batch that nobody retries; those of its other jobs stay."""
    if batch.parent_id is None:
        return
    answers, fields = range(*request_range(batch.parent_id)), Form.of(batch).voted
    first, last = request_rows.span(tx, fresh.job_id)
    request_rows.put_votes_between(tx, first, last + 1, _own(tx, first, last + 1, answers, fields, fresh))


def _own(
    tx: Tx, low: int, high: int, answers: range, fields: tuple[str, ...], fresh: Votes
) -> Iterator[request_rows.VoteRow]:
    latest, facts = _MISSING, _facts(_MISSING, fields)
    for request_id, subject, outcome, number, offset in request_rows.replies(tx, low, high):
        if outcome is None or subject is None or subject not in answers:
            continue
        verdict = fresh.at(number, offset) or _MISSING
        if verdict is not latest:
            latest, facts = verdict, _facts(verdict, fields)
        for field, status, value, label, reason in facts:
            yield request_id, field, subject, status, value, label, reason


def count(context: Context, tx: Tx, batch: BatchRecord, vendor: Vendor, fresh: Votes | None) -> None:
    """Write the votes of a judge batch, and of those that retry it, from the raw bytes of their settled requests.

    What a retry brought for a request of the judge's own stands in that request already; what it brought on answers
    that the judge was never asked about are votes of the retry. fresh: the votes of the job that was read just now;
    those on other jobs' rows stay as they were counted.
    """
    if batch.parent_id is None:
        return
    answers, form = range(*request_range(batch.parent_id)), Form.of(batch)
    with RawReader(context, vendor, tx, batch) as reader:
        for member in (batch, *batches.retries_of(tx, batch.id)):
            counted, votes = request_rows.counted_votes(tx, member.id), list[NewVote]()
            for request in request_rows.stream(tx, member.id):
                subject = request.subject_id
                if request.outcome is None or subject is None or subject not in answers:
                    continue
                if (verdict := fresh.of(request) if fresh else None) is not None:
                    votes += _votes(request.id, subject, form.voted, verdict)
                elif request.id in counted and not (fresh and fresh.job_id in {request.job_id, request.raw_job_id}):
                    votes += counted[request.id]
                else:
                    votes += _votes(request.id, subject, form.voted, _verdict(request, reader, form))
            request_rows.put_votes(tx, member.id, votes)


def _verdict(request: RequestRecord, reader: RawReader, form: Form) -> Verdict:
    """The verdict in a row that no job of this process brought."""
    response = reader.response(request) if request.outcome == Outcome.OK.value else None
    return _MISSING if response is None else form.verdict(response, request.columns)


def _votes(request_id: int, subject: int, fields: tuple[str, ...], verdict: Verdict) -> Iterator[NewVote]:
    """One row for each field that the judge speaks about, with or without a value."""
    for field, status, value, label, reason in _facts(verdict, fields):
        yield NewVote(request_id, field, subject, status, value, label, reason)


def _facts(verdict: Verdict, fields: tuple[str, ...]) -> list[tuple[str, str, float | None, str | None, str | None]]:
    """(field, status, value, label, reason) of each field."""
    status, values, labels = verdict.status.value, verdict.values, verdict.labels
    return [(field, status, values.get(field), labels.get(field), verdict.reason) for field in fields]
