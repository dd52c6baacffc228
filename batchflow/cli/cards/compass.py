"""Cards of runs of OpenCompass's kind. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, Column, table_of, title

if TYPE_CHECKING:
    from batchflow.steps.compass.flow import CompassReport
    from batchflow.steps.compass.init import InitConfigReport
    from batchflow.steps.compass.summary import SummaryRow


def ran(report: CompassReport) -> Card:
    """The summary of a run, as far as its mode goes."""
    rows = (
        ("Run", f"{report.run} ({report.mode})"),
        ("Folder", report.folder),
        ("Suite", report.suite),
        ("Files", f"{len(report.files)}: {', '.join(report.files[-3:])}"),
    )
    table = table_of(_SUMMARY, report.rows)
    return Card(title(report.name, report.rehearsal), report.next, rows, table, report.notes, report.rehearsal)


_SUMMARY: tuple[Column[SummaryRow], ...] = (
    Column("data set", lambda row: row.dataset),
    Column("version", lambda row: row.version),
    Column("metric", lambda row: row.metric),
    Column("score", lambda row: _points(row.score)),
    Column("95 % interval", lambda row: "-" if row.low is None else f"{_points(row.low)} – {_points(row.high)}"),
    Column("items", lambda row: f"{row.items:,}"),
    Column("of", lambda row: row.of),
)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def begun(report: InitConfigReport) -> Card:
    """The file that was written."""
    rows = (
        ("File", report.file),
        ("Mode", report.mode),
        *((("Model", report.model),) if report.model else ()),
        *((("Judge", report.judge),) if report.judge else ()),
        ("Data sets", ", ".join(report.datasets)),
    )
    return Card(report.name, report.next, rows, notes=report.notes)
