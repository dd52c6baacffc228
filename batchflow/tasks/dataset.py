"""Data-set files of riddles: JSON Lines, CSV or Parquet in, checked items out, one row in memory at a time.

A row has the columns of docs/data.md. Whatever is wrong with it is refused with file, line (Parquet: row) and
field; nothing is guessed, skipped or mended, because a silently lost riddle changes the score.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from batchflow import files
from batchflow.errors import DataError, UsageError, install_extra
from batchflow.records import Image, Item
from batchflow.tasks import pictures
from batchflow.tasks.base import Source
from batchflow.tasks.seen import Seen

HINTS = ("first_hint", "second_hint", "third_hint", "special_hint")
_REQUIRED = ("id", "description", "answer")
_TEXTS = ("category", "url", *HINTS, "solution", "justification")
_CELL_BYTES = 1 << 28  # csv refuses cells over 128 KiB by default; pictures are larger
_PARQUET_ROWS = 64  # rows decoded at once: pictures make rows heavy

Rows = Iterator[tuple[int, Mapping[str, Any]]]


class _Place(NamedTuple):
    """Where a row stands, for error texts."""

    path: Path
    word: str  # line | row
    number: int

    def error(self, field: str, what: str) -> DataError:
        return DataError(f"{self.path}, {self.word} {self.number}, field {field}: {what}")


def local(path: Path) -> Source:
    """The source of a user's file (`--dataset PATH`). Raises UsageError when it is not there or of no known kind."""
    if not path.is_file():
        raise UsageError(f"data set {path}: no such file", hint="--dataset takes the path of a file")
    _reader(path)
    return Source(str(path), path, files.sha256(path))


def items(source: Source, split: str) -> Iterator[Item]:
    """Stream the items of a split, in file order. Raises DataError with file, line and field.

    A row that names no split belongs to the split that is asked for.
    """
    rows, word = _reader(source.path)
    seen = Seen()
    empty = True
    others: set[str] = set()
    for number, row in rows(source.path):
        place = _Place(source.path, word, number)
        held = _text(row, "split", place)
        if held is not None and held != split:
            others.add(held)
            continue
        item = _item(row, split, place, source)
        if seen.add(item.id) and (first := _first(source.path, item.id, split, number)) is not None:
            raise place.error("id", f"{item.id!r} is already the id of {word} {first}")
        empty = False
        yield item
    if empty:
        raise DataError(
            f"{source.path}: the file holds no split {split!r}",
            hint=f"it holds: {', '.join(sorted(others))}; name one with --split",
        )


def _first(path: Path, item_id: str, split: str, before: int) -> int | None:
    """The first line or row above `before` that has this id, by reading the file again; None where none has."""
    rows, word = _reader(path)
    for number, row in rows(path):
        if number >= before:
            return None
        place = _Place(path, word, number)
        if _text(row, "split", place) in {None, split} and _identity(row, place) == item_id:
            return number
    return None


def _reader(path: Path) -> tuple[Callable[[Path], Rows], str]:
    """The reader of a file's kind, and what it counts."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"data set {path}: files with the ending {path.suffix!r} cannot be read",
            hint=f"known endings: {', '.join(_READERS)}",
        )
    return reader


def _item(row: Mapping[str, Any], split: str, place: _Place, source: Source) -> Item:
    fields: dict[str, Any] = {name: None if row.get(name) is None else _text(row, name, place) for name in _TEXTS}
    fields |= {name: _needed(row, name, place) for name in ("description", "answer")}
    fields["picarats"] = _whole(row, "picarats", place)
    return Item(_identity(row, place), split, fields, _picture(row, place, source) if split == "vlm" else None)


def _identity(row: Mapping[str, Any], place: _Place) -> str:
    """The id as text. Whole numbers become text; other numbers are not kept as they are written, so refused."""
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = _needed(row, "id", place).strip()
    if not text.isprintable():
        raise place.error("id", f"{text!r} holds characters that cannot be printed")
    return text


def _needed(row: Mapping[str, Any], field: str, place: _Place) -> str:
    value = _text(row, field, place)
    if value is None:
        raise place.error(field, "missing or empty")
    return value


def _text(row: Mapping[str, Any], field: str, place: _Place) -> str | None:
    """The text of a field; absent, null and blank are all None."""
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise place.error(field, f"text is expected, not {_kind(value)}")
    return None if not value or value.isspace() else value


def _whole(row: Mapping[str, Any], field: str, place: _Place) -> int | None:
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
    raise place.error(field, f"a whole number is expected, not {_kind(value)}")


def _picture(row: Mapping[str, Any], place: _Place, source: Source) -> Image:
    """The row's picture. One of the hub's may lack its end: the data are pinned, so that nobody here could mend it."""
    whole = not source.location.startswith("hub:")
    value = row.get("img")
    if value is None or value in ("", b""):
        raise place.error("img", "missing or empty; a riddle of split vlm needs its picture")
    try:
        if isinstance(value, bytes):
            return pictures.from_bytes(value, whole=whole)
        if isinstance(value, str):
            return pictures.from_text(value, whole=whole)
    except ValueError as error:
        raise place.error("img", str(error)) from None
    raise place.error("img", f"base64 text is expected, not {_kind(value)}")


def _kind(value: Any) -> str:
    """A value as error texts show it: what it is, and its first characters where that helps."""
    if isinstance(value, str):
        return f"{value[:40]!r}"
    names = {bool: "true or false", dict: "an object", list: "a list", bytes: "bytes"}
    kinds = {int: "a number", float: "a number"}
    return names.get(type(value)) or f"{str(value)[:40]} ({kinds.get(type(value), type(value).__name__)})"


def _jsonl(path: Path) -> Rows:
    return files.objects(path)


def _csv(path: Path) -> Rows:
    """Rows of a CSV file with a header. The line number is that of a row's first line."""
    csv.field_size_limit(max(csv.field_size_limit(), _CELL_BYTES))
    with closing(_decoded(path)) as text:
        yield from _records(path, text)


def _records(path: Path, text: Iterator[str]) -> Rows:
    cells = csv.reader(text, strict=True)
    header: list[str] | None = None
    line = 1
    seen = False
    try:
        for row in cells:
            if header is None:
                header = _header(path, row)
            elif row:
                seen = True
                yield line, _record(path, line, header, row)
            line = cells.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not CSV ({error})") from None
    if not seen:
        raise DataError(f"{path}: the file has no rows")


def _decoded(path: Path) -> Generator[str]:
    """Lines of a UTF-8 file with their ends, the byte-order mark dropped."""
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                yield (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).decode()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason})") from None


def _header(path: Path, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise DataError(f"{path}, line 1, field {missing[0]}: the header has no such column")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}, line 1, field {twice[0]}: the header names this column twice")
    return names


def _record(path: Path, line: int, header: list[str], row: list[str]) -> Mapping[str, Any]:
    if len(row) != len(header):
        raise DataError(f"{path}, line {line}: {len(row)} cells, but the header names {len(header)} columns")
    return dict(zip(header, row, strict=True))


def _parquet(path: Path) -> Rows:
    """Rows of a Parquet file, numbered from 1. Raises UsageError when pyarrow is not installed."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UsageError(f"data set {path}: reading Parquet needs pyarrow", hint=install_extra("parquet")) from None
    seen = False
    try:
        with parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=_PARQUET_ROWS) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                seen = True
                yield number, row | {"img": _embedded(row.get("img"))}
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not Parquet ({error})") from None
    if not seen:
        raise DataError(f"{path}: the file has no rows")


def _embedded(value: Any) -> Any:
    """The bytes of a picture column as the `datasets` library stores it, {bytes, path}; else the value itself."""
    return value["bytes"] if isinstance(value, dict) and "bytes" in value else value


_READERS: dict[str, tuple[Callable[[Path], Rows], str]] = {
    ".jsonl": (_jsonl, "line"),
    ".ndjson": (_jsonl, "line"),
    ".csv": (_csv, "line"),
    ".parquet": (_parquet, "row"),
}
