"""Columns of a data set under the names of a task: what `--map question=prompt,reference=gold` says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from batchflow.errors import DataError, UsageError

Mapped = tuple[tuple[str, str], ...]
_FEW, _LONGEST = 30, 60  # columns that an error text lists, and characters of each
_MOST = 1_000  # columns among which the nearest is looked for


def parsed(specs: Iterable[str], fields: Collection[str]) -> Mapped:
    """(field, column) of each pair in some `--map` texts. Raises UsageError for an unknown or repeated field.

    A column may be empty: the field is then left out, even where a column has its name.
    """
    pairs: dict[str, str] = {}
    for pair in (pair for spec in specs for pair in spec.split(",")):
        field, sign, column = (part.strip() for part in pair.partition("="))
        if not sign or not field:
            raise UsageError(f"--map {pair!r}: not field=column", hint="write --map question=prompt,reference=gold")
        if field not in fields:
            near = get_close_matches(field, fields, n=1)
            meant = f"{near[0]} is the nearest; " if near else ""
            raise UsageError(f"--map {pair}: no field {field!r}", hint=f"{meant}fields: {', '.join(fields)}")
        if field in pairs:
            raise UsageError(f"--map names the field {field} twice")
        pairs[field] = column
    return tuple(pairs.items())


def text(mapping: Mapped) -> str:
    """A mapping as `--map` takes it, which is how a batch's spec records it."""
    return ",".join(f"{field}={column}" for field, column in mapping)


def recorded(spec: str) -> Mapped:
    """The mapping that `text` wrote."""
    return tuple((field, column) for field, _, column in (pair.partition("=") for pair in spec.split(",") if pair))


def wanted(mapping: Mapped, required: Iterable[str]) -> tuple[str, ...]:
    """Columns that a file has to have: those of the required fields, and all that are mapped."""
    named = {field: field for field in required} | dict(mapping)
    return tuple(dict.fromkeys(part for column in named.values() for part in (column, *column.split("+")) if part))


def check(path: Path, row: Mapping[str, Any], mapping: Mapped, required: Iterable[str]) -> None:
    """Raise DataError for a column that is wanted and not there, naming the columns that are and the nearest one."""
    named = dict(mapping)
    for field in dict.fromkeys([*required, *named]):
        column = named.get(field, field)
        missing = [part for part in parts(column, row) if part not in row]
        if missing and (column or field in required):
            raise DataError(f"{path}, {_lacks(missing[0], field, named)}", hint=_advice(field, missing[0], row))


def _lacks(column: str, field: str, named: Mapping[str, str]) -> str:
    if field in named:
        return f"--map {field}={named[field]}: there is no column {column!r}"
    return f"line 1, field {field}: the header has no such column"


def _advice(field: str, column: str, row: Mapping[str, Any]) -> str:
    near = get_close_matches(column, islice(row, _MOST), n=1)
    return f"columns: {listed(row)}; name the right one with --map {field}={near[0] if near else 'COLUMN'}"


def listed(row: Mapping[str, Any]) -> str:
    """The first columns of a row, for an error text."""
    return ", ".join([*(name[:_LONGEST] for name in islice(row, _FEW)), *(["..."] if len(row) > _FEW else [])])


def parts(column: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a mapping names: itself where there is such a column, else those between its plus signs."""
    return (column,) if column in row or "+" not in column else tuple(part.strip() for part in column.split("+"))


def renamed(row: Mapping[str, Any], mapping: Mapped) -> dict[str, Any]:
    """The row under the task's names. Columns that are mapped lose their own; several in one field become a list."""
    taken = {part for _, column in mapping for part in parts(column, row)}
    kept = {name: value for name, value in row.items() if name not in taken}
    for field, column in mapping:
        kept.pop(field, None)
        names = parts(column, row)
        if column:
            kept[field] = row.get(names[0]) if len(names) == 1 else [row.get(name) for name in names]
    return kept
