"""labels sheet: a random sample of a batch's answers for a person to judge, blind to what the jury says."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import NotReady
from batchflow.judges import riddle
from batchflow.ledger import request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.report import sheet_page
from batchflow.report.cells import write_csv
from batchflow.report.sheet_page import SheetItem
from batchflow.steps.base.context import Context
from batchflow.steps.judging.ballot import vendor_of
from batchflow.steps.judging.labels import HUMAN
from batchflow.steps.viewing import listing
from batchflow.steps.viewing.gather import chosen
from batchflow.steps.viewing.items import ItemReader, ItemView
from batchflow.tasks import registry as tasks

_KEYS = ("batch", "custom_id", "sample", "provider", "model")
_SHOWN = ("question", "pictures", "context", "options", "reference", "answer")


@dataclass(frozen=True, slots=True)
class SheetReport:
    """Report of `labels sheet`. answers: those of the batch, of which `items` were drawn."""

    name: str
    path: str
    items: int
    answers: int
    seed: int
    fields: tuple[str, ...]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def sheet(context: Context, name: str, *, n: int, seed: int, form: str = "csv", out: Path | None = None) -> SheetReport:
    """Draw answers and write the sheet. The same seed draws the same answers. Raises UnknownBatch, NotReady."""
    batch = chosen(context, [name])[0]
    with context.ledger.read() as tx:
        answered = [row for row, one in enumerate(request_rows.outcomes(tx, batch.id), 1) if one.has_answer]
    if not answered:
        raise NotReady(f"{batch.name} has no answers to judge", hint=f"batchflow results {batch.name}")
    drawn = frozenset(random.Random(seed).sample(answered, min(n, len(answered))))  # noqa: S311 - a sample, no secret
    path = out or context.settings.results / f"{batch.name}.labels.{form}"
    reader, fields = ItemReader(context, batch.name), fields_of(batch)
    wanted = (view for view in reader if view.row in drawn)
    with files.replacing(path) as handle:
        if form == "html":
            rows = ((_keys(batch, view), listing.document(view), view.pictures) for view in wanted)
            sheet_page.write(handle, batch.name, fields, _page_items(rows))
        else:
            text = io.StringIO()
            write_csv(text, [(*_KEYS, *_SHOWN, *fields)])
            write_csv(text, (_cells(batch, view, fields) for view in wanted))
            handle.write(text.getvalue().encode("utf-8-sig", "replace"))
    answers = f"{batch.name}.labels.jsonl" if form == "html" else str(path)
    return SheetReport(
        batch.name, str(path), len(drawn), len(answered), seed, fields, tuple(reader.notes), batch.rehearsal,
        f"batchflow import labels {answers} --batch {batch.name}",
    )  # fmt: skip


def fields_of(batch: BatchRecord) -> tuple[str, ...]:
    """The labels that a person gives: whether the answer is right, and of riddles whether its justification is."""
    return HUMAN[:2] if tasks.of_spec(batch.task, batch.spec).JUDGED_BY == riddle.NAME else HUMAN[:1]


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
