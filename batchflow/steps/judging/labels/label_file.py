"""Files of labels: JSON Lines, Parquet or a table, each row about one answer, each label on the scale of its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Json, Level
from batchflow.registries import nearest
from batchflow.steps.judging.labels.columns import PREFIX, Columns, listed
from batchflow.tasks.datasets import tables

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import LabelField

_TABLES = frozenset({".csv", ".tsv", ".tab"})
_WORDS = {"true": True, "yes": True, "right": True, "1": True, "false": False, "no": False, "wrong": False, "0": False}
_FORMULA = frozenset("=+-@")

Rows = list[tuple[int, Json]]
"""(line, row)"""


def is_table(path: Path) -> bool:
    """Tells whether a file's cells are texts."""
    return path.suffix.lower() in _TABLES


def rows_of(path: Path) -> Rows:
    """The rows of a file; an empty cell of a table says nothing. Raises DataError with the line."""
    if path.suffix.lower() == ".parquet":
        known = tables.of(path).rows(path, ("custom_id",))
        return [(number, {name: cell for name, cell in row.items() if cell is not None}) for number, row in known]
    if not is_table(path):
        return list(files.objects(path))
    return [(number, _row(row)) for number, row in tables.of(path).rows(path, ("custom_id",))]


def _row(row: Mapping[str, Any]) -> Json:
    """A row of a table: an apostrophe in front keeps a spreadsheet from calculating, and is no part of the text."""
    typed: Json = {}
    for name, value in row.items():
        text = str(value or "").strip()
        if name == "sample":
            typed[name] = int(text) if text.isdigit() else 0
        elif text:
            typed[name] = text[1:] if text[0] == "'" and text[1:2] in _FORMULA else text
    return typed


def typed(row: Json, fields: Sequence[LabelField]) -> Json:
    """A row of a table with labels and votes as numbers, booleans and words, as far as they are such."""
    columns = {field.column: field for field in fields}
    votes = {name: field for field in fields for name in row if name.startswith(f"{field.name}_")}
    known = votes | columns
    return {
        name: _cell(cell, known[name]) if name in known and isinstance(cell, str) else cell
        for name, cell in row.items()
    }


def _cell(text: str, field: LabelField) -> Any:
    """The value of a table's cell; the text itself where it is none."""
    if field.labels:
        return text
    if field.level is Level.NOMINAL:
        return _WORDS.get(text.lower(), text)
    try:
        return float(text)
    except ValueError:
        return text


def labels_in(row: Json, columns: Columns, where: str, *, cells: bool) -> dict[str, tuple[float, str | None]]:
    """The labels of a row by the ledger's field: value on the field's scale, and the word where the scale has words.

    cells: the row is of a table. Raises DataError for a column that is no field, for a value that is not on the scale,
    and for two columns of one field that disagree.
    """
    labels: dict[str, tuple[float, str | None]] = {}
    for name, cell in row.items():
        if not name.startswith(PREFIX) or cell is None:
            continue
        field = columns.get(name)
        if field is None:
            raise DataError(
                f"{where}: nobody is asked about {name.removeprefix(PREFIX)!r} of these answers",
                hint=f"{nearest(name, listed(columns), 'columns')}; --kind names another judge kind",
            )
        value = _cell(cell, field) if cells and isinstance(cell, str) else cell
        number = field.number(value)
        if number is None:
            text = f"{where}, field {name}: {cell!r:.60} is no label"
            raise DataError(text, hint=f"it takes {field.words}, or nothing")
        key = field.column.removeprefix(PREFIX)
        label = (number, field.word(value))
        if labels.setdefault(key, label) != label:
            text = f"{where}, field {name}: the row says two things about {key!r}"
            raise DataError(text, hint="leave one of them out")
    return labels


def answer_key(row: Json) -> tuple[str, int]:
    """(item, sample) of the answer that a row labels; a row without a sample is about the first."""
    sample = row.get("sample")
    return str(row.get("custom_id") or row.get("riddle_id")), sample if isinstance(sample, int) else 0
