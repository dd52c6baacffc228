"""A judge's decoded rows into votes. A vote that is not there stays missing; it is never wrong by default."""

from __future__ import annotations

from batchflow import files, parsing
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.batches import request_range
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Outcome, Parsed, Response, VoteStatus
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.tasks import registry as tasks
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

Vote = tuple[VoteStatus, bool | None, bool | None]

_MISSING: Vote = (VoteStatus.MISSING, None, None)
_UNPARSED: Vote = (VoteStatus.UNPARSED, None, None)


class Votes:
    """The votes in a job's raw rows, by where they stand; read before the transaction that counts them."""

    def __init__(self, job_id: int) -> None:
        self.job_id = job_id
        self._read: dict[tuple[int, int], Vote] = {}

    def read(self, number: int, offset: int, response: Response, answer: parsing.Answer | None) -> None:
        """Take the vote of one row."""
        self._read[number, offset] = _vote_of(response, answer)

    def of(self, request: RequestRecord) -> Vote | None:
        """The vote of a request whose row is this job's; None for another job's."""
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
    answers = range(*request_range(batch.parent_id))
    with RawReader(context.settings.project, vendor, tx, batch) as reader:
        for member in (batch, *batches.retries_of(tx, batch.id)):
            counted, votes = request_rows.counted_votes(tx, member.id), list[request_rows.NewVote]()
            for request in request_rows.stream(tx, member.id):
                subject = request.subject_id
                if request.outcome is None or subject is None or subject not in answers:
                    continue
                if (vote := fresh.of(request) if fresh else None) is not None:
                    votes.append((request.id, subject, vote[0].value, *vote[1:]))
                elif request.id in counted and not (fresh and fresh.job_id in {request.job_id, request.raw_job_id}):
                    votes.append(counted[request.id])
                else:
                    status, *flags = _vote(batch, request, reader)
                    votes.append((request.id, subject, status.value, flags[0], flags[1]))
            request_rows.put_votes(tx, member.id, votes)


def _vote(batch: BatchRecord, request: RequestRecord, reader: RawReader) -> Vote:
    """The vote in a row that no job of this process brought."""
    response = reader.response(request) if request.outcome == Outcome.OK.value else None
    if response is None or response.text is None:
        return _MISSING
    if registry.traits_of(batch.provider).judges_only:
        return _vote_of(response, parsing.Answer(Parsed.STRICT, files.loads(response.text)))
    return _vote_of(response, parsing.parse_response(response, tasks.get(batch.task).VERDICT))


def _vote_of(response: Response, answer: parsing.Answer | None) -> Vote:
    """What a row votes. A rule judges the answer only, and abstains where it does not apply."""
    if response.outcome is not Outcome.OK or answer is None:
        return _MISSING
    if answer.value is None:
        return _UNPARSED
    right, justified = answer.value["is_answer_correct"], answer.value["is_justification_correct"]
    return (VoteStatus.ABSTAINED if right is None else VoteStatus.VALID), right, justified
