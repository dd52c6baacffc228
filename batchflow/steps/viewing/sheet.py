"""labels sheet: a random sample of a batch's answers for a person to judge, blind to what the jury says."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.errors import NotReady
from batchflow.judges import registry as kinds
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord
from batchflow.records import Level
from batchflow.report import sheet_page
from batchflow.report.cells import write_csv
from batchflow.report.sheet_page import SheetItem
from batchflow.steps.base.context import Context
from batchflow.steps.judging import readings
from batchflow.steps.judging.ballot import vendor_of
from batchflow.steps.judging.jury_lookup import juries
from batchflow.steps.judging.labels.columns import kinds_of, label_fields
from batchflow.steps.judging.labels.sheets import draw, keep
from batchflow.steps.viewing import listing
from batchflow.steps.viewing.gather import chosen
from batchflow.steps.viewing.items import ItemReader, ItemView

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import LabelField

_KEYS = ("batch", "custom_id", "sample", "provider", "model")
_SHOWN = ("question", "pictures", "context", "options", "reference", "answer")


@dataclass(frozen=True, slots=True)
class SheetReport:
    """Report of `labels sheet`. answers: those of the batch, of which `items` were drawn.

    strata: of a stratified sheet, [answers, drawn ones] by what the jury gives them.
    """

    name: str
    path: str
    items: int
    answers: int
    seed: int
    fields: tuple[str, ...]
    strata: dict[str, list[int]]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def sheet(
    context: Context,
    name: str,
    *,
    n: int,
    seed: int,
    form: str = "csv",
    out: Path | None = None,
    kind: str | None = None,
    stratify: bool = False,
) -> SheetReport:
    """Draw answers and write the sheet. The same seed draws the same answers.

    stratify: by the jury's verdict; the draw is kept in the ledger, by which a score weights the labels.
    kind: judge kind whose fields are to be labelled, else that of the batch's jury, else that of its task. Raises
    UnknownBatch, NotReady, UsageError.
    """
    batch = chosen(context, [name])[0]
    with context.ledger.read() as tx:
        judges = next((jury.judges for jury in juries(batches.judges_of(tx, batch.id))), ())
        outcomes = readings.outcomes(context, tx, batch, judges)
        answered = [row for row, one in enumerate(outcomes, 1) if one.has_answer]
    if not answered:
        raise NotReady(f"{batch.name} has no answers to judge", hint=f"batchflow results {batch.name}")
    strata: dict[str, list[int]] = {}
    if stratify:
        sample = draw(context, batch, n=n, seed=seed)
        drawn, strata = sample.rows, sample.strata
    else:
        drawn = frozenset(random.Random(seed).sample(answered, min(n, len(answered))))  # noqa: S311 - a sample, no secret
    path = out or context.settings.results / f"{batch.name}.labels.{form}"
    reader, labelled = ItemReader(context, batch.name), _fields_of(context, batch, kind)
    fields = tuple(field.column for field in labelled)
    wanted = (view for view in reader if view.row in drawn)
    if stratify:
        keep(context, sample)
    with files.replacing(path) as handle:
        if form == "html":
            rows = ((_keys(batch, view), listing.document(view), view.pictures) for view in wanted)
            sheet_page.write(handle, batch.name, [_asked(field) for field in labelled], _page_items(rows))
        else:
            text = io.StringIO()
            write_csv(text, [(*_KEYS, *_SHOWN, *fields)])
            write_csv(text, (_cells(batch, view, fields) for view in wanted))
            handle.write(text.getvalue().encode("utf-8-sig", "replace"))
    answers = f"{batch.name}.labels.jsonl" if form == "html" else str(path)
    return SheetReport(
        batch.name, str(path), len(drawn), len(answered), seed, fields, strata, tuple(reader.notes), batch.rehearsal,
        f"batchflow import labels {answers} --batch {batch.name}{f' --kind {kind}' if kind else ''}",
    )  # fmt: skip


def _fields_of(context: Context, batch: BatchRecord, kind: str | None) -> list[LabelField]:
    """The fields that a person labels: those on which judges vote."""
    with context.ledger.read() as tx:
        first = kinds_of(tx, batch, kinds.named(kind) if kind else None)[0]
    return [field for field in label_fields(first) if not field.parts]


def _asked(field: LabelField) -> dict[str, Any]:
    """A field as the page asks for it: words to choose from, or a number between two."""
    title = _QUESTIONS.get(field.column, f"{field.name.replace('_', ' ').capitalize()}?")
    choices: list[list[Any]] = [[word, word] for word in field.labels]
    if not choices and field.level is Level.NOMINAL:
        choices = [["Right", True], ["Wrong", False]]
    return {"column": field.column, "title": title, "choices": choices, "low": field.low, "high": field.high}


_QUESTIONS = {
    "human_answer_correct": "Is the answer right?",
    "human_justification_correct": "Is the justification right?",
}


def _keys(batch: BatchRecord, view: ItemView) -> dict[str, Any]:
    """Key by which `import labels` finds the answer."""
    return dict(zip(_KEYS, (batch.name, view.item, view.sample, vendor_of(batch), batch.model), strict=True))


def _cells(batch: BatchRecord, view: ItemView, fields: tuple[str, ...]) -> list[Any]:
    pictures = "; ".join(map(listing.picture_line, view.pictures))
    options, right = "; ".join(view.options), "; ".join(view.references)
    texts = (view.question, pictures, view.context, options, right, view.answer)
    return [*_keys(batch, view).values(), *texts, *("" for _ in fields)]


def _page_items(rows: Iterator[tuple[dict[str, Any], dict[str, Any], Any]]) -> Iterator[SheetItem]:
    for keys, document, pictures in rows:
        shown = {name: document[name] for name in ("question", "context", "options", "references", "answer")}
        yield keys, shown | {"extracted": document["extracted"]}, [picture.url for picture in pictures]
