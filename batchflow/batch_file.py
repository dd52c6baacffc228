"""Requests into files: ids that every vendor takes, lines, and parts that respect a vendor's limits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Json, Limits, Request

NAME_LENGTH = 150
_UNSAFE = re.compile(r"[^A-Za-z0-9-]+")
PLACE_DIGITS = 10
"""The most digits of a place in a custom_id."""
_WIRE = re.compile(rf"^(\d{{1,{PLACE_DIGITS}}})-([0-9a-f]{{8}})(?:-|$)")
_ID_LENGTH = 64
CONTENT_LENGTH = 32  # hex digits, 128 bits: no attacker gains anything from two questions that look the same


def safe(text: str) -> str:
    """Text as a piece of a file and batch name: runs of anything but letters, digits and `-` become one `-`."""
    return _UNSAFE.sub("-", text).strip("-") or "x"


def wire_id(seq: int, nonce: str, item_id: str) -> str:
    """custom_id of the request at place `seq`: unique in the batch, salted, readable, ^[a-zA-Z0-9_-]{1,64}$."""
    plain = item_id if item_id.isalnum() and item_id.isascii() else safe(item_id)
    text = f"{seq}-{nonce}-{plain}"
    return text if len(text) <= _ID_LENGTH else text[:_ID_LENGTH].rstrip("-")


def wire_ids(first: int, nonce: str, item_ids: Sequence[str]) -> list[str]:
    """`wire_id` of requests that follow one another, from place `first` on."""
    together = "".join(item_ids)
    if not (together.isalnum() and together.isascii() and all(item_ids)):
        return [wire_id(seq, nonce, item_id) for seq, item_id in enumerate(item_ids, first)]
    texts = [f"{seq}-{nonce}-{item_id}" for seq, item_id in enumerate(item_ids, first)]
    return texts if max(map(len, texts)) <= _ID_LENGTH else [text[:_ID_LENGTH].rstrip("-") for text in texts]


def place(custom_id: object, nonce: str) -> int | None:
    """Place in the batch that a custom_id of this nonce names; None for an id that cannot be ours."""
    match = _WIRE.match(custom_id) if isinstance(custom_id, str) else None
    return int(match.group(1)) if match and match.group(2) == nonce else None


def item_of(custom_id: str) -> tuple[int, str] | None:
    """Place and item, as far as a custom_id holds it (see `safe`), whatever batch it is of; None for no id of ours.

    >>> item_of("12-0badcafe-llm-7"), item_of("llm-7")
    ((12, 'llm-7'), None)
    """
    match = _WIRE.match(custom_id)
    return (int(match[1]), custom_id[match.end() :]) if match else None


class Line(NamedTuple):
    """One request as it will be sent. content: hash of what is asked, the custom_id left out."""

    custom_id: str
    data: bytes
    content: str


def line(request: Request, encoded: Json) -> Line:
    """Serialise one encoded request."""
    data = files.dumps(encoded)
    content = data.replace(request.custom_id.encode(), b"", 1)
    return Line(request.custom_id, data + b"\n", hashlib.sha256(content).hexdigest()[:CONTENT_LENGTH])


@dataclass(frozen=True, slots=True)
class PartFile:
    """One file of a batch, written aside: where it will stand, what it holds."""

    part: int
    path: Path
    sha256: str
    bytes: int
    requests: int


class _Open:
    """A part that is being written."""

    __slots__ = ("bytes", "digest", "handle", "path", "requests")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle: BinaryIO = files.open_aside(path)
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.requests = 0

    def add(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        self.handle.write(data)
        self.digest.update(data)
        self.bytes += len(data)
        self.requests += len(lines)


class PartWriter:
    """Writes the lines of a batch into as many files as the limits ask for, aside; `settle` renames them.

    One part is `<name>.jsonl`, several are `<name>.part-000.jsonl` and so on. As a context manager it leaves
    nothing behind unless `settle` was called.
    """

    def __init__(self, folder: Path, name: str, limits: Limits) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._limits = folder, name, limits
        self._line_bytes = min(limits.line_bytes or limits.file_bytes, limits.file_bytes)
        self._parts: list[_Open] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts:
            part.path.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk does not take the rest of a file that is gone already
                part.handle.close()

    def add(self, item: Line) -> int:
        """Write a line and return the number of the part it went to. Raises DataError for a line over the limits."""
        return self.add_all((item.custom_id,), (item.data,))[0]

    def add_all(self, custom_ids: Sequence[str], lines: Sequence[bytes]) -> list[int]:
        """`add` for many lines: those of one part are written and hashed together."""
        numbers, run = list[int](), list[bytes]()
        part = self._parts[-1] if self._parts else None
        requests, size = (part.requests, part.bytes) if part else (0, 0)
        if part is not None and self._fit(requests, size, list(map(len, lines))):
            part.add(lines)
            return [len(self._parts) - 1] * len(lines)
        for custom_id, data in zip(custom_ids, lines, strict=True):
            length = len(data)
            if length > self._line_bytes:
                raise DataError(
                    f"request {custom_id}: {length:,} bytes, the vendor takes {self._line_bytes:,} in one line",
                    hint="make its picture smaller, or leave the item out",
                )
            if part is None or requests >= self._limits.requests or size + length > self._limits.file_bytes:
                if part is not None:
                    part.add(run)
                name = f"{self._name}.part-{len(self._parts):03d}.jsonl"
                part, run, requests, size = _Open(files.aside(self._folder / name)), [], 0, 0
                self._parts.append(part)
            run.append(data)
            requests, size = requests + 1, size + length
            numbers.append(len(self._parts) - 1)
        if part is not None:
            part.add(run)
        return numbers

    def _fit(self, requests: int, size: int, lengths: list[int]) -> bool:
        """Tells whether lines of these lengths surely fit into a part that holds so much."""
        limits = self._limits
        return (
            requests + len(lengths) <= limits.requests
            and size + sum(lengths) <= limits.file_bytes
            and max(lengths, default=0) <= self._line_bytes
        )

    def sync(self) -> None:
        """Force all parts to the disk: what takes long, so that `settle` does not."""
        for part in self._parts:
            files.sync(part.handle)

    def settle(self) -> tuple[PartFile, ...]:
        """Sync all parts and rename them into place. Raises DataError for a file of that name with other bytes."""
        finished_parts = [part for _, part in self.finished()]
        for made_part in finished_parts:
            if made_part.path.exists() and files.sha256(made_part.path) != made_part.sha256:
                raise DataError(
                    f"{made_part.path} exists and is not from this ledger",
                    hint="move it away, or choose another --name",
                )
        for part, made_part in zip(self._parts, finished_parts, strict=True):
            files.settle(part.path, made_part.path)
        return tuple(finished_parts)

    def finished(self) -> list[tuple[Path, PartFile]]:
        """Each part, synced, with the path under which it lies until `settle`."""
        return [(part.path, self._finished(number, part)) for number, part in enumerate(self._parts)]

    def _finished(self, number: int, part: _Open) -> PartFile:
        files.sync(part.handle)
        suffix = "" if len(self._parts) == 1 else f".part-{number:03d}"
        path = self._folder / f"{self._name}{suffix}.jsonl"
        return PartFile(number, path, part.digest.hexdigest(), part.bytes, part.requests)


def encoded(requests: Iterable[Request], encode: Callable[[Request], Json]) -> Iterator[Line]:
    """Lines of requests, one at a time."""
    return (line(request, encode(request)) for request in requests)
