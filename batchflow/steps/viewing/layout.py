"""results --layout: a batch's results once more, in the files of another layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from typing import Any, TypeVar

from batchflow.judges.scripts.sandbox import SCRIPT
from batchflow.layouts.base import Layout, Said, Verdicts
from batchflow.ledger import batches, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.building.sources import items_in_order, same_source
from batchflow.steps.collecting.fetch import ResultsReport
from batchflow.steps.collecting.results_file import Place, VerdictsOf, write_layout
from batchflow.steps.judging.ballot import of_batch
from batchflow.steps.judging.jury_lookup import chosen_jury
from batchflow.tasks import registry as tasks
from batchflow.vendors import registry as vendors
from batchflow.vendors.inhouse import rules

Value = TypeVar("Value")


def also_in(context: Context, report: ResultsReport, layout: Layout, place: Place | None = None) -> ResultsReport:
    """Write the results of a batch that were just fetched in a layout; returns the report with its files.

    Raises DataError where the layout wants the items of a data set that was changed.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, report.name)
    task = tasks.of_spec(batch.task, batch.spec)
    item_of = items_in_order(task, same_source(context, batch), batch) if layout.ITEMS else None
    verdicts_of = _verdicts(context, batch) if layout.VERDICTS else None
    return replace(report, also=write_layout(context, batch, layout, item_of, verdicts_of, place))


def _verdicts(context: Context, batch: BatchRecord) -> VerdictsOf | None:
    """Verdicts of the batch's jury, of the kind that suits its task; None before a vote has been fetched."""
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, batch.id)
    if not judges:
        return None
    from batchflow.score.values import item_values

    jury = chosen_jury(batch, judges).judges
    ballot = of_batch(context, batch, jury)
    if not any(code >= 0 for judge in ballot.judges for code in judge.cast[ballot.field]):
        return None  # no vote has been fetched yet, or none could be read
    values = item_values(ballot.votes(), ballot.field)
    mean = dict(zip(compress(ballot.items, values.judged), values.mean.tolist(), strict=True))
    place = {name: index for index, name in enumerate(ballot.items)}
    field, sampled = ballot.field, ballot.sampled  # each looks at all answers
    labels = [_labels(context, batch, judge, field) for judge in jury]
    extracted = [_extracted(context, batch, judge) for judge in jury]

    def find(item: str, sample: int) -> Verdicts | None:
        name = f"{item} #{sample}" if sampled else item
        if (index := place.get(name)) is None:
            return None
        codes = [float(judge.cast[field][index]) for judge in ballot.judges]
        judgments = (
            Said(judge.name, code if code >= 0 else None, words.get((item, sample)), outputs.get((item, sample)))
            for judge, code, words, outputs in zip(ballot.judges, codes, labels, extracted, strict=True)
        )
        return Verdicts(mean.get(name), tuple(judgments))

    return find


def _labels(context: Context, batch: BatchRecord, judge: BatchRecord, field: str) -> Mapping[tuple[str, int], str]:
    """Words of one judge's votes on a field, by item and sample."""
    with context.ledger.read() as tx:
        words = {
            vote.subject_id: vote.label
            for member in (judge, *batches.retries_of(tx, judge.id))
            for votes in request_rows.counted_votes(tx, member.id).values()
            for vote in votes
            if vote.field == field and vote.label is not None
        }
    return _by_item(context, batch, words)


def _extracted(context: Context, batch: BatchRecord, judge: BatchRecord) -> Mapping[tuple[str, int], Any]:
    """Outputs that a verifier read out of the answers, by item and sample; empty for a judge that is none."""
    if SCRIPT not in judge.options:
        return {}
    outputs: dict[int, Any] = {}
    vendor = vendors.get(judge.provider, context.settings)
    with context.ledger.read() as tx, RawReader(context, vendor, tx, judge) as reader:
        for request in request_rows.stream(tx, judge.id):
            response = reader.response(request)
            if request.subject_id is not None and response is not None:
                outputs[request.subject_id] = rules.extracted_of(response)
    return _by_item(context, batch, outputs)


def _by_item(context: Context, batch: BatchRecord, values: Mapping[int, Value]) -> Mapping[tuple[str, int], Value]:
    """Values by item and sample, of values by request."""
    if not values:
        return {}
    with context.ledger.read() as tx:
        answers = request_rows.outcomes(tx, batch.id)
        return {(answer.item_id, answer.sample): values[answer.id] for answer in answers if answer.id in values}
