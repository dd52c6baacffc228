"""Cards of `arena`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, tabulated, title
from batchflow.cli.cards.base.text import counted

if TYPE_CHECKING:
    from batchflow.steps.arena.browser import ArenaPageReport
    from batchflow.steps.arena.flow import AnswerFile, RateReport
    from batchflow.steps.arena.rating import RatingRow

_UNITS = {"bt": "strength", "elo": "Elo", "winrate": "won, %", "score": "score"}


def rated(report: RateReport) -> Card:
    """The candidates by falling rating."""
    columns = {
        "place": "#", "model": "model", "rating": _UNITS[report.method], "interval": "95 % interval", "wins": "wins",
        "losses": "losses", "ties": "ties",
    }  # fmt: skip
    if report.method == "score":
        columns = {name: text for name, text in columns.items() if name not in {"wins", "losses", "ties"}}
    table = tabulated(columns, [_row(report, place, row) for place, row in enumerate(report.rows, start=1)])
    reviews = f"{report.battles:,}" + (f", {report.imported:,} of them from cache_file" if report.imported else "")
    rows = [("How", report.how), ("Reviews", reviews)]
    if report.unread:
        rows.append(("Unread", f"{sum(report.unread.values()):,}: {counted(report.unread)}"))
    if report.conflicts:
        rows.append(("Conflicts", f"{report.conflicts:,} reviews name two verdicts; the last one counts"))
    if report.first_wins is not None:
        rows.append(("Position", f"the answer shown first gets {100 * report.first_wins:.1f} % of the points"))
    if report.agreement is not None:
        same = f"{100 * report.agreement:.1f} % of {report.twice:,} pairs have the same verdict in both orders"
        rows.append(("Orders", same))
    rows.append(("Files", ", ".join(report.files)))
    name = title(f"ratings of {report.name}", report.rehearsal)
    return Card(name, report.next, tuple(rows), table, report.notes, report.rehearsal)


def _row(report: RateReport, place: int, row: RatingRow) -> dict[str, str]:
    factor, digits = {"bt": (1, 2), "elo": (1, 1), "winrate": (100, 1), "score": (1, 2)}[report.method]

    def number(value: float | None) -> str:
        return "?" if value is None else f"{factor * value:.{digits}f}"

    cells = {
        "place": f"{place}", "model": row.model, "rating": number(row.rating),
        "interval": f"{number(row.low)} – {number(row.high)}",
    }  # fmt: skip
    if report.method != "score":
        cells |= {"wins": f"{row.wins:,}", "losses": f"{row.losses:,}", "ties": f"{row.ties:,}"}
    return cells


def answered(report: AnswerFile) -> Card:
    """A file of answers."""
    rows = (("File", report.path), ("Answers", f"{report.answered:,} of {report.questions:,}"))
    return Card(f"answers of {report.name}", report.next, rows)


def page(report: ArenaPageReport) -> Card:
    """A page of battles."""
    rows = (("File", report.path), ("Battles", f"{report.battles:,}"), ("Size", f"{report.bytes:,} bytes"))
    name = title(f"battles of {report.name}", report.rehearsal)
    return Card(name, report.next, rows, (), report.notes, report.rehearsal)
