"""Files: atomic writes, JSON lines, hashes. The one place that renames."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from batchflow.errors import DataError

CHUNK = 1 << 20
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that cannot be written."""

SHALLOW = 200  # levels that `dumps` surely writes: orjson writes 254, and reads 1,024

_LF, _CR = b"\n\r"  # as numbers: to look for one of them takes a tenth of the time
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON. Keys keep their order.

    Halves of surrogate pairs, and numbers of more than 64 bits, become what JSON can say: SDKs hand them on.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_writable(value))


def dump_line(value: Any) -> bytes:
    """`dumps` with a line end."""
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return dumps(value) + b"\n"


def _writable(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return float(value) if abs(value) < 1 << 1023 else str(value)
    if depth > SHALLOW:
        return value
    if isinstance(value, dict):
        return {_writable(key): _writable(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(one, depth + 1) for one in value]
    return value


def encodable(text: str) -> str:
    """A text that UTF-8 can write: each half of a surrogate pair becomes UNKNOWN."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(UNKNOWN if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def loads(data: bytes | str) -> Any:
    """JSON text to values. Raises ValueError."""
    return orjson.loads(data)


def respelled(text: str) -> str:
    """JSON text as `dumps` spells it. Raises ValueError."""
    return dumps(loads(text)).decode()


def spliced(data: bytes) -> Any:
    """JSON text, known to be valid, as a value that `dumps` writes as it stands, on one line.

    Line ends in valid JSON stand between its tokens only, where a space says the same.
    """
    return orjson.Fragment(data.translate(_LINE_ENDS) if _CR in data or _LF in data else data)


def is_deep(data: bytes, value: Any) -> bool:
    """Tells whether a value, and the JSON text that it was read from, is nested more deeply than `dumps` writes."""
    if data.count(b"[") + data.count(b"{") <= SHALLOW:
        return False
    try:
        dumps(value)
    except TypeError:
        return True
    return False


def is_plain(line: bytes) -> bool:
    """Tells whether a line is JSON that `loads` reads and `dumps` writes as well."""
    try:
        loads(line)
    except ValueError:
        return False
    return line.count(b"[") + line.count(b"{") <= SHALLOW


def sha256(path: Path) -> str:
    """Hex digest of a file, read in chunks."""
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hex digest of a file, or of a folder: of the names and digests of its files, hidden ones left out."""
    if path.is_file():
        return sha256(path)
    inside = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
    return digest(dumps([[str(each.relative_to(path)), sha256(each)] for each in inside]))


def digest(data: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def aside(path: Path) -> Path:
    """The name under which a file is written before it gets its own; one per process."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file aside, sync it, rename it into place; on an error the old file stays and no trace is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = aside(path)
    try:
        with open_aside(temporary) as handle:
            yield handle
            sync(handle)
            settle(temporary, path)  # while it is locked: `sweep` would take an unlocked one for a dead process's
    finally:
        temporary.unlink(missing_ok=True)


def open_aside(temporary: Path) -> BinaryIO:
    """Open an empty file under its `aside` name and lock it until it is closed: its writer lives."""
    while True:
        handle = temporary.open("wb", buffering=CHUNK)
        with suppress(OSError):  # a file system without locks: `sweep` cannot lock it either, and leaves it
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _stands(handle, temporary):
            return handle
        handle.close()  # swept away between open and lock


def sweep(folder: Path) -> tuple[Path, ...]:
    """Remove what killed processes left half-written in a folder: `.part` files that no living process has locked."""
    if not folder.is_dir():
        return ()
    return tuple(path for path in sorted(folder.glob(".*.part")) if _swept(path))


def _swept(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as handle:  # gone meanwhile, or its writer lives
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _stands(handle, path):
            path.unlink()
            return True
    return False


def _stands(handle: BinaryIO, path: Path) -> bool:
    """Tells whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def sync(handle: BinaryIO) -> None:
    """Force what was written to the disk itself."""
    handle.flush()
    os.fsync(handle.fileno())


def settle(temporary: Path, path: Path) -> None:
    """Rename into place and make the rename itself durable."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def chunks(path: Path, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from its start up to `end` (its own end when None), a piece at a time."""
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK if end is None else min(CHUNK, end - handle.tell())):
            yield chunk


def end(path: Path, size: int) -> bytes:
    """The last bytes of a file, at most `size` of them."""
    with path.open("rb") as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - size))
        return handle.read()


def lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    r"""(offset, length, line without its newline) of each line of a file, blank ones too.

    Split at b"\n" only: U+2028 and U+0085 are data inside JSON strings.
    """
    offset = 0
    with path.open("rb", buffering=CHUNK) as handle:
        for line in handle:
            length = len(line)
            yield offset, length, line.rstrip(b"\n")
            offset += length


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, JSON object) of a JSON Lines file that has to be whole; blank lines are skipped.

    Raises DataError naming file and line for anything that is not a JSON object, and for a file without rows.
    """
    return objects_or(path, lambda _: None)


def objects_or(path: Path, read: Callable[[bytes], Any]) -> Iterator[tuple[int, Any]]:
    """`objects`, where what `read` makes of a line stands for its object, unless that is None."""
    seen = False
    with path.open("rb", buffering=CHUNK) as handle:
        for number, line in enumerate(handle, start=1):
            row = read(line)
            if row is None and (row := _object(path, number, line)) is None:
                continue
            seen = True
            yield number, row
    if not seen:
        raise DataError(f"{path}: the file has no rows")


def _object(path: Path, number: int, line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None for a blank one. Raises DataError."""
    text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip(b"\n")
    if not text or text.isspace():
        return None
    try:
        row = loads(text)
    except ValueError as error:
        at = f" at column {error.colno}" if isinstance(error, orjson.JSONDecodeError) else ""
        why = f"not JSON ({str(error).partition(': line ')[0]}{at})"
        raise DataError(f"{path}, line {number}: {why}") from None
    if len(text) > SHALLOW and is_deep(text, row):
        raise DataError(f"{path}, line {number}: nested too deeply (at most {SHALLOW} levels)")
    if row.__class__ is not dict:
        raise DataError(f"{path}, line {number}: a JSON object is expected, not {type(row).__name__}")
    return row
