"""A host's share of a local batch: so many parts at once, and the next free one whenever one is done.

The number stands in the project folder under the host's name, since several hosts may share folder and ledger. Whoever
counts what is at work here and takes more holds a lock beside it: two workers that end at once do not take one each.
A part is free where nobody has sent it, and where its worker has ended before its time.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from batchflow import files
from batchflow.errors import NotReady, StaleState, UsageError, VendorError
from batchflow.ledger import jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Phase
from batchflow.states import State
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import LOCKS, alone, here, host_of, taking
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.worker_liveness import Pulse
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.sending.send import STARTABLE, send
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import SHARDS, STOPPED


class _Stance(Enum):
    """A part as this host sees it."""

    FREE = auto()
    MINE = auto()  # a worker of this host is at work on it
    ELSEWHERE = auto()  # one of another host is
    OVER = auto()
    AWAY = auto()  # in a folder that is not seen here, and nobody is heard of


@dataclass(slots=True)
class Taken:
    """Parts that were taken just now, those that workers of this host and of others have, and refusals on the way."""

    parts: list[int] = field(default_factory=list)
    mine: int = 0
    elsewhere: int = 0
    refusals: list[NotReady | StaleState] = field(default_factory=list)


def refuse_for_vendors(batch: BatchRecord, at_once: int | None) -> None:
    """Raise UsageError where a number of parts is given for a batch that no worker of ours works on."""
    if at_once is not None and not traits_of(batch.provider).own_engine:
        raise UsageError(
            f"--jobs {at_once}: for --provider local; {batch.name} is at {batch.provider}",
            hint=f"enqueued_jobs = {at_once} under [limits.{batch.provider}] in batchflow.toml",
        )


def at_once(context: Context, batch: BatchRecord) -> int | None:
    """Parts that this host takes at once; None where nothing bounds them, 0 for shards that nobody has started here."""
    with suppress(OSError, ValueError):
        return int(_note(context, batch).read_bytes())
    return 0 if SHARDS in batch.options else None


def join(context: Context, batch: BatchRecord, count: int | None) -> int | None:
    """Note the parts that this host takes at once from here on: as many as given, one of a batch in shards."""
    standing = at_once(context, batch)
    wanted = count or standing or (1 if standing == 0 else None)
    if wanted is not None and wanted != standing:
        with files.replacing(_note(context, batch)) as handle:
            handle.write(str(wanted).encode())
    return wanted


def paths_of(context: Context, batch: BatchRecord) -> list[Path]:
    """The notes and locks of all hosts that share a batch."""
    return sorted((context.settings.processed / LOCKS).glob(f"{_stem(batch)}.*.share*"))


def _stem(batch: BatchRecord) -> str:
    return f"{batch.nonce}-{batch.id}"


def _note(context: Context, batch: BatchRecord) -> Path:
    processed = context.settings.processed
    return processed / LOCKS / f"{_stem(batch)}.{host_of(here(processed))}.share"


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}-{what}")


@contextmanager
def standing_by(context: Context, batch: BatchRecord) -> Iterator[bool]:
    """True for the one process of this host that waits for parts of other hosts, as long as the block runs."""
    with _beside(_note(context, batch), "standby").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def take(session: VendorSession, due: Sequence[JobRecord], most: int, **how: bool) -> Taken:
    """Take free parts of those that are due, until as many as this host takes at once are at work here.

    how: as `send` takes it. One that another host has just taken is passed over.
    """
    context, batch = session.context, session.batch
    taken = Taken()
    with taking(context, batch, _beside(_note(context, batch), "lock")):
        stances = _stances(session, due)
        taken.mine = sum(stance is _Stance.MINE for stance in stances.values())
        taken.elsewhere = sum(stance is _Stance.ELSEWHERE for stance in stances.values())
        for job in due:
            if taken.mine >= most:
                break
            if stances[job.id] is _Stance.FREE and _is_taken(session, job, taken, how):
                taken.parts.append(job.part)
                taken.mine += 1
    return taken


def _is_taken(session: VendorSession, job: JobRecord, taken: Taken, how: dict[str, bool]) -> bool:
    """Send a free part, or go on with one whose worker has ended; False where another host was faster."""
    with alone(session.context, session.batch, job):
        with session.context.ledger.read() as tx:
            latest = jobs.get(tx, job.id)
        if latest.state is not job.state or _stances(session, [latest])[job.id] is not _Stance.FREE:
            taken.elsewhere += 1
            return False
        try:
            return send(session, job.id, **how)
        except (NotReady, StaleState) as error:
            taken.refusals.append(error)
            return False


def _stances(session: VendorSession, parts: Sequence[JobRecord]) -> dict[int, _Stance]:
    with session.context.ledger.read() as tx:
        pulses = worker_liveness.pulses(tx, session.batch, parts)
    place = here(session.context.settings.processed)
    return {job.id: _stance(session, job, pulses.get(job.id), place) for job in parts}


def _stance(session: VendorSession, job: JobRecord, pulse: Pulse | None, place: str) -> _Stance:
    if job.state is not State.RUNNING:
        return _Stance.FREE if job.state in STARTABLE else _Stance.OVER
    lives = pulse is not None and pulse.age_s <= pulse.length_s
    if pulse is not None and lives and pulse.place != place:
        return _Stance.ELSEWHERE  # its lock may not be seen here
    try:
        progress = session.once(session.vendor.poll, session.job(job))
    except VendorError:
        return _Stance.AWAY
    if progress.phase is not Phase.WAITING:
        return _Stance.OVER
    owner = pulse.place if pulse else (job.claimed_by or "").rpartition(":")[0]  # it has no lease yet
    at_work = _Stance.MINE if owner == place else _Stance.ELSEWHERE
    return _Stance.FREE if progress.word == STOPPED else at_work
