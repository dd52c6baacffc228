"""arena: candidates answer questions, a reviewer compares their answers, ratings follow; each step is a batch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow import files
from batchflow.errors import DataError, NotReady, UsageError
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord
from batchflow.records import Outcome
from batchflow.steps.arena import answer_files, battles, kept_reviews, rating, review_files
from batchflow.steps.arena.config import Arena, Model
from batchflow.steps.base.context import Context
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.verbs.submission.prepare import PrepareOptions, PrepareReport, prepare
from batchflow.steps.verbs.submission.start import start_all
from batchflow.steps.verbs.submission.wait import wait
from batchflow.tasks.systems.arena import BATTLES, QUESTIONS, Asked
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
    of the answer shown first. None where there is nothing to tell it from. imported: reviews of cache_file. rows: none
    where `rating_gen.enable` is false.
    """

    name: str
    method: str
    how: str
    rows: tuple[rating.RatingRow, ...]
    battles: int
    imported: int
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
    questions = answer_files.questions(arena.question_file)
    if not arena.asked:
        raise UsageError(f"{arena.path}: no candidate is enabled", hint="enable: true in answers_gen")
    reports = [prepare(context, answer_options(arena, model)) for model in arena.asked]
    if more := sum(question.turns > 1 for question in questions.values()):
        note = f"{more:,} questions have several turns; the first one is asked"
        reports = [replace(report, notes=(*report.notes, note)) for report in reports]
    return reports


def answer_options(arena: Arena, model: Model) -> PrepareOptions:
    """The batch of a candidate's answers, as `prepare` takes it. Raises UsageError."""
    is_own = traits_of(model.provider).own_engine
    if not is_own and (model.base_url or model.engine):
        raise UsageError(f"{arena.path}: {model.name}: base_url and engine are for provider local")
    return PrepareOptions(
        provider=model.provider, model=model.model, name=arena.batch_of(model), task=QUESTIONS.NAME,
        dataset=arena.question_file, max_tokens=model.max_tokens, temperature=model.temperature,
        local=LocalFlags(base_url=model.base_url, engine=model.engine) if is_own else LocalFlags(),
    )  # fmt: skip


def write_answers(context: Context, arena: Arena, fastchat: Path | None = None) -> list[AnswerFile]:
    """Fetch the answers of each candidate, and write its output_file. Raises NotReady while some are out.

    fastchat: a folder that gets `model_answer/CANDIDATE.jsonl` too.
    """
    questions = answer_files.questions(arena.question_file)
    written = []
    for model in arena.asked:
        report = results(context, arena.batch_of(model))
        if not report.finished:
            raise NotReady(f"{report.name}: some answers are still out", hint=f"batchflow get {report.name} --wait")
        texts = _texts(context, report.path)
        rows = [(question, text) for key, question in questions.items() if (text := texts.get(key)) is not None]
        _write(model.output_file, answer_files.lines(model.name, model, report.name, rows))
        if fastchat is not None:
            stamp = _stamp(context, report.name)
            path = fastchat / "model_answer" / f"{model.name.replace('/', '_')}.jsonl"
            _write(path, answer_files.fastchat_lines(model.name, report.name, stamp, rows))
        follow = f"batchflow arena jury -c {shlex.quote(str(arena.path))} --start"
        written.append(AnswerFile(model.name, str(model.output_file), len(rows), len(questions), follow))
    return written


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with files.replacing(path) as out:
        for line in lines:
            out.write(line)


def _stamp(context: Context, name: str) -> float:
    """Time at which the results of a batch came, in seconds; 0 without them, and without such a batch."""
    with context.ledger.read() as tx:
        batch = batches.find(tx, name)
    return batch.results_at.timestamp() if batch is not None and batch.results_at else 0.0


def _texts(context: Context, path: str) -> dict[str, str | None]:
    """The answers of a results file, by item; None where there is none."""
    rows = (row for _, row in files.objects(context.settings.project / path))
    return {str(row["custom_id"]): row["answer"] if row["outcome"] == Outcome.OK.value else None for row in rows}


def prepare_reviews(context: Context, arena: Arena) -> PrepareReport | None:
    """Write the battles, and prepare the reviewer's batch. None where cache_file has a review of every battle.

    Raises UsageError, DataError.
    """
    reviews = arena.reviews
    if not reviews.enabled:
        raise UsageError(f"{arena.path}: reviews_gen.enable is false", hint="enable it to review answers")
    questions = answer_files.questions(arena.question_file)
    kept = _kept(context, arena, questions)
    options = review_options(context, arena)
    with context.ledger.read() as tx:
        there = batches.find(tx, arena.reviewing)
    path = battles_path(context, arena)
    aside = path if there is None else path.with_suffix(".new.jsonl")  # a batch keeps the file that it was made from
    tally = battles.write(aside, arena, questions, kept.fought)
    if not tally.count:
        return None
    try:
        same = there is not None and files.sha256(aside) == there.dataset_sha256
        report = prepare(context, replace(options, dataset=path if same else aside))
    finally:
        if aside != path:
            aside.unlink(missing_ok=True)
    return replace(report, notes=(*report.notes, *_notes(tally), *kept.notes()))


def battles_path(context: Context, arena: Arena) -> Path:
    """The data set of the reviewer's batch."""
    return context.settings.processed / "arena" / f"{arena.reviewing}.jsonl"


def review_options(context: Context, arena: Arena) -> PrepareOptions:
    """The reviewer's batch, as `prepare` takes it, without its data set. Raises UsageError."""
    reviews = arena.reviews
    if not reviews.model and not context.settings.default_model(reviews.provider):
        raise UsageError(f"{arena.path}: the reviewer has no model", hint="reviews_gen.reviewer.args.model names one")
    return PrepareOptions(
        provider=reviews.provider, model=reviews.model or None, name=arena.reviewing, task=BATTLES.NAME,
        max_tokens=reviews.max_tokens, temperature=reviews.temperature,
        local=LocalFlags(base_url=reviews.base_url) if reviews.base_url else LocalFlags(),
    )  # fmt: skip


def _kept(context: Context, arena: Arena, questions: Mapping[str, Asked]) -> kept_reviews.Kept:
    """The reviews of cache_file that no batch of this ledger gave."""
    with context.ledger.read() as tx:
        own = {arena.reviewing} if batches.find(tx, arena.reviewing) else set[str]()
    return kept_reviews.read(arena, questions, own)


def _notes(tally: battles.Tally) -> tuple[str, ...]:
    lost = [
        f"{name}: {count:,} questions without an answer fight no battle" for name, count in tally.unanswered.items()
    ]
    forged = [f"{tally.forged:,} answers hold a mark of the template, which was taken apart"] if tally.forged else []
    changed = (
        [f"{tally.changed:,} reviews of cache_file judged other answers; these battles are asked"]
        if tally.changed else []
    )  # fmt: skip
    return (*lost, *forged, *changed, *tally.notes)


def rate(
    context: Context, arena: Arena, method: str | None = None, *, fastchat: Path | None = None, rates: bool = True
) -> RateReport:
    """Read the reviews, write review_file and report_file, and rate the candidates. Raises NotReady, DataError.

    fastchat: a folder that gets FastChat's `model_judgment` too. rates: False to write the reviews only.
    """
    questions = answer_files.questions(arena.question_file)
    seen = reviewed(context, arena, questions)
    reading, batch = seen.reading, seen.batch
    chosen = method_of(arena, method)
    written = [arena.reviews.review_file]
    _write(
        arena.reviews.review_file,
        review_files.evalscope(reading.fought, questions, _stamp(context, arena.reviewing)),
    )
    if fastchat is not None:
        judge = batch.model if batch else "unknown"
        written += review_files.write_fastchat(fastchat, reading.fought, questions, judge)
    rated: tuple[rating.RatingRow, ...] = ()
    how = "rating_gen.enable is false: batchflow arena rate rates all the same"
    if rates:
        rated, how = rating.rate(reading.fought, chosen, arena.baseline_model)
        _write(arena.report_file, [rating.table(rated, chosen)])
        written.append(arena.report_file)
    orders = rating.asked_twice(reading.fought)
    config = shlex.quote(str(arena.path))
    return RateReport(
        name=arena.reviewing, method=chosen, how=how, rows=rated, battles=len(reading.fought), imported=reading.taken,
        unread=reading.unread, conflicts=reading.conflicts, first_wins=orders.left_wins if orders else None,
        agreement=orders.agreement if orders else None, twice=orders.twice if orders else 0,
        files=tuple(map(str, written)), notes=(*arena.notes, *seen.kept.notes()), rehearsal=seen.rehearsal,
        next=f"batchflow show {batch.name} --items" if batch else f"batchflow arena rate -c {config} --method winrate",
    )  # fmt: skip


def method_of(arena: Arena, method: str | None) -> str:
    """The method that is asked for, else that of the arena's file; single answers have scores only."""
    return method or ("score" if arena.reviews.mode == "single" else arena.method)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """All reviews of an arena. batch: the reviewer's; None where all come from cache_file."""

    reading: rating.Reading
    kept: kept_reviews.Kept
    batch: BatchRecord | None

    @property
    def rehearsal(self) -> bool:
        """Tells whether the reviews are made up."""
        return self.batch.rehearsal if self.batch else False


def reviewed(context: Context, arena: Arena, questions: Mapping[str, Asked]) -> Reviewed:
    """The reviews of the reviewer's batch, and those of cache_file about other battles. Raises NotReady, DataError."""
    kept = _kept(context, arena, questions)
    with context.ledger.read() as tx:
        batch = batches.find(tx, arena.reviewing)
    reading = rating.Reading()
    if batch is None:
        if not kept.fought:
            raise DataError(
                f"{arena.path}: there are no reviews",
                hint="batchflow arena jury asks for them, or reviews_gen.cache_file names a file of them",
            )
    else:
        report = results(context, batch.name)
        if not report.finished:
            raise NotReady(f"{report.name}: some reviews are still out", hint=f"batchflow get {report.name} --wait")
        rows = (row for _, row in files.objects(Path(batch.dataset_path)))
        reading.add(rating.read(rows, _texts(context, report.path), arena.reviews.parser, batch.name))
    answered = {each.key for each in reading.fought}
    others = [each for key, each in kept.fought.items() if key not in answered]
    reading.taken = len(others)
    reading.add(others)
    with context.ledger.read() as tx:
        return Reviewed(reading, kept, batches.find(tx, arena.reviewing))


def run(
    context: Context, arena: Arena, *, method: str | None, refresh_after_s: float, on_report: Listener
) -> RateReport:
    """All steps in order, each as far as it is not done. The same command again goes on where it was stopped."""
    if arena.asked:
        _finish(context, [report.name for report in prepare_answers(context, arena)], refresh_after_s, on_report)
        write_answers(context, arena)
    if arena.reviews.enabled and (report := prepare_reviews(context, arena)) is not None:
        _finish(context, [report.name], refresh_after_s, on_report)
    return rate(context, arena, method, rates=arena.rates or method is not None)


def _finish(context: Context, names: Sequence[str], refresh_after_s: float, on_report: Listener) -> None:
    """Send what is not sent, and wait for the end."""
    with context.ledger.read() as tx:
        records = [batches.get(tx, name) for name in names]
    start_all(context, [batch.name for batch in records if not _is_fetched(batch)])
    wait(context, names, refresh_after_s=refresh_after_s, on_report=on_report)


def _is_fetched(batch: BatchRecord) -> bool:
    """Tells whether its results are here, so that there is nothing to send; a rule's need no sending at all."""
    return batch.results_path is not None and not traits_of(batch.provider).judges_only
