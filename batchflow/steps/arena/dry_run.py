"""An arena told beforehand: requests, tokens and money of each batch, in a folder that is thrown away."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from batchflow import files
from batchflow.errors import UsageError
from batchflow.ledger import batches
from batchflow.steps.arena import answer_files, battles, flow, kept_reviews
from batchflow.steps.arena.config import Arena, Model, Reviews
from batchflow.steps.base.context import Context
from batchflow.steps.verbs.submission.estimate import EstimateReport, EstimateRow, estimate_prepared, total
from batchflow.tasks.systems.arena import Asked

ASSUMED_TOKENS = 500
"""Length of an answer that does not exist yet, of a candidate without a limit."""

_WORD = "word "  # about one token


def dry_run(context: Context, arena: Arena) -> EstimateReport:
    """Estimate what is still to be asked. Nothing is sent, and nothing is kept. Raises UsageError, DataError."""
    questions = answer_files.questions(arena.question_file)
    if not arena.asked and not arena.reviews.enabled:
        raise UsageError(f"{arena.path}: no candidate is enabled, and no review", hint="there is nothing to ask")
    rows: list[EstimateRow] = []
    notes = list(arena.notes)
    for model in arena.asked:
        if not _is_fetched(context, arena.batch_of(model)):
            report = estimate_prepared(context, flow.answer_options(arena, model), with_jury=False)
            rows.append(report.batches[0])
            notes += report.notes
    if arena.reviews.enabled and not _is_fetched(context, arena.reviewing):
        with tempfile.TemporaryDirectory(prefix="batchflow-") as folder:
            row, more = _reviews(context, arena, questions, Path(folder))
        rows += [row] if row else []
        notes += more
    return EstimateReport(
        name=arena.stem, batches=tuple(rows), low_usd=total([row.estimate.low_usd for row in rows]),
        high_usd=total([row.estimate.high_usd for row in rows]), spent=None, notes=tuple(dict.fromkeys(notes)),
        rehearsal=False, next=f"batchflow arena run -c {shlex.quote(str(arena.path))}",
    )  # fmt: skip


def _is_fetched(context: Context, name: str) -> bool:
    with context.ledger.read() as tx:
        batch = batches.find(tx, name)
    return batch is not None and batch.results_path is not None


def _reviews(
    context: Context, arena: Arena, questions: Mapping[str, Asked], folder: Path
) -> tuple[EstimateRow | None, list[str]]:
    """The reviewer's batch, and notes. Answers that do not exist yet are assumed to be as long as they may be."""
    kept = kept_reviews.read(arena, questions, ())
    models, notes = [], list(kept.notes())
    for number, model in enumerate(arena.models):
        if model.enabled and not model.output_file.is_file():
            path = folder / f"{number}.jsonl"
            length = _assume(path, model, questions)
            notes.append(f"{model.name}: its answers are not here yet; each is assumed to have {length:,} tokens")
            models.append(replace(model, output_file=path))
        else:
            models.append(model)
    assumed = replace(arena, models=tuple(models), reviews=_targets(arena, models))
    path = folder / f"{arena.reviewing}.jsonl"
    tally = battles.write(path, assumed, questions, kept.fought)
    if not tally.count:
        return None, notes
    options = replace(flow.review_options(context, arena), dataset=path)
    report = estimate_prepared(context, options, with_jury=False)
    return replace(report.batches[0], role="judge"), [*notes, *report.notes]


def _targets(arena: Arena, models: list[Model]) -> Reviews:
    """The reviews, with assumed files in place of those that do not exist."""
    places = {old.output_file: new.output_file for old, new in zip(arena.models, models, strict=True)}
    reviews = arena.reviews
    targets = tuple(places.get(path, path) for path in reviews.targets)
    baseline = places.get(reviews.baseline_file, reviews.baseline_file) if reviews.baseline_file else None
    return replace(reviews, targets=targets, baseline_file=baseline)


def _assume(path: Path, model: Model, questions: Mapping[str, Asked]) -> int:
    """Write answers of the assumed length. Returns it, in tokens."""
    length = model.max_tokens or ASSUMED_TOKENS
    with files.replacing(path) as out:
        for key in questions:
            out.write(files.dump_line({"question_id": key, "answer": _WORD * length}))
    return length
