"""A local job on disk: one folder that the command line, the worker and a later worker share.

spec.json      what to do (written once by `start`, no keys in it)
output.jsonl   one row per finished request, appended in the order of completion
progress.json  how it is going, replaced about once a second
engine.json    what answered: engine, version, settings
stop           present: the job is cancelled
spawned        touched when a worker is started
lock           held by the living worker, whose pid is in it; the kernel frees it however the worker dies
worker.log     the worker's words
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.local.base.options import Options, read
from batchflow.local.job.replies import has_answer
from batchflow.records import Json
from batchflow.vocabulary import CANCELLED_ROW, ENGINE, LOCK, PROGRESS, SPEC

TRIES = 20
CACHE = "cache.sqlite"  # beside the job folders
KEPT_FACTS = 20  # of what answered before, in engine.json
ROW = "local-"  # a row's id is this and its place in the input, counted from 0


@dataclass(frozen=True, slots=True)
class Spec:
    """Work of one job. input: the processed file, sha256 as it was when the job was started."""

    input: Path
    sha256: str
    model: str
    requests: int
    options: Options


@dataclass(slots=True)
class Standing:
    """The numbers of `progress.json`, which `vendors.inhouse.local` reads. Rates and times concern this run only.

    done: all rows that are finished; errors: those of them without an answer; cancelled: those of these that were
    cancelled. endpoints: of a server's job, each with its window, requests in flight and answers.
    """

    word: str
    total: int
    done: int = 0
    errors: int = 0
    cancelled: int = 0
    retries: int = 0
    cached: int = 0
    in_flight: int = 0
    rows_per_s: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    error: str | None = None
    endpoints: tuple[Json, ...] = ()


def load_spec(folder: Path) -> Spec:
    """The job's spec. Raises DataError for one that cannot be read, UsageError for options that make no sense."""
    path = folder / SPEC
    try:
        data = files.loads(path.read_bytes())
        return Spec(Path(data["input"]), data["sha256"], data["model"], int(data["requests"]), read(data["options"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def write_progress(folder: Path, standing: Standing, now: float) -> None:
    """Replace progress.json. now: unix seconds."""
    with files.replacing(folder / PROGRESS) as handle:
        handle.write(files.dumps(asdict(standing) | {"updated_at": now, "pid": os.getpid()}))


def note_engine(folder: Path, facts: Json, *, rows_done: int) -> bool:
    """Replace engine.json. What else had answered rows of this job is kept in it under `before`; True when that is new.

    facts: as they are in JSON (lists for tuples), without secrets. rows_done: by earlier workers.
    """
    path = folder / ENGINE
    last = _table(path)
    before = last.pop("before", [])
    changed = bool(rows_done and last and last != facts)
    if changed:
        before = [*before, last][-KEPT_FACTS:]
    with files.replacing(path) as handle:
        handle.write(files.dumps(facts | ({"before": before} if before else {})))
    return changed


def _table(path: Path) -> Json:
    """A JSON object of a file; {} where there is none."""
    try:
        value = files.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def only_worker(folder: Path) -> Iterator[bool]:
    """True while this process is the job's one worker; False when another one lives.

    The lock's file names its owner, so that what an earlier worker left in progress.json is not taken for its word.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        taken = _take(handle)
        if taken:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield taken
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    """Lock, with a little patience: a look at the lock by `get` holds it for an instant."""
    for _ in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


class Rows:
    """Set of finished rows: one byte per row, whatever the rows' size."""

    def __init__(self, total: int) -> None:
        self._done = bytearray(total)
        self.done = 0
        self.errors = 0
        self.cancelled = 0

    def __contains__(self, index: int) -> bool:
        return bool(self._done[index])

    def add(self, index: int, *, failed: bool, cancelled: bool = False) -> bool:
        """Note a finished row, a cancelled one among the failed; False when it was finished already."""
        if self._done[index]:
            return False
        self._done[index] = 1
        self.done += 1
        self.errors += failed
        self.cancelled += cancelled
        return True


class Output:
    """The growing output file. Lines reach the kernel one by one and the disk in groups.

    A sync that failed once is never forgotten: the kernel tells it once, and the next sync would pretend that all is
    well (fsync(2), errors).
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.unsynced = 0
        self._failed: OSError | None = None

    def check(self) -> None:
        """Raise OSError when an earlier sync failed: what was written may not be on the disk."""
        if self._failed is not None:
            raise self._failed

    def append(self, line: bytes) -> None:
        """Write one line; a killed worker loses nothing of it, a lost machine what was not synced. Raises OSError."""
        self.check()
        view = memoryview(line + b"\n")
        while view:
            view = view[os.write(self._file, view) :]
        self.unsynced += 1

    def sync(self) -> None:
        """Force everything that was written to the disk. Safe to call from another thread. Raises OSError."""
        self.unsynced = 0
        try:
            os.fsync(self._file)
        except OSError as error:
            self._failed = error
            raise

    def close(self) -> None:
        """Sync and close. Raises OSError when this sync or an earlier one failed."""
        try:
            self.sync()
            self.check()
        finally:
            os.close(self._file)


def recover(path: Path, total: int) -> Rows:
    """Read back what earlier workers finished. Lines that are no rows of this job go, so that their rows run again.

    Each line says which row it is, so one that a bad disk or a power failure spoiled says nothing about those behind
    it: only a torn end is cut off the file, damage further up is taken out of it.
    """
    rows = Rows(total)
    good = kept = 0
    if not path.exists():
        return rows
    for offset, length, line in files.lines(path):
        row = _finished(line)
        if length == len(line) or row is None or row[0] >= total:  # no newline at its end, or not a row of ours
            continue
        rows.add(row[0], failed=row[1], cancelled=row[2])
        good, kept = offset + length, kept + length
    if kept < good:
        _keep_rows(path, total, good)
    elif good < path.stat().st_size:
        os.truncate(path, good)
    return rows


def _keep_rows(path: Path, total: int, end: int) -> None:
    """Replace the file by its good lines up to an offset; on an error it stays as it is."""
    with files.replacing(path) as handle:
        for offset, _, line in files.lines(path):
            if offset < end and (row := _finished(line)) is not None and row[0] < total:
                handle.write(line + b"\n")


def _finished(line: bytes) -> tuple[int, bool, bool] | None:
    """A finished row's place, whether it has no answer, and whether it was cancelled; None for what is no row."""
    try:
        row: Any = files.loads(line)
        index = row["id"].removeprefix(ROW)
        failed = row["error"] is not None or row["response"]["status_code"] >= 400
        failed = failed or not has_answer(row["response"]["body"])
        cancelled = row["error"] is not None and row["error"].get("code") == CANCELLED_ROW
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (int(index), failed, cancelled) if index.isdecimal() else None
