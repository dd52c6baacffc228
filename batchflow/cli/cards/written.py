"""Cards of files that a command wrote: reports, exports, sheets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, title
from batchflow.cli.cards.base.text import size

if TYPE_CHECKING:
    from batchflow.steps.viewing.export import ExportReport
    from batchflow.steps.viewing.report import ReportReport
    from batchflow.steps.viewing.sheet import SheetReport


def reported(report: ReportReport) -> Card:
    """A report that was written."""
    rows = (
        ("Batches", ", ".join(report.names)),
        ("File" if len(report.files) == 1 else "Files", f"{', '.join(report.files)} ({size(report.bytes)})"),
        *((("Items", f"{report.items:,}"),) if report.items else ()),
    )
    return Card(title("report", report.rehearsal), report.next, rows, notes=report.notes, rehearsal=report.rehearsal)


def exported(report: ExportReport) -> Card:
    """A batch's items that were written for another tool."""
    rows = (
        ("Name", report.name),
        ("Form", report.form),
        ("File", f"{report.path} ({size(report.bytes)})"),
        ("Items", f"{report.items:,}"),
    )
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=report.notes, rehearsal=report.rehearsal)


def sheet(report: SheetReport) -> Card:
    """A sheet of answers for a person to judge."""
    strata = ", ".join(f"{drawn:,} of {answers:,} with {name}" for name, (answers, drawn) in report.strata.items())
    rows = (
        ("Name", report.name),
        ("Sheet", report.path),
        ("Answers", f"{report.items:,} of {report.answers:,}, drawn with seed {report.seed}"),
        *((("Strata", strata),) if strata else ()),
        ("Labels", ", ".join(report.fields)),
    )
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=report.notes, rehearsal=report.rehearsal)
