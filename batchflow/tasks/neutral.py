"""Items of the tasks that ask anything: rows of a user's own file, with the columns that the file has.

A row needs its question and no more. Without a column `id` rows are numbered from 1, in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Image, Item
from batchflow.tasks.base import Source
from batchflow.tasks.datasets import cells, columns, picture_cells, tables
from batchflow.tasks.datasets.dedup import Seen, likely_rows
from batchflow.tasks.datasets.place import Place

ALL = "all"
"""The split that holds every row."""

FIELDS = ("id", "question", "context", "picture", "reference")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PICTURES = ("picture", "pictures", "image", "images", "img")  # columns whose meaning is plain without --map
_QUESTIONS = ("prompt", "input", "query", "problem", "instruction", "description", "text")  # told in a hint only
OPTIONS = "options (JSON)"
"""The column under which the ledger keeps the options of a choice, a JSON list; no column of a user's is called so."""

_LONGEST = 200  # characters of a column's value as the ledger keeps it


def local(name: str, dataset: Path | None, kind: str = "") -> Source:
    """The source of a user's file. kind: its format, where the name does not tell. Raises UsageError."""
    if dataset is None:
        raise UsageError(f"task {name} has no data of its own", hint="name a file with --dataset")
    if not dataset.is_file():
        raise UsageError(f"data set {dataset}: no such file", hint="--dataset takes the path of a file")
    tables.of(dataset, kind)
    return Source(str(dataset), dataset, files.sha256(dataset))


Finish = Callable[[Item, Mapping[str, Any], Place], Item]
"""Adds to an item what one task reads of its row more than others do."""


def items(
    source: Source, split: str, required: tuple[str, ...] = ("question",), finish: Finish | None = None
) -> Iterator[Item]:
    """Stream the items of a split, in file order. Raises DataError with file, line and field.

    The split `all` is the whole file; another one is the rows whose column `split` says so.
    """
    seen = Seen(likely_rows(source.path))
    others: set[str] = set()
    empty, taken = True, frozenset({*FIELDS, *required})
    for place, row in _rows(source, required):
        held = row.get("split")
        if split not in (ALL, held):
            others.update([] if held is None else [str(held)])
            continue
        item = _item(row, split, place, taken)
        item = item if finish is None else finish(item, row, place)
        if seen.add(item.id) and (first := _first(source, required, item.id, split, place.number)) is not None:
            raise place.error("id", f"{item.id!r} is already the id of {place.word} {first}")
        empty = False
        yield item
    if empty:
        hint = f"its column split holds: {', '.join(sorted(others)[:20])}" if others else "it has no column split"
        raise DataError(
            f"{source.path}: the file holds no split {split!r}", hint=f"{hint}; --split {ALL} takes all rows"
        )


def _first(source: Source, required: tuple[str, ...], item_id: str, split: str, before: int) -> int | None:
    """The first line or row above `before` that has this id, by reading the file again; None where none has."""
    for place, row in _rows(source, required):
        if place.number >= before:
            return None
        if split in {ALL, row.get("split")} and cells.identity(row, place) == item_id:
            return place.number
    return None


def _rows(source: Source, required: tuple[str, ...]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Rows under the names of the task, each with an id."""
    table = tables.of(source.path, source.format)
    mapping = source.mapping
    numbered = False
    for count, (number, raw) in enumerate(table.rows(source.path, columns.wanted(mapping, required)), start=1):
        place = Place(source.path, table.word, number)
        if count == 1:
            _check_columns(source, raw, required)
        row = columns.renamed(raw, mapping)
        if count == 1:
            mapping = (*mapping, *_picture_column(place, row, mapping))
            row = columns.renamed(raw, mapping)
            numbered = "id" not in row
        if numbered:
            row["id"] = count if "id" not in row else place.error("id", "the first row has none, this one has")
        yield place, row


def _check_columns(source: Source, row: Mapping[str, Any], required: tuple[str, ...]) -> None:
    """Raise DataError for a missing column, with the command that maps a column of another usual name."""
    try:
        columns.check(source.path, row, source.mapping, required)
    except DataError as error:
        lettered = "+".join(takewhile(row.__contains__, LETTERS))
        if "question" in row and "options" in required and len(lettered) > 1:
            raise DataError(str(error), hint=f"--map options={lettered} takes these columns") from error
        likely = [name for name in _QUESTIONS if name in row and "question" not in dict(source.mapping)]
        if "question" in row or not likely:
            raise
        raise DataError(
            f"{source.path}: there is no column 'question'; columns: {columns.listed(row)}",
            hint=f"--map question={likely[0]} takes that column"
            + ("; a file of riddles is read by --task riddles" if {"description", "answer"} <= row.keys() else ""),
        ) from error


def _picture_column(place: Place, row: Mapping[str, Any], mapping: columns.Mapped) -> columns.Mapped:
    """The column of pictures, where none is mapped. Raises DataError for two of them."""
    if "picture" in dict(mapping):
        return ()
    names = [name for name in _PICTURES if name in row]
    if len(names) > 1:
        raise DataError(
            f"{place.path}: the columns {' and '.join(names)} may all hold pictures",
            hint=f"choose with --map picture={names[0]}, or --map picture={'+'.join(names)} for all of them",
        )
    return (("picture", names[0]),) if names else ()


def _item(row: dict[str, Any], split: str, place: Place, taken: frozenset[str]) -> Item:
    identity = cells.identity(row, place)
    pictures = _pictures(row, place)
    own = {name: _whole(value) for name, value in row.items() if name not in taken}
    return Item(
        identity,
        split,
        own,
        pictures[0] if pictures else None,
        pictures[1:],
        question=cells.needed(row, "question", place),
        context=cells.text(row, "context", place),
        references=_references(row, place),
    )


def _references(row: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """The right answers of a row: a text or number, or a list of them; none where the cell is empty."""
    value = row.get("reference")
    given = value if isinstance(value, list | tuple) else [value]
    shown = []
    for one in given:
        if isinstance(one, dict | list | bytes):
            raise place.error("reference", f"a text, a number or a list of them is expected, not {type(one).__name__}")
        plain = _plain(one)
        if plain is not None and not (isinstance(plain, str) and not plain.strip()):
            shown.append(plain if isinstance(plain, str) else files.dumps(plain).decode())
    return tuple(shown)


def _pictures(row: Mapping[str, Any], place: Place) -> tuple[Image, ...]:
    try:
        return picture_cells.images(row.get("picture"), place.path.parent)
    except ValueError as error:
        raise place.error("picture", str(error)) from None


def _plain(value: Any) -> str | int | float | bool | None:
    """A value as one that JSON has; NaN, which stands for an empty cell in many files, is None."""
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):  # noqa: PLR0124
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else None


def _whole(value: Any) -> str | int | float | bool | None:
    """A column's value; lists and objects as JSON text, pictures and other bytes as None."""
    if type(value) is str:  # what nearly all values are
        return value
    return _as_json(value) if isinstance(value, dict | list | tuple) else _plain(value)


def _kept(value: Any) -> str | int | float | bool | None:
    """A value as the ledger keeps it: long texts are cut, with a hash so that different ones stay different."""
    if type(value) is str:
        if len(value) <= _LONGEST:
            return value
        return f"{value[: _LONGEST - 20]}… #{sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return str(value) if isinstance(value, int) and abs(value) >= 1 << 63 else _plain(value)


def _as_json(value: Any) -> str | None:
    try:
        return files.dumps(value).decode()
    except TypeError:  # bytes and the like inside
        return None


def ledger_columns(item: Item) -> Mapping[str, Any]:
    """The columns that are kept in the ledger with each request: the row's own, and its context."""
    own = {name: _kept(value) for name, value in item.fields.items()}
    if item.context is not None:
        own.setdefault("context", _kept(item.context))
    return own


_LISTED = re.compile(r"\s*\[")


def options(row: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """The options of a choice: a list, its JSON text in a cell, or an object with the letters A, B, ... as keys.

    Empty options at the end, as rows with fewer options have them in a table, are dropped.
    """
    value = row.get("options")
    if isinstance(value, str) and _LISTED.match(value):
        try:
            value = files.loads(value)
        except ValueError as error:
            raise place.error("options", f"not JSON ({error})") from None
    if isinstance(value, dict) and "".join(value) == LETTERS[: len(value)]:
        value = list(value.values())
    if not isinstance(value, list | tuple):
        what = "a list is expected; several columns make one: --map options=A+B+C+D"
        raise place.error("options", "missing or empty" if value is None or value == "" else what)
    shown = [_plain(one) for one in value]
    while shown and (shown[-1] is None or shown[-1] == ""):
        shown.pop()
    texts = [one if isinstance(one, str) else "" if one is None else files.dumps(one).decode() for one in shown]
    if not 2 <= len(texts) <= len(LETTERS) or not all(map(str.strip, texts)):
        raise place.error("options", f"2 to {len(LETTERS)} options are expected, none of them empty")
    return tuple(texts)
