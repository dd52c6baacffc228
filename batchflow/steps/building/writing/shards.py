"""The lines of a batch cut into shards, as many files as were asked for: prompts that begin alike stay together.

An engine keeps what it computed for a prompt, and skips what the next one has in common with it. So rows are sorted by
the beginnings of their prompts, and each cut is made where neighbours have the least in common, not far from where all
shards would be equally long. Within a shard, rows keep their order.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from batchflow.batch_file import PartWriter
from batchflow.errors import UsageError
from batchflow.local.job.prefix_affinity import STEPS
from batchflow.records import Limits

REACH = 4
"""The part of a mean shard by which a cut may be off its even place: shards have half to one and a half of its rows."""

_DIGEST = 6  # bytes of the hash of one beginning
_MESSAGES, _BODY, _END = b'"messages":', b'"body":', b'}],"'
_CHUNK = 4_096


def beginnings(line: bytes) -> bytes:
    """Hashes of the beginnings of a line's prompt, the shortest first and all of it last.

    Two prompts have as much in common as their hashes have equal pieces in front. A line without messages is taken
    from its body on.
    """
    at = line.find(_MESSAGES)
    start = at if at >= 0 else max(line.find(_BODY), 0)
    end = line.find(_END, start)  # else to the end: the messages are the last key
    prompt = line[start : min(len(line) if end < 0 else end, start + STEPS[-1])]
    digest, pieces, done = hashlib.blake2b(digest_size=_DIGEST), [], 0
    for step in (*(step for step in STEPS if step < len(prompt)), len(prompt)):
        digest.update(prompt[done:step])
        pieces.append(digest.digest())
        done = step
    return b"".join(pieces)


def common(one: bytes, other: bytes) -> int:
    """Number of beginnings that two prompts share."""
    pieces = range(0, min(len(one), len(other)), _DIGEST)
    return next((at // _DIGEST for at in pieces if one[at : at + _DIGEST] != other[at : at + _DIGEST]), len(pieces))


def cuts(keys: Iterator[bytes], rows: int, shards: int) -> list[int]:
    """Ends of the shards among sorted rows. Each lies where the rows around it share least, near its even place."""
    reach = rows // (REACH * shards)
    best: dict[int, tuple[int, int, int]] = {}
    before = b""
    for place, key in enumerate(keys):
        nearest = round(place * shards / rows)
        even = nearest * rows // shards
        if 0 < nearest < shards and abs(place - even) <= reach:
            candidate = common(before, key), abs(place - even), place
            best[nearest] = min(candidate, best.get(nearest, candidate))
        before = key
    evens = {number: (0, 0, number * rows // shards) for number in range(1, shards)}  # where few rows are near none
    return [*(best.get(number, even)[2] for number, even in evens.items()), rows]


def _noted(rows: Iterable[tuple[int, bytes]], order: array[int]) -> Iterator[bytes]:
    """The second column, while the first one is noted."""
    for place, key in rows:
        order.append(place)
        yield key


class ShardWriter(PartWriter):
    """Writes all lines into one file aside, and cuts it into shards when all are there; `settle` renames these.

    Takes about 60 bytes a row on the disk while it sorts, and 10 bytes a row in memory.
    """

    def __init__(self, folder: Path, name: str, limits: Limits, shards: int) -> None:
        whole = replace(limits, requests=1 << 62, file_bytes=1 << 62, line_bytes=limits.line_bytes or limits.file_bytes)
        super().__init__(folder, name, whole)
        self._shards, self._most = shards, limits.requests
        self._shard_of = array("H")
        self._rows = 0
        self._keys = sqlite3.connect("")  # on the disk once it is large, without a name, gone with the process
        self._keys.execute("CREATE TABLE keys (place INTEGER PRIMARY KEY, beginnings BLOB)")

    def __exit__(self, *problem: object) -> None:
        self._keys.close()
        super().__exit__(*problem)

    def add_all(self, custom_ids: Sequence[str], lines: Sequence[bytes]) -> list[int]:
        """Take lines; their shards are known when all are there (`placed`)."""
        numbers = super().add_all(custom_ids, lines)
        places = range(self._rows, self._rows + len(lines))
        self._keys.executemany("INSERT INTO keys VALUES (?, ?)", zip(places, map(beginnings, lines), strict=True))
        self._rows += len(lines)
        return numbers

    def placed(self, first: int, numbers: Sequence[int]) -> Sequence[int]:
        """The shards of rows that follow one another from a place on."""
        return self._shard_of[first : first + len(numbers)]

    def sync(self) -> None:
        """Cut, and force all shards to the disk. Raises UsageError where the rows do not give that many shards."""
        if not self._shard_of:
            self._refuse_more_than_rows()
            self._assign()
            self._cut()
        super().sync()

    def _refuse_more_than_rows(self) -> None:
        if self._shards > self._rows:
            rows = "1 row" if self._rows == 1 else f"{self._rows:,} rows"
            raise UsageError(f"--shards {self._shards}: the batch has {rows}", hint=f"--shards {self._rows} at most")

    def _assign(self) -> None:
        """Decide the shard of every row."""
        order = array("L")
        with closing(self._keys.execute("SELECT place, beginnings FROM keys ORDER BY beginnings, place")) as rows:
            ends = cuts(_noted(rows, order), self._rows, self._shards)
        self._shard_of = array("H", bytes(2 * self._rows))
        runs = list(pairwise([0, *ends]))
        for shard, (start, end) in enumerate(runs):
            for place in order[start:end]:
                self._shard_of[place] = shard
        sizes = [end - start for start, end in runs]
        if max(sizes) > self._most:
            enough = -(-2 * self._rows // self._most)
            text = f"--shards {self._shards}: a shard would have {max(sizes):,} rows"
            raise UsageError(f"{text}, and [limits.local] allows {self._most:,}", hint=f"--shards {enough}")

    def _cut(self) -> None:
        """Copy the lines into a file for each shard, in their order."""
        (whole,) = self._parts
        whole.handle.flush()
        self._parts = [self._opened(number + 1) for number in range(self._shards)]  # beside the whole one, 0
        try:
            with whole.path.open("rb") as lines:
                waiting: list[list[bytes]] = [[] for _ in self._parts]
                for place, line in enumerate(lines):
                    waiting[self._shard_of[place]].append(line)
                    if place % _CHUNK == _CHUNK - 1:
                        self._write(waiting)
                self._write(waiting)
        finally:
            whole.handle.close()
            whole.path.unlink(missing_ok=True)

    def _write(self, waiting: list[list[bytes]]) -> None:
        for part, lines in zip(self._parts, waiting, strict=True):
            part.add(lines)
            lines.clear()
