"""Tests of the judges' biases over scored batches: towards models of their own house, and towards long answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchflow.errors import DataError
from batchflow.ledger import batches, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.answer_form import Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging import caveats, readings
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.jury_lookup import chosen_jury
from batchflow.steps.judging.labels.gold_labels import GoldSource
from batchflow.steps.verbs.evaluation.score import ScoreOptions, ScoreReport
from batchflow.vendors import registry

if TYPE_CHECKING:
    from batchflow.score.bias import Bias, JudgedAnswers


def with_biases(context: Context, report: ScoreReport, options: ScoreOptions) -> ScoreReport:
    """The report with the biases of the judges of its batches, and with notes on what could not be tested.

    Judge files are left out: nothing is known of the answers that they are about.
    """
    from batchflow.score.bias import corrected, judge_biases

    gold, notes = GoldSource(context, options.gold), list[str]()
    models: list[JudgedAnswers] = []
    houses: dict[str, frozenset[str]] = {}
    field = next((row.score.numbers.field for row in report.batches if row.score and row.split), None)
    for row in report.batches:
        if row.score is None or not row.split or row.score.numbers.field != field:
            continue
        with context.ledger.read() as tx:
            parent = batches.get(tx, row.name)
            judges = chosen_jury(parent, batches.judges_of(tx, parent.id), options.field, options.extract).judges
        ballot = votes.of_batch(context, parent, judges)
        models.append(_answers(context, (parent, judges), ballot, field, gold, notes))
        houses |= {j.name: caveats.houses_of_judge(j.name) for j in ballot.judges if not j.is_rule}
    tests = corrected(judge_biases(models, dict(sorted(houses.items())), level=options.level))
    notes += _untested(models, sorted(houses), tests)
    return replace(report, biases=tests, notes=(*report.notes, *notes))


def _answers(
    context: Context,
    judged: tuple[BatchRecord, Sequence[BatchRecord]],
    ballot: Ballot,
    field: str,
    source: GoldSource,
    notes: list[str],
) -> JudgedAnswers:
    """The answers of a batch with their votes, lengths and labels."""
    from batchflow.score.bias import judged_answers
    from batchflow.score.labelled.own_labels import own_labels

    parent, judges = judged
    labels: dict[str, float] = {}
    about = source.about(parent.task, parent.split, ballot)
    if about is not None and about.of(ballot).labelled(field).any():
        labels = own_labels(ballot.items, about.of(ballot), field, provider=ballot.provider, model=ballot.model)
    try:
        lengths: Sequence[float | None] = _lengths(context, parent, judges)
    except DataError as error:
        notes.append(f"{parent.name}: the lengths of its answers are not known: {error}")
        lengths = [None] * len(ballot.items)
    return judged_answers(
        ballot.votes(),
        field,
        houses=caveats.houses_of_model(ballot),
        item_of=ballot.item_of or ballot.items,
        lengths=lengths,
        labels=labels,
    )


def _lengths(context: Context, parent: BatchRecord, judges: Sequence[BatchRecord]) -> list[float | None]:
    """Characters of each answer as the judges saw it, in the order of the batch. Raises DataError for changed files."""
    extract, form, lengths = readings.extract_of(judges[0]), Form.of(parent), list[float | None]()
    form = form if extract is None else form.by(extract)
    vendor = registry.get(parent.provider, context.settings)
    with context.ledger.read() as tx, RawReader(context, vendor, tx, parent) as reader:
        outcomes = readings.outcomes(context, tx, parent, judges)
        for outcome, request in zip(outcomes, request_rows.stream(tx, parent.id), strict=True):
            if outcome.has_answer:
                value = readings.read(form, reader.response(request), request).value
                lengths.append(None if value is None else float(sum(len(str(part)) for part in value.values())))
    return lengths


def _untested(models: Sequence[JudgedAnswers], judges: Sequence[str], biases: Sequence[Bias]) -> list[str]:
    """Notes on tests that could not be made, and why."""
    if not judges:
        return ["no judge is a model, so no bias was tested"]
    tested = {(each.kind, each.judge) for each in biases}
    homeless = [judge for judge in judges if ("own house", judge) not in tested]
    unsized = [judge for judge in judges if ("length", judge) not in tested]
    alone = "other judges' votes or 20 labels beside its own votes"
    notes = []
    if homeless:
        notes.append(
            f"own house is not tested for {', '.join(homeless)}: it takes batches of models of the judge's house and of"
            f" another house, and {alone}"
        )
    if unsized:
        notes.append(
            f"length is not tested for {', '.join(unsized)}: it takes answers of different lengths, and {alone}"
        )
    if 0 < len({model.model for model in models}) < _FEW_MODELS and any(each.kind == "own house" for each in biases):
        notes.append(
            "an own-house bias from few models may be that judge's opinion of one of them: intervals cover items"
        )
    return notes


_FEW_MODELS = 5
