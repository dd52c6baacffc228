"""Data-set files of riddles: rows in, checked items out, one row in memory at a time.

A row has the columns of docs/data.md. Whatever is wrong with it is refused with file, line (Parquet: row) and
field; nothing is guessed, skipped or mended, because a silently lost riddle changes the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Image, Item
from batchflow.tasks import base
from batchflow.tasks.base import Asked, Known, Source
from batchflow.tasks.datasets import cells, columns, pictures, tables
from batchflow.tasks.datasets.dedup import Seen, likely_rows
from batchflow.tasks.datasets.place import Place

HINTS = ("first_hint", "second_hint", "third_hint", "special_hint")
_REQUIRED = ("id", "description", "answer")
_TEXTS = ("category", "url", *HINTS, "solution", "justification")
FIELDS = ("id", "split", "description", "answer", "img", "picarats", *_TEXTS)


def local(path: Path) -> Source:
    """The source of a user's file (`--dataset PATH`). Raises UsageError when it is not there or of no known kind."""
    if not path.is_file():
        raise UsageError(f"data set {path}: no such file", hint="--dataset takes the path of a file")
    tables.of(path)
    return Source(str(path), path, files.sha256(path))


def items(source: Source, split: str) -> Iterator[Item]:
    """Stream the items of a split, in file order. Raises DataError with file, line and field.

    A row that names no split belongs to the split that is asked for.
    """
    reading = _Reading(source, split)
    for number, row in _rows(source):
        if (item := reading.item(number, row)) is not None:
            yield item
    reading.end()


def asked(source: Source, split: str, asking: Callable[[Any], Asked | None]) -> Iterator[Item | Asked]:
    """`items`, where a row of the usual shape becomes at once what is asked about it.

    asking: of a row with the fields of `_kinds` as attributes; None for one that `items` has to look at.
    """
    from batchflow.tasks.datasets import typed_rows

    plain = not source.mapping and split != "vlm"
    read = typed_rows.reader(source.path, _kinds(), asking) if plain else None
    if read is None:
        yield from items(source, split)
        return
    reading = _Reading(source, split)
    is_known = reading.seen.add
    for number, row in files.objects_or(source.path, read):
        if row.__class__ is dict:
            if (item := reading.item(number, row)) is not None:
                yield item
        else:
            if is_known(row[0]):
                reading.refuse_known(row[0], number)
            reading.is_empty = False
            yield row
    reading.end()


def known(source: Source, split: str) -> Iterator[Known]:
    """Questions and answers of a file that was read before, in the order of its `items`.

    In a row of the usual shape no picture is looked at, nor whether its id came before.
    """
    from batchflow.tasks.datasets import typed_rows

    read = None if source.mapping else typed_rows.reader(source.path, _kinds(), partial(_known, split))
    if read is None:
        yield from map(base.known, items(source, split))
        return
    reading = _Reading(source, split)
    for number, row in files.objects_or(source.path, read):
        if row.__class__ is not dict:
            yield row
        elif (item := reading.item(number, row)) is not None:
            yield base.known(item)


def _known(split: str, row: Any) -> Known | None:
    """Question and answer of a row with the fields of `_kinds` as attributes; None for one to be looked at."""
    item_id, description, answer = row.id, row.description, row.answer
    if (
        not (description and answer) or description.isspace() or answer.isspace()
        or (row.split != split and row.split is not None) or row.picarats.__class__ is float
        or item_id.__class__ is not str or not (item_id.isalnum() or item_id.replace("-", "").isalnum())
    ):  # fmt: skip
        return None
    return item_id, description, (answer,)


class _Reading:
    """One pass over the rows of a split: what has to be known of all rows before."""

    def __init__(self, source: Source, split: str) -> None:
        self._source, self._split, self._word = source, split, tables.of(source.path).word
        self.seen, self._others, self.is_empty = Seen(likely_rows(source.path)), set[str](), True

    def item(self, number: int, row: Mapping[str, Any]) -> Item | None:
        """The item of a row; None for one of another split. Raises DataError."""
        place = Place(self._source.path, self._word, number)
        held = row.get("split")
        if held != self._split and (held := cells.text(row, "split", place)) is not None and held != self._split:
            self._others.add(held)
            return None
        item = _item(row, self._split, place, self._source)
        if self.seen.add(item.id):
            self.refuse_known(item.id, number)
        self.is_empty = False
        return item

    def refuse_known(self, item_id: str, number: int) -> None:
        """Raise DataError where a row above has this id, which it only seems to have."""
        if (first := _first(self._source, item_id, self._split, number)) is not None:
            place = Place(self._source.path, self._word, number)
            raise place.error("id", f"{item_id!r} is already the id of {self._word} {first}")

    def end(self) -> None:
        """Raise DataError where no row was of the split."""
        if self.is_empty:
            raise DataError(
                f"{self._source.path}: the file holds no split {self._split!r}",
                hint=f"it holds: {', '.join(sorted(self._others))}; name one with --split",
            )


def _kinds() -> dict[str, Any]:
    """The types of a usual row's fields; a picture is not looked at where none is asked about."""
    texts = dict.fromkeys((*_TEXTS, "description", "answer"), str | None)
    numbers = {"id": str | int | float | None, "picarats": int | float | None}
    return {**texts, **numbers, "split": str | None, "img": str | int | float | bool | None}


def _first(source: Source, item_id: str, split: str, before: int) -> int | None:
    """The first line or row above `before` that has this id, by reading the file again; None where none has."""
    for number, row in _rows(source):
        if number >= before:
            return None
        place = Place(source.path, tables.of(source.path).word, number)
        if cells.text(row, "split", place) in {None, split} and cells.identity(row, place) == item_id:
            return number
    return None


def _rows(source: Source) -> tables.Rows:
    """The rows of a file under the names of `--map`. Raises DataError for a column that is not there."""
    table = tables.of(source.path)
    rows = table.rows(source.path, columns.wanted(source.mapping, _REQUIRED))
    if not source.mapping and not table.has_header:
        return rows
    first = next(rows)
    columns.check(source.path, first[1], source.mapping, _REQUIRED if table.has_header else ())
    rows = chain([first], rows)
    return ((number, columns.renamed(row, source.mapping)) for number, row in rows) if source.mapping else rows


def _item(row: Mapping[str, Any], split: str, place: Place, source: Source) -> Item:
    values = [*map(row.get, _TEXTS)]
    for value in values:
        if value is not None and (value.__class__ is not str or not value or value.isspace()):
            values = [cells.text(row, name, place) for name in _TEXTS]
            break
    fields: dict[str, Any] = dict(zip(_TEXTS, values, strict=True))
    description, answer = cells.needed(row, "description", place), cells.needed(row, "answer", place)
    fields["description"], fields["answer"] = description, answer
    fields["picarats"] = None if row.get("picarats") is None else _whole(row, "picarats", place)
    image = _picture(row, place, source) if split == "vlm" else None
    return Item(cells.identity(row, place), split, fields, image, (), description, None, (answer,))


def _whole(row: Mapping[str, Any], field: str, place: Place) -> int | None:
    """A whole number or None. CSV brings it as text, Parquet (for a column with nulls) often as 30.0."""
    value = row.get(field)
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if number.is_integer() and abs(number) < 2**53:
            return int(number)
    raise place.error(field, f"a whole number is expected, not {cells.kind(value)}")


def _picture(row: Mapping[str, Any], place: Place, source: Source) -> Image:
    """The row's picture. One of the hub's may lack its end: the data are pinned, so that nobody here could mend it."""
    whole = not source.location.startswith("hub:")
    value = row.get("img")
    if isinstance(value, dict) and "bytes" in value:  # as the `datasets` library stores it
        value = value["bytes"]
    if value is None or value in ("", b""):
        raise place.error("img", "missing or empty; a riddle of split vlm needs its picture")
    try:
        if isinstance(value, bytes):
            return pictures.from_bytes(value, whole=whole)
        if isinstance(value, str):
            return pictures.from_text(value, whole=whole)
    except ValueError as error:
        raise place.error("img", str(error)) from None
    raise place.error("img", f"base64 text is expected, not {cells.kind(value)}")
