"""Reports as tables: Markdown, CSV, JSON, workbooks. Texts from outside are no markup, macro or formula."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from batchflow import files
from batchflow.report import plots
from batchflow.report.cells import write_csv
from batchflow.report.data import BatchPart, ReportData

Cell = str | int | float | None

MOST_CHARACTERS = 32_767
"""Characters of a cell that a workbook holds."""

MOST_ROWS = 1_048_576
"""Rows of a sheet, its head included."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a report. Numbers are points of 100, unless a heading says otherwise."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(report: ReportData) -> list[Table]:
    """The tables of a report that have rows, the scores first."""
    candidates = (
        _scores(report), _differences(report), _judges(report), _biases(report), _groups(report), _outcomes(report),
        _reasons(report), _method(report),
    )  # fmt: skip
    return [table for table in candidates if table.rows]


def _points(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)


def _scores(report: ReportData) -> Table:
    head = (
        "batch", "provider", "model", "field", "score", "low", "high", "level", "judged", "items", "left out",
        "lost votes", "alpha", "corrected", "corrected low", "corrected high", "rehearsal", "trouble",
    )  # fmt: skip
    return Table("Scores", head, tuple(_score(report, batch) for batch in report.batches))


def _score(report: ReportData, batch: BatchPart) -> tuple[Cell, ...]:
    s, corrected = batch.summary, batch.corrected
    own: tuple[Cell, ...] = (None,) * 9
    if s:
        own = (
            _points(s["score"]), _points(s["ci_low"]), _points(s["ci_high"]), _points(s["level"]), s["n_judged"],
            s["n_items"], sum(batch.left_out.values()), s["votes_missing"], s["alpha"],
        )  # fmt: skip
    return (
        batch.name, batch.provider, batch.model, s.get("field") or report.field, *own,
        *(_points(corrected.get(name)) for name in ("score", "ci_low", "ci_high")),
        "yes" if batch.rehearsal else "no", batch.trouble or None,
    )  # fmt: skip


def _differences(report: ReportData) -> Table:
    head = ("a", "b", "difference", "low", "high", "items", "p", "p (Holm)", "detectable")
    rows = (
        (
            pair["a"], pair["b"], _points(pair["difference"]), _points(pair["interval"]["low"]),
            _points(pair["interval"]["high"]), pair["n"], pair["p"], pair["p_holm"], _points(pair["detectable"]),
        )
        for pair in report.pairs
    )  # fmt: skip
    return Table("Paired differences", head, tuple(rows))


def _judges(report: ReportData) -> Table:
    rows = []
    for batch in report.scored:
        accuracy = batch.summary["agreement"].get("accuracy") or [None] * len(batch.summary["judges"])
        for judge, right in zip(batch.summary["judges"], accuracy, strict=True):
            own = (_points(judge["mean"]), judge["votes"], judge["missing"], _points(right))
            rows.append((batch.name, judge["judge"], *own))
    return Table("Judges", ("batch", "judge", "mean vote", "votes", "lost", "right by labels"), tuple(rows))


def _biases(report: ReportData) -> Table:
    head = ("judge", "bias", "size", "low", "high", "p", "p (Holm)", "answers", "held against")
    rows = (
        (
            bias["judge"], bias["kind"], *(_points(bias[name]) for name in ("size", "low", "high")), bias["p"],
            bias["p_holm"], bias["n"], bias["reference"],
        )
        for bias in report.biases
    )  # fmt: skip
    return Table("Biases of the judges", head, tuple(rows))


def _groups(report: ReportData) -> Table:
    rows = []
    for column in report.columns:
        for batch in report.scored:
            for row in batch.summary["groups"].get(column, ()):
                interval = row["interval"] or {}
                bounds = (_points(interval.get("low")), _points(interval.get("high")))
                own = (str(row["group"]), batch.name, _points(row["score"]), *bounds, row["n_judged"], row["n_items"])
                rows.append((column, *own))
    return Table(
        "Score by column", ("column", "value", "batch", "score", "low", "high", "judged", "items"), tuple(rows)
    )


def _outcomes(report: ReportData) -> Table:
    kinds = tuple(dict.fromkeys(kind for batch in report.batches for kind in plots.unanswered(batch)))
    head = ("batch", "requests", "answered", *kinds, "input tokens", "output tokens", "cost")
    rows: Iterator[tuple[Cell, ...]] = (
        (
            batch.name, batch.requests, batch.answered, *(batch.outcomes.get(kind, 0) for kind in kinds),
            batch.tokens["input_tokens"], batch.tokens["output_tokens"], batch.cost,
        )
        for batch in report.batches
    )  # fmt: skip
    return Table("Outcomes and cost", head, tuple(rows))


def _reasons(report: ReportData) -> Table:
    head = ("batch", "requests", "kind", "reason", "example", "retry helps", "what to do")
    names = ("count", "kind", "text", "item", "retry_helps", "advice")
    rows = ((batch.name, *(reason[name] for name in names)) for batch in report.batches for reason in batch.reasons)
    return Table("Reasons", head, tuple(rows))


def _method(report: ReportData) -> Table:
    rows: list[tuple[Cell, ...]] = [("report", *pair) for pair in report.versions]
    for batch in report.batches:
        rows += [(batch.name, *pair) for pair in batch.made]
        rows += [(f"{batch.name}, judge {name}", *pair) for name, facts in batch.judges for pair in facts]
    return Table("How it was made", ("of", "fact", "value"), tuple(rows))


def shown(value: Cell) -> str:
    """A cell in a table for people."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else " ".join(value.split())


# -- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(report: ReportData) -> str:
    """All tables as GitHub's Markdown, below their headings."""
    mark = "**Rehearsal.** These answers are made up: no model gave them.\n\n" if report.rehearsal else ""
    parts = [f"# {_md(report.title)}\n\n{mark}{_md(report.field or 'not scored')}, made {report.made_at}\n"]
    for table in map(_without_empty, tables(report)):
        rows = [[_md(shown(value)) for value in row] for row in table.rows]
        head = [_md(name) for name in table.head]
        lines = [head, ["---:" if _is_numeric(table, i) else "---" for i in range(len(head))], *rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"\n## {table.title}\n\n{body}\n")
    notes = [f"- {_md(note)}" for note in report.notes]
    return "".join([*parts, "\n" + "\n".join(notes) + "\n" if notes else ""])


def _md(text: str) -> str:
    r"""A text of which Markdown makes nothing.

    >>> print(_md("a|b *c* <d>"))
    a\|b \*c\* &lt;d&gt;
    """
    escaped = "".join(f"\\{char}" if char in "\\`*_[]|#~!" else char for char in " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _is_numeric(table: Table, column: int) -> bool:
    return all(isinstance(row[column], int | float) or row[column] is None for row in table.rows)


def _without_empty(table: Table) -> Table:
    """The table without columns in which nothing stands."""
    kept = [i for i in range(len(table.head)) if any(row[i] not in {None, ""} for row in table.rows)]
    return Table(
        table.title, tuple(table.head[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in table.rows)
    )


# -- CSV, JSON, workbooks ---------------------------------------------------------------------------------------------


def scores_csv(report: ReportData) -> str:
    """The scores as CSV."""
    table, out = tables(report)[0], io.StringIO()
    write_csv(out, [table.head, *table.rows])
    return out.getvalue()


def json(report: ReportData) -> str:
    """All of the report but its items, as one document."""
    return files.dumps(asdict(report)).decode() + "\n"


def workbook(out: BinaryIO, report: ReportData, head: Sequence[str], items: Iterable[Sequence[Any]]) -> int:
    """Write a workbook: a sheet for each table, and one of the items; returns how many items it holds.

    Texts are written as texts, whatever they begin with. Longer ones than a cell holds are cut.
    """
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        for table in tables(report):
            _sheet(book, bold, table.title, table.head, table.rows)
        return _sheet(book, bold, "Items", head, items)


def _sheet(book: Any, bold: Any, title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    sheet = book.add_worksheet(title)
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, len(head) - 1, 16)
    for column, name in enumerate(head):
        sheet.write_string(0, column, name, bold)
    number = 0
    for number, row in enumerate(_limited(rows), start=1):
        for column, value in enumerate(row):
            if isinstance(value, bool):
                sheet.write_boolean(number, column, value)
            elif isinstance(value, int | float):
                sheet.write_number(number, column, value)
            elif value not in {None, ""}:
                sheet.write_string(number, column, _cut(str(value)))
    if number:
        sheet.autofilter(0, 0, number, len(head) - 1)
    return number


def _limited(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Rows as far as a sheet holds them; the last one then says so."""
    for number, row in enumerate(rows, start=2):
        if number == MOST_ROWS:
            yield ["a sheet holds no more rows: batchflow show NAME --csv --limit 0 has all"]
            return
        yield row


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
