"""Layout `csv`: one row a request, for spreadsheets, with the question and its reference beside the answer.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, which `read` takes off again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.layouts import layton
from batchflow.layouts.base import About, Brought, Out, Settled
from batchflow.records import Outcome
from batchflow.tasks.base import question_of, references_of
from batchflow.tasks.datasets import tables

NAME = "csv"
ITEMS = True
VERDICTS = False
_COLUMNS = (
    "custom_id", "sample", "question", "reference", "answer", "model", "outcome", "parsed", "error", "input_tokens",
    "output_tokens", "request",
)  # fmt: skip
_OWN = frozenset({"question", "reference", "input_tokens", "output_tokens", "request"})  # read back as no column
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TYPED = ".parquet"
_ENDINGS = frozenset({".csv", ".tsv", ".tab", _TYPED})


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    """Write `<name>.csv`, in UTF-8."""
    columns = (*_COLUMNS, "rehearsal") if about.rehearsal else _COLUMNS
    with out.file(f"{about.name}.csv") as sink:
        sink.write(_line(columns))
        for row in rows:
            sink.write(_line((*map(_safe, _cells(row)), *(["true"] if about.rehearsal else []))))


def _cells(row: Settled) -> Iterator[Any]:
    usage = row.usage or {}
    yield from (row.item_id, row.sample)
    yield question_of(row.item) if row.item else None
    yield "\n".join(references_of(row.item)) if row.item else None
    yield from (row.answer, row.model, row.outcome, row.parsed, row.error)
    yield from (usage.get("input_tokens"), usage.get("output_tokens"), row.custom_id)


def _line(cells: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def _safe(cell: Any) -> Any:
    """A cell that no spreadsheet computes."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith((*_FORMULA, "'")) else cell


def recognises(path: Path) -> bool:
    """A file with the ending of a table."""
    return path.suffix.lower() in _ENDINGS and path.is_file()


def read(path: Path) -> Iterator[Brought]:
    """The rows of a table with the columns custom_id and answer. Raises DataError with file, line and field."""
    wanted, table = ("custom_id", "answer"), tables.of(path)
    as_text = _text if path.suffix.lower() == _TYPED else _plain
    for number, cells in table.rows(path, wanted):
        where = f"{path}, {table.word} {number}"
        row: dict[str, Any] = {name: as_text(cell) for name, cell in cells.items() if name not in _OWN}
        if lacking := [name for name in wanted if name not in row]:
            raise DataError(
                f"{where}, field {lacking[0]}: there is no such column", hint=f"columns: {', '.join(cells)}"
            )
        row["answer"] = row["answer"] or None
        row["outcome"] = row.get("outcome") or Outcome.OK.value
        sample = row.pop("sample", "") or "0"
        if not sample.isascii() or not sample.isdecimal():
            raise DataError(f"{where}, field sample: {sample[:40]!r} is not a number from 0")
        yield layton.brought({**row, "sample": int(sample)}, where)


def _text(cell: Any) -> str:
    """A cell of Parquet as text; lists and objects as JSON, nothing as an empty text."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    return files.dumps(cell).decode() if isinstance(cell, dict | list) else str(cell)


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith((*_FORMULA, "'")) else cell
