"""File locks of jobs, and where this process is as others of the same ledger see it: who can see whose locks.

Locks lie in the project folder, so neither a host's name nor a folder is enough: two people may work on one host in two
folders with one PostgreSQL ledger, two laptops may have one name, and one folder may be mounted on two hosts.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.steps.base.context import Context

LOCKS = ".locks"
_MARK = "place"
_LENGTH = 16  # hex digits


def here(processed: Path) -> str:
    """`<host>/<mark>`; the mark is drawn once per project folder and kept in `processed_files/.locks/place`.

    It is mixed with that file's device and inode: a copy of the folder brings the file along, and is another place.
    """
    return f"{socket.gethostname()}/{_mark(processed / LOCKS)}"


def host_of(place: str) -> str:
    """The host's name, for people."""
    return place.partition("/")[0]


def _mark(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARK).open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two first commands draw one mark
        handle.seek(0)
        mark = handle.read()
        if len(mark) != _LENGTH:  # new, or cut by a kill
            mark = secrets.token_hex(_LENGTH // 2)
            handle.truncate(0)
            handle.write(mark)
            handle.flush()
            os.fsync(handle.fileno())
        there = os.fstat(handle.fileno())
    return hashlib.sha256(f"{mark}:{there.st_dev}:{there.st_ino}".encode()).hexdigest()[:_LENGTH]


def lock_path(context: Context, job: JobRecord) -> Path:
    """The lock file of a job, held by the `start` that works on it."""
    return context.settings.processed / LOCKS / f"{job.batch_id}-{job.part}.lock"


@contextmanager
def alone(context: Context, batch: BatchRecord, job: JobRecord) -> Iterator[None]:
    """Hold the job's lock on this host; a second `start` waits here and then finds the work done."""
    busy = f"{batch.name}: another `start` is sending part {job.part}; waiting for it"
    with _held(context, lock_path(context, job), busy):
        yield


@contextmanager
def taking(context: Context, batch: BatchRecord, path: Path) -> Iterator[None]:
    """Hold the right to take parts of a batch on this host. path: of the lock."""
    with _held(context, path, f"{batch.name}: another process of this host is taking parts of it; waiting for it"):
        yield


def results_lock(context: Context, batch: BatchRecord) -> Path:
    """The lock file of a batch's raw output; a retry shares its root's, whose rows its answers stand in."""
    return context.settings.processed / LOCKS / f"{batch.retries_id or batch.id}.results.lock"


@contextmanager
def gathering(context: Context, *members: BatchRecord) -> Iterator[None]:
    """Hold the right to write the raw output and results of batches, here and on every host of the ledger."""
    locks = {member.retries_id or member.id: member for member in members}
    names = ", ".join(member.name for member in members)
    busy = f"{names}: another command is downloading its results; waiting for it"
    with ExitStack() as held:
        held.enter_context(context.ledger.alone(sorted(locks), busy=lambda: context.say(busy)))
        for _, member in sorted(locks.items()):  # always in one order, so that no two wait for each other
            held.enter_context(_held(context, results_lock(context, member), busy))
        yield


@contextmanager
def _held(context: Context, path: Path, busy: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                context.say(busy)
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_locked(handle, path):
                yield
                return


def _is_locked(handle: TextIO, path: Path) -> bool:
    """Tells whether a locked handle is still the file of that path: after a `delete` it keeps nobody out any more."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
