"""A judge's decoded rows into votes. A vote that is not there stays missing; it is never wrong by default."""

from __future__ import annotations

from batchflow import files, responses
from batchflow.ledger import Tx, batches
from batchflow.ledger import requests as rows
from batchflow.ledger.batches import request_range
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Outcome, Schema, VoteStatus
from batchflow.steps.context import Context
from batchflow.steps.raw import RawReader
from batchflow.tasks import registry as tasks
from batchflow.vendors.base import Vendor

Vote = tuple[VoteStatus, bool | None, bool | None]


def count(context: Context, tx: Tx, batch: BatchRecord, vendor: Vendor) -> None:
    """Write the votes of a judge batch, and of those that retry it, from the raw bytes of their settled requests.

    What a retry brought for a request of the judge's own stands in that request already; what it brought on answers
    that the judge was never asked about are votes of the retry.
    """
    if batch.parent_id is None:
        return
    schema, answers = tasks.get(batch.task).VERDICT, range(*request_range(batch.parent_id))
    with RawReader(context.settings.project, vendor, tx, batch) as reader:
        for member in (batch, *batches.retries_of(tx, batch.id)):
            votes: list[rows.NewVote] = []
            for request in rows.stream(tx, member.id):
                if request.outcome is not None and request.subject_id is not None and request.subject_id in answers:
                    status, answer, justification = _vote(request, reader, schema, by_rule=batch.provider == "rule")
                    votes.append((request.id, request.subject_id, status.value, answer, justification))
            rows.put_votes(tx, member.id, votes)


def _vote(request: RequestRecord, reader: RawReader, schema: Schema, *, by_rule: bool) -> Vote:
    response = reader.response(request) if request.outcome == Outcome.OK.value else None
    if response is None or response.text is None:
        return VoteStatus.MISSING, None, None
    if by_rule:
        return _rule_vote(response.text)
    verdict = responses.parse(response.text, schema).value
    if verdict is None:
        return VoteStatus.UNPARSED, None, None
    return VoteStatus.VALID, verdict["is_answer_correct"], verdict["is_justification_correct"]


def _rule_vote(text: str) -> Vote:
    """A rule judges the answer only, and abstains where it does not apply."""
    right = files.loads(text)["is_answer_correct"]
    return (VoteStatus.ABSTAINED if right is None else VoteStatus.VALID), right, None
