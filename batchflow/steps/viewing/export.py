"""export: a batch's items in another tool's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from batchflow import files
from batchflow.errors import UsageError
from batchflow.ledger import request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind
from batchflow.report import exports, inspect_log
from batchflow.report.exports import RawRequest
from batchflow.settings import IMPORT
from batchflow.steps.base.context import Context
from batchflow.steps.building.sources import items_in_order, same_source, same_template
from batchflow.steps.viewing import listing
from batchflow.steps.viewing.gather import ReportOptions, chosen, gather
from batchflow.steps.viewing.items import ItemReader, ItemView
from batchflow.tasks import registry as tasks

SUFFIXES = {"inspect": "eval", "parquet": "parquet", "csv": "items.csv", "openai": "openai.jsonl", "raw": "raw.jsonl"}
"""Forms, each with the ending of its file."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Report of `export`."""

    name: str
    form: str
    path: str
    items: int
    bytes: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def export(context: Context, name: str, form: str, *, out: Path | None = None, images: bool = True) -> ExportReport:
    """Write all items of a batch. Raises UnknownBatch, DataError, UsageError where a library is missing."""
    batch = chosen(context, [name])[0]
    path = out or context.settings.results / f"{batch.name}.{SUFFIXES[form]}"
    reader = ItemReader(context, batch.name)
    with files.replacing(path) as handle:
        if form == "inspect":
            data = gather(context, [batch], ReportOptions(by=()))
            pages = ((listing.document(view), view.pictures) for view in reader)
            count = inspect_log.write(handle, data, pages, images=images)
        elif form == "raw":
            count = exports.raw(handle, _raw(context, batch))
        else:
            count = _WRITERS[form](handle, reader)
    return ExportReport(
        batch.name, form, str(path), count, path.stat().st_size, tuple(reader.notes), batch.rehearsal,
        f"batchflow show {batch.name} --items",
    )  # fmt: skip


def _raw(context: Context, batch: BatchRecord) -> Iterator[RawRequest]:
    """Questions to the model about each item. Raises UsageError for a batch whose requests were not worded here."""
    if batch.kind is Kind.JUDGE or batch.is_brought or batch.provider == IMPORT:
        why = "it judges" if batch.kind is Kind.JUDGE else "it was imported"
        raise UsageError(
            f"{batch.name} has no raw requests: {why}", hint="--to raw is for batches that `batchflow prepare` made"
        )
    task = tasks.of_spec(batch.task, batch.spec)
    template, item_of = same_template(task, batch), items_in_order(task, same_source(context, batch), batch)
    limit = batch.params.get("max_tokens")
    with context.ledger.read() as tx:
        for request in request_rows.stream(tx, batch.id):
            if request.sample == 0:
                prompt = task.prompt(item_of(request.item_id), batch.hints, template)
                yield RawRequest(request.item_id, prompt.system, tuple(prompt.parts), limit)


def _documents(views: Iterator[ItemView] | ItemReader) -> Iterator[Mapping[str, Any]]:
    return (listing.document(view) for view in views)


def _csv(out: BinaryIO, reader: ItemReader) -> int:
    return exports.csv(out, listing.head(reader.judges), (listing.cells(view, reader.judges) for view in reader))


_WRITERS: dict[str, Callable[[BinaryIO, ItemReader], int]] = {
    "csv": _csv,
    "openai": lambda out, reader: exports.openai(out, _documents(reader)),
    "parquet": lambda out, reader: exports.parquet(out, _documents(reader)),
}
