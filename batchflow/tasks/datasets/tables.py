"""Files of rows: JSON Lines, JSON, CSV, TSV and Parquet in, one dictionary a row out, one row in memory at a time.

Nothing is guessed: a delimiter has to make a header that names the columns that are wanted. Text is UTF-8, or what its
byte-order mark says (UTF-8, UTF-16, UTF-32). JSON is read whole, up to `MOST_JSON` bytes; all else is streamed.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from batchflow import files
from batchflow.errors import DataError, UsageError, install_extra

MOST_JSON = 256 << 20
_CELL_BYTES = 1 << 28  # csv refuses cells over 128 KiB by default; pictures are larger
_PARQUET_ROWS = 64  # rows decoded at once: pictures make rows heavy
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE = "save the file as UTF-8"

Row = Mapping[str, Any]
Rows = Iterator[tuple[int, Row]]


class Table(NamedTuple):
    """Format of a file. word: unit of its row numbers, `line` or `row`. has_header: all rows have the same columns."""

    read: Callable[[Path, Collection[str]], Rows]
    word: str
    has_header: bool

    def rows(self, path: Path, wanted: Collection[str] = ()) -> Rows:
        """(number from 1, row) of each row. wanted: columns that the header has to name, by which a delimiter is known.

        Raises DataError with file and line, also for a file without rows; UsageError where pyarrow is not installed.
        """
        return self.read(path, wanted)


def of(path: Path, kind: str = "") -> Table:
    """Returns the format of a file by its name. kind: the ending that it should have. Raises UsageError."""
    table = _TABLES.get(f".{kind}" if kind else path.suffix.lower())
    if table is None:
        raise UsageError(
            f"data set {path}: files with the ending {path.suffix!r} cannot be read",
            hint=f"known endings: {', '.join(_TABLES)}",
        )
    return table


# -- text -------------------------------------------------------------------------------------------------------------


def _encoding(path: Path) -> str | None:
    """The encoding that a byte-order mark names, UTF-8's left out."""
    with path.open("rb") as handle:
        start = handle.read(4)
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def _lines(path: Path) -> Generator[str]:
    """Lines of a text file with their ends, the byte-order mark dropped. Raises DataError with the line's number."""
    encoding = _encoding(path)
    if encoding is None:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                try:
                    yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}, line {number}: not UTF-8 ({error.reason})", hint=_SAVE) from None
        return
    count = 0
    with path.open(encoding=encoding, newline="\n") as text:
        try:
            for decoded in text:
                count += 1
                yield decoded
        except UnicodeError as error:
            raise DataError(f"{path}, line {count + 1}: not {encoding.upper()} ({error})", hint=_SAVE) from None


def _json_lines(path: Path, wanted: Collection[str]) -> Rows:  # noqa: ARG001 - a reader's signature
    return files.objects(path) if _encoding(path) is None else _decoded_objects(path)


def _decoded_objects(path: Path) -> Rows:
    seen = False
    with closing(_lines(path)) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                seen = True
                yield number, _object(path, f"line {number}", line)
    if not seen:
        raise DataError(f"{path}: the file has no rows")


def _object(path: Path, place: str, text: str) -> Row:
    try:
        row = files.loads(text)
    except ValueError as error:
        raise DataError(f"{path}, {place}: not JSON ({error})") from None
    return _checked(path, place, row)


def _checked(path: Path, place: str, row: Any) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"{path}, {place}: a JSON object is expected, not {type(row).__name__}")
    return row


# -- JSON -------------------------------------------------------------------------------------------------------------


def _json(path: Path, wanted: Collection[str]) -> Rows:
    """Rows of a JSON array, of an object with one list, or of JSON Lines under the ending of JSON."""
    if _is_json_lines(path):
        yield from _json_lines(path, wanted)
        return
    if path.stat().st_size > MOST_JSON:
        raise DataError(
            f"{path}: {path.stat().st_size:,} bytes, JSON is read up to {MOST_JSON:,}",
            hint="write it as JSON Lines (.jsonl), one object a line, which is read row by row",
        )
    with closing(_lines(path)) as lines:
        text = "".join(lines)
    try:
        rows = _list(path, files.loads(text))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not rows:
        raise DataError(f"{path}: the file has no rows")
    for number, row in enumerate(rows, start=1):
        yield number, _checked(path, f"row {number}", row)


def _is_json_lines(path: Path) -> bool:
    """Tells whether the first line is an object by itself, and another one follows."""
    with closing(_lines(path)) as lines:
        full = (line for line in lines if line.strip())
        first, second = next(full, ""), next(full, "")
    try:
        return isinstance(files.loads(first), dict) and second.lstrip().startswith("{")
    except ValueError:
        return False


def _list(path: Path, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        lists = {name: member for name, member in value.items() if isinstance(member, list)}
        if len(lists) == 1:
            return next(iter(lists.values()))
        if lists:
            raise DataError(
                f"{path}: several lists, {', '.join(map(repr, lists))}: it is unclear which one holds the rows",
                hint="keep the one list, or write it as JSON Lines (.jsonl)",
            )
        if not any(isinstance(member, dict) for member in value.values()):
            return [value]
    raise DataError(
        f"{path}: neither a list of objects nor an object with one list",
        hint="write one object a row: [{...}, {...}], or JSON Lines (.jsonl)",
    )


# -- CSV and TSV ------------------------------------------------------------------------------------------------------


def _csv(path: Path, wanted: Collection[str]) -> Rows:
    return _delimited(path, _delimiter(path, wanted))


def _tsv(path: Path, wanted: Collection[str]) -> Rows:  # noqa: ARG001 - a reader's signature
    return _delimited(path, "\t")


def _delimiter(path: Path, wanted: Collection[str]) -> str:
    """The delimiter: as the line `sep=;` says that some spreadsheets write, else by the header that it makes.

    Of all delimiters one has to make the most of the columns that are wanted; a header that names none of them is
    split as makes the most columns. Raises DataError where two do equally well.
    """
    with closing(_lines(path)) as lines:
        first = next(lines, "")
    if first.lower().startswith("sep=") and len(first.strip("\r\n")) == 5:
        return first[4]
    headers = {mark: _cells(path, mark) for mark in _DELIMITERS if mark in first}
    if len(headers) < 2:
        return next(iter(headers), ",")
    ranks = {mark: (len(set(wanted).intersection(cells)), len(cells)) for mark, cells in headers.items()}
    best = [mark for mark, rank in ranks.items() if rank == max(ranks.values())]
    if len(best) > 1:
        raise DataError(
            f"{path}, line 1: {' and '.join(_DELIMITERS[mark] for mark in best)} split the header equally well",
            hint="write the delimiter in a first line of its own, such as sep=; or save the file as .tsv",
        )
    return best[0]


def _cells(path: Path, delimiter: str) -> list[str]:
    """The names of a header that is split at this delimiter; none where it cannot be."""
    with closing(_lines(path)) as lines:
        try:
            return [name.strip() for name in next(csv.reader(lines, delimiter=delimiter, strict=True), [])]
        except csv.Error:
            return []


def _delimited(path: Path, delimiter: str) -> Rows:
    """Rows of a file with a header. The line number is that of a row's first line."""
    csv.field_size_limit(max(csv.field_size_limit(), _CELL_BYTES))
    with closing(_lines(path)) as text:
        yield from _records(path, text, delimiter)


def _records(path: Path, text: Iterator[str], delimiter: str) -> Rows:
    cells = csv.reader(text, strict=True, delimiter=delimiter)
    header: list[str] | None = None
    line = 1
    seen = False
    try:
        for row in cells:
            if header is None:
                header = None if _is_mark(row) else _header(path, line, row)
            elif row:
                seen = True
                yield line, _record(path, line, header, row)
            line = cells.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not {_kind(delimiter)} ({error})") from None
    if not seen:
        raise DataError(f"{path}: the file has no rows")


def _is_mark(row: list[str]) -> bool:
    """Tells whether a row is the line `sep=;`, split at what it names."""
    return len(row) == 2 and row[0].lower() == "sep=" and not row[1]


def _kind(delimiter: str) -> str:
    return "CSV" if delimiter == "," else f"CSV with {_DELIMITERS.get(delimiter, repr(delimiter))} between cells"


def _header(path: Path, line: int, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}, line {line}, field {twice[0]}: the header names this column twice")
    return names


def _record(path: Path, line: int, header: list[str], row: list[str]) -> Row:
    if len(row) != len(header):
        raise DataError(
            f"{path}, line {line}: {len(row)} cells, but the header names {len(header)} columns",
            hint="a cell that holds the delimiter, a quote or a line break has to stand in double quotes",
        )
    return dict(zip(header, row, strict=True))


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(path: Path, wanted: Collection[str]) -> Rows:  # noqa: ARG001 - a reader's signature
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
                yield number, row
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not Parquet ({error})") from None
    if not seen:
        raise DataError(f"{path}: the file has no rows")


_LINES, _DELIMITED, _TABBED = Table(_json_lines, "line", False), Table(_csv, "line", True), Table(_tsv, "line", True)
_TABLES = {
    ".jsonl": _LINES,
    ".ndjson": _LINES,
    ".json": Table(_json, "row", False),
    ".csv": _DELIMITED,
    ".tsv": _TABBED,
    ".tab": _TABBED,
    ".parquet": Table(_parquet, "row", True),
}
ENDINGS = tuple(_TABLES)
