"""arena: candidates answer questions, a reviewer compares their answers, ratings follow; each step is a batch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow import files
from batchflow.errors import NotReady, UsageError
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json, Outcome
from batchflow.steps.arena import battles, rating
from batchflow.steps.arena.config import Arena, Model
from batchflow.steps.base.context import Context
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.poll import GetReport
from batchflow.steps.verbs.submission.prepare import PrepareOptions, PrepareReport, prepare
from batchflow.steps.verbs.submission.start import start_all
from batchflow.steps.verbs.submission.wait import wait
from batchflow.tasks.systems.arena import BATTLES, QUESTIONS
from batchflow.vendors.registry import traits_of

Listener = Callable[[GetReport], None]


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file of answers that was written. name: of the candidate. answered: of the questions."""

    name: str
    path: str
    answered: int
    questions: int
    next: str


@dataclass(frozen=True, slots=True)
class RateReport:
    """Report of `arena rate`. unread: reviews without a verdict, by reason. conflicts: reviews with two that differ.

    agreement: share of the pairs judged in both orders with the same verdict, of `twice` pairs; first_wins: mean share
    of the answer shown first. None where there is nothing to tell it from.
    """

    name: str
    method: str
    how: str
    rows: tuple[rating.RatingRow, ...]
    battles: int
    unread: dict[str, int]
    conflicts: int
    first_wins: float | None
    agreement: float | None
    twice: int
    files: tuple[str, ...]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def prepare_answers(context: Context, arena: Arena) -> list[PrepareReport]:
    """Prepare a batch of answers for each candidate that is enabled. Raises UsageError, DataError."""
    battles.questions(arena.question_file)
    if not arena.asked:
        raise UsageError(f"{arena.path}: no candidate is enabled", hint="enable: true in answers_gen")
    return [prepare(context, _options(arena, model)) for model in arena.asked]


def _options(arena: Arena, model: Model) -> PrepareOptions:
    is_own = traits_of(model.provider).own_engine
    if not is_own and (model.base_url or model.engine):
        raise UsageError(f"{arena.path}: {model.name}: base_url and engine are for provider local")
    return PrepareOptions(
        provider=model.provider, model=model.model, name=arena.batch_of(model), task=QUESTIONS.NAME,
        dataset=arena.question_file, max_tokens=model.max_tokens, temperature=model.temperature,
        local=LocalFlags(base_url=model.base_url, engine=model.engine) if is_own else LocalFlags(),
    )  # fmt: skip


def write_answers(context: Context, arena: Arena) -> list[AnswerFile]:
    """Fetch the answers of each candidate, and write its output_file. Raises NotReady while some are out."""
    questions = battles.questions(arena.question_file)
    written = []
    for model in arena.asked:
        report = results(context, arena.batch_of(model))
        if not report.finished:
            raise NotReady(f"{report.name}: some answers are still out", hint=f"batchflow get {report.name} --wait")
        known = _texts(context, report.path)
        with files.replacing(model.output_file) as out:
            for key, (text, category) in questions.items():
                if (answer := known.get(key)) is not None:
                    row: Json = {"question_id": key, "text": text, "category": category, "model_id": model.name}
                    metadata = {"model": model.model, "provider": model.provider, "batch": report.name}
                    out.write(files.dump_line({**row, "metadata": metadata, "answer": answer}))
        answered = sum(answer is not None for answer in known.values())
        follow = f"batchflow arena jury -c {shlex.quote(str(arena.path))} --start"
        written.append(AnswerFile(model.name, str(model.output_file), answered, len(questions), follow))
    return written


def _texts(context: Context, path: str) -> dict[str, str | None]:
    """The answers of a results file, by item; None where there is none."""
    rows = (row for _, row in files.objects(context.settings.project / path))
    return {str(row["custom_id"]): row["answer"] if row["outcome"] == Outcome.OK.value else None for row in rows}


def prepare_reviews(context: Context, arena: Arena) -> PrepareReport:
    """Write the battles, and prepare the reviewer's batch. Raises UsageError, DataError."""
    reviews = arena.reviews
    if not reviews.enabled:
        raise UsageError(f"{arena.path}: reviews_gen.enable is false", hint="enable it to review answers")
    if not reviews.model and not context.settings.default_model(reviews.provider):
        raise UsageError(f"{arena.path}: the reviewer has no model", hint="reviews_gen.reviewer.args.model names one")
    tally = battles.write(context, arena)
    local = LocalFlags(base_url=reviews.base_url) if reviews.base_url else LocalFlags()
    report = prepare(
        context,
        PrepareOptions(
            provider=reviews.provider, model=reviews.model or None, name=arena.reviewing, task=BATTLES.NAME,
            dataset=tally.path, max_tokens=reviews.max_tokens, temperature=reviews.temperature, local=local,
        ),
    )  # fmt: skip
    return replace(report, notes=(*report.notes, *_notes(tally)))


def _notes(tally: battles.Made) -> tuple[str, ...]:
    lost = [
        f"{name}: {count:,} questions without an answer fight no battle" for name, count in tally.unanswered.items()
    ]
    forged = [f"{tally.forged:,} answers hold a mark of the template, which was taken apart"] if tally.forged else []
    return (*lost, *forged)


def rate(context: Context, arena: Arena, method: str | None = None) -> RateReport:
    """Read the reviews, write review_file and report_file, and rate the candidates. Raises NotReady, DataError."""
    report = results(context, arena.reviewing)
    if not report.finished:
        raise NotReady(f"{report.name}: some reviews are still out", hint=f"batchflow get {report.name} --wait")
    with context.ledger.read() as tx:
        batch = batches.get(tx, arena.reviewing)
    texts = _texts(context, report.path)
    rows = (row for _, row in files.objects(Path(batch.dataset_path)))
    reading = rating.read(rows, texts, arena.reviews.parser)
    chosen = method or ("score" if arena.reviews.mode == "single" else arena.method)
    rated, how = rating.rate(reading.fought, chosen, arena.baseline_model)
    stamp = batch.results_at.timestamp() if batch.results_at else 0.0
    questions = battles.questions(arena.question_file)
    with files.replacing(arena.reviews.review_file) as out:
        for line in rating.reviews(reading.fought, arena, questions, stamp):
            out.write(line)
    with files.replacing(arena.report_file) as out:
        out.write(rating.table(rated, chosen))
    seen = rating.asked_twice(reading.fought)
    return RateReport(
        name=batch.name, method=chosen, how=how, rows=rated, battles=len(reading.fought), unread=reading.unread,
        conflicts=reading.conflicts, first_wins=seen.left_wins if seen else None,
        agreement=seen.agreement if seen else None, twice=seen.twice if seen else 0,
        files=(str(arena.reviews.review_file), str(arena.report_file)), notes=arena.notes, rehearsal=batch.rehearsal,
        next=f"batchflow show {batch.name} --items",
    )  # fmt: skip


def run(
    context: Context, arena: Arena, *, method: str | None, refresh_after_s: float, on_report: Listener
) -> RateReport:
    """All steps in order, each as far as it is not done. The same command again goes on where it was stopped."""
    _finish(context, [report.name for report in prepare_answers(context, arena)], refresh_after_s, on_report)
    write_answers(context, arena)
    report = prepare_reviews(context, arena)
    _finish(context, [report.name], refresh_after_s, on_report)
    return rate(context, arena, method)


def _finish(context: Context, names: Sequence[str], refresh_after_s: float, on_report: Listener) -> None:
    """Send what is not sent, and wait for the end."""
    with context.ledger.read() as tx:
        records = [batches.get(tx, name) for name in names]
    start_all(context, [batch.name for batch in records if not _is_fetched(batch)])
    wait(context, names, refresh_after_s=refresh_after_s, on_report=on_report)


def _is_fetched(batch: BatchRecord) -> bool:
    """Tells whether its results are here, so that there is nothing to send; a rule's need no sending at all."""
    return batch.results_path is not None and not traits_of(batch.provider).judges_only
