"""A judge's decoded rows into votes. A vote that is not there stays missing; it is never wrong by default."""

from __future__ import annotations

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
    """The verdicts in a job's raw rows, by where they stand; read before the transaction that counts them."""

    def __init__(self, job_id: int) -> None:
        self.job_id = job_id
        self._read: dict[tuple[int, int], Verdict] = {}

    def read(self, number: int, offset: int, verdict: Verdict) -> None:
        """Take the verdict of one row."""
        self._read[number, offset] = verdict

    def of(self, request: RequestRecord) -> Verdict | None:
        """The verdict of a request whose row is this job's; None for another job's."""
        if (request.raw_job_id or request.job_id) != self.job_id:
            return None
        if request.raw_file is None or request.raw_offset is None:
            return _MISSING
        return self._read.get((request.raw_file, request.raw_offset))


def count(context: Context, tx: Tx, batch: BatchRecord, vendor: Vendor, fresh: Votes | None) -> None:
    """Write the votes of a judge batch, and of those that retry it, from the raw bytes of their settled requests.

    What a retry brought for a request of the judge's own stands in that request already; what it brought on answers
    that the judge was never asked about are votes of the retry. fresh: the votes of the job that was read just now;
    those on other jobs' rows stay as they were counted.
    """
    if batch.parent_id is None:
        return
    answers, form = range(*request_range(batch.parent_id)), Form.of(batch)
    with RawReader(context.settings.project, vendor, tx, batch) as reader:
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
    return _MISSING if response is None else form.verdict(response)


def _votes(request_id: int, subject: int, fields: tuple[str, ...], verdict: Verdict) -> Iterator[NewVote]:
    """One row for each field that the judge speaks about, with or without a value."""
    status, values, labels = verdict.status.value, verdict.values, verdict.labels
    for field in fields:
        yield NewVote(request_id, field, subject, status, values.get(field), labels.get(field), verdict.reason)
