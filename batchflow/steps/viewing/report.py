"""report: a file that can be handed over, with scores, their making, and every item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.ledger.records import BatchRecord
from batchflow.report import page
from batchflow.report.page import PageItem
from batchflow.steps.base.context import Context
from batchflow.steps.viewing.gather import ReportOptions, chosen, gather
from batchflow.steps.viewing.items import ItemReader
from batchflow.steps.viewing.listing import document


@dataclass(frozen=True, slots=True)
class ReportReport:
    """Report of `report`: what was written. files: their paths."""

    names: tuple[str, ...]
    files: tuple[str, ...]
    items: int
    bytes: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def report(
    context: Context, names: Sequence[str], options: ReportOptions, *, out: Path | None = None, images: bool = True
) -> ReportReport:
    """Write the page. Raises UnknownBatch, NotReady, DataError."""
    found = chosen(context, names)
    data = gather(context, found, options)
    path = out or _default(context, found, "html")
    readers = [ItemReader(context, batch.name) for batch in found]
    with files.replacing(path) as handle:
        count = page.write(handle, data, _items(readers), images=images)
    notes = dict.fromkeys(note for reader in readers for note in reader.notes)
    return ReportReport(
        tuple(batch.name for batch in found), (str(path),), count, path.stat().st_size, tuple(notes), data.rehearsal,
        f"batchflow show {found[0].name} --items",
    )  # fmt: skip


def _items(readers: Sequence[ItemReader]) -> Iterator[PageItem]:
    for reader in readers:
        for view in reader:
            yield document(view), view.pictures


def _default(context: Context, found: Sequence[BatchRecord], suffix: str) -> Path:
    name = found[0].name if len(found) == 1 else "report"
    return context.settings.results / f"{name}.{suffix}"
