"""Readings of a batch's answers: by its own extractors, as the ledger holds them, or by those of a jury.

A jury's extractors are recorded in its judge batches. What they leave of an answer is read from the raw text, which
stays as it came, so another chain asks nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from batchflow.errors import UsageError
from batchflow.extract.chain import chain
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import BatchRecord, OutcomeRecord, RequestRecord
from batchflow.records import Outcome, Parsed, Response
from batchflow.steps.base.answer_form import ANSWER, Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.texts.parsing import Answer
from batchflow.vendors import registry

Extract = tuple[str, ...]
"""A chain of extractors by their names, as a spec records it."""


def extract_of(judge: BatchRecord) -> Extract | None:
    """The extractors that a judge batch was given; None where it judges what the batch's own leave."""
    return tuple(judge.spec["extract"]) if "extract" in judge.spec else None


def used(batch: BatchRecord, extract: Extract | None) -> Extract:
    """The extractors between a batch's texts and the answers that a jury judges."""
    return Form.of(batch).chain.names if extract is None else extract


def asked_for(batch: BatchRecord, flags: Sequence[str]) -> Extract | None:
    """The extractors that `jury --extract` names; None without the flag, and for those that are the batch's own.

    Raises UsageError for an unknown extractor, and for objects without a text to extract from.
    """
    if not flags:
        return None
    names, form = chain(flags).names, Form.of(batch)
    if names == form.chain.names:
        return None
    fields = form.schema.schema["properties"] if form.schema else {ANSWER: {"type": "string"}}
    if fields.get(ANSWER, {}).get("type") != "string":
        raise UsageError(
            f"--extract: answers of {batch.name} are JSON objects without a text field {ANSWER!r}",
            hint=f"leave it out; the fields are {', '.join(fields)}",
        )
    return names


def outcomes(context: Context, tx: Tx, batch: BatchRecord, judges: Sequence[BatchRecord]) -> Iterator[OutcomeRecord]:
    """A batch's requests in order, answered or unparsed as the extractors of these judges read them.

    An answer that one of the judges was asked about was read then. All others are read here. Raises DataError where the
    raw text of one of them is not as it came.
    """
    extract = extract_of(judges[0]) if judges else None
    if extract is None:
        yield from request_rows.outcomes(tx, batch.id)
        return
    form, judged_ids = Form.of(batch).by(extract), judged(tx, batch, judges)
    vendor = registry.get(batch.provider, context.settings)
    with RawReader(context, vendor, tx, batch) as reader:
        rows = zip(request_rows.outcomes(tx, batch.id), request_rows.stream(tx, batch.id), strict=True)
        for outcome, request in rows:
            if outcome.outcome != Outcome.OK.value:
                yield outcome
            elif outcome.id in judged_ids:
                yield outcome._replace(parsed=Parsed.STRICT.value, error=None)
            else:
                answer = read(form, reader.response(request), request)
                yield outcome._replace(parsed=answer.parsed.value, error=answer.why)


def judged(tx: Tx, batch: BatchRecord, judges: Iterable[BatchRecord]) -> set[int]:
    """The answers of a batch that judges, or their retries, were asked about."""
    first, beyond = batches.request_range(batch.id)
    members = (member for judge in judges for member in (judge, *batches.retries_of(tx, judge.id)))
    subjects = (subject for member in members for subject in request_rows.subjects(tx, member.id))
    return {subject for subject in subjects if first <= subject < beyond}


def read(form: Form, response: Response | None, request: RequestRecord) -> Answer:
    """One answer, read from its raw text; what the vendor says of a text that cannot be read goes first."""
    answer = _NONE if response is None else form.read(response, request.columns)
    if answer.value is None and response is not None and response.error:
        return Answer(answer.parsed, None, response.error)
    return answer


_NONE = Answer(Parsed.UNPARSED, None)
