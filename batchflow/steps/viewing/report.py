"""report: files that can be handed over: a page with scores, their making and every item; tables; plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.errors import NotReady
from batchflow.ledger.records import BatchRecord
from batchflow.report import latex, page, plots, png, tables
from batchflow.report.data import ReportData
from batchflow.report.drawing import svg
from batchflow.report.page import PageItem
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.viewing import listing
from batchflow.steps.viewing.gather import Computed, ReportOptions, chosen, gather
from batchflow.steps.viewing.items import ItemReader

_TEXTS = {"md": tables.markdown, "tex": latex.latex, "csv": tables.scores_csv, "json": tables.json}
_PLOTS = {"svg": lambda drawing: svg(drawing, standalone=True).encode(), "png": png.png}


@dataclass(frozen=True, slots=True)
class ReportReport:
    """Report of `report`: what was written. files: their paths. items: those in them."""

    names: tuple[str, ...]
    form: str
    files: tuple[str, ...]
    items: int
    bytes: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def report(
    context: Context,
    names: Sequence[str],
    options: ReportOptions,
    *,
    form: str = "html",
    out: Path | None = None,
    images: bool = True,
    computed: Computed | None = None,
) -> ReportReport:
    """Write a report in one of its forms. computed: results at hand, as for `gather`.

    Raises UnknownBatch, NotReady, DataError, UsageError without a library.
    """
    records = chosen(context, names)
    data = gather(context, records, options, computed)
    path = out or _default(context, records, form)
    readers = [ItemReader(context, batch.name) for batch in records] if form in {"html", "xlsx"} else []
    written, count = [path], 0
    if form in _PLOTS:
        written = _plots(path, data, form)
    else:
        with files.replacing(path) as handle:
            if form == "html":
                count = page.write(handle, data, _items(readers), images=images)
            elif form == "xlsx":
                judges = tuple(dict.fromkeys(judge for reader in readers for judge in reader.judges))
                rows = (listing.cells(view, judges) for reader in readers for view in reader)
                count = tables.workbook(handle, data, listing.head(judges), rows)
            else:
                handle.write(_TEXTS[form](data).encode("utf-8", "replace"))
    for file in written:
        payloads.publish(context, file)
    notes = dict.fromkeys(note for reader in readers for note in reader.notes)
    return ReportReport(
        tuple(batch.name for batch in records), form, tuple(map(str, written)), count,
        sum(one.stat().st_size for one in written), tuple(notes), data.rehearsal,
        f"batchflow show {records[0].name} --items",
    )  # fmt: skip


def _items(readers: Sequence[ItemReader]) -> Iterator[PageItem]:
    for reader in readers:
        for view in reader:
            yield listing.document(view), view.pictures


def _plots(path: Path, data: ReportData, form: str) -> list[Path]:
    """Write each plot as `<path without its ending>-<plot>.<form>`. Raises NotReady where there is nothing to plot."""
    drawings = [(path.with_name(f"{path.stem}-{name}.{form}"), drawing) for name, drawing in plots.named(data)]
    if not drawings:
        first = data.batches[0]
        raise NotReady(f"there is nothing to plot: {first.trouble}", hint=f"batchflow jury {first.name} --start")
    pictures = [(file, _PLOTS[form](drawing)) for file, drawing in drawings]
    for file, data_of in pictures:
        with files.replacing(file) as handle:
            handle.write(data_of)
    return [file for file, _ in pictures]


def _default(context: Context, records: Sequence[BatchRecord], suffix: str) -> Path:
    name = f"{records[0].name}.report" if len(records) == 1 and suffix != "html" else records[0].name
    return context.settings.results / f"{name if len(records) == 1 else 'report'}.{suffix}"
