"""The project folder's own notes of creates, beside the ledger: a ledger can be restored, a payment cannot.

One small file for each part that may have been created, written before the create. A restored backup knows nothing of
what was sent after it was made; this file names the token by which the vendor can be asked.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import NeedsYou, StoreError
from batchflow.ledger import Tx, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import NOT_OUT, Event, State
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import LOCKS
from batchflow.vendors.registry import HERE

LATEST_S = 60.0
"""Seconds from an intent to its create. None takes so long unless the machine is suspended; a later one is not made."""

_FACTS = ("token", "sha256", "remote_file", "base_url")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _path_of(context: Context, batch: BatchRecord, job: JobRecord) -> Path:
    """Path of the note of a part's create. Its name holds the nonce, which a batch of the same making has again."""
    return context.settings.processed / LOCKS / f"{batch.nonce}-{job.part}.sent"


def paths_of(context: Context, batch: BatchRecord) -> list[Path]:
    """All that is remembered of a batch, parts that an older ledger has not among them, and what a kill cut short."""
    folder = context.settings.processed / LOCKS
    return [*sorted(folder.glob(f"{batch.nonce}-*.sent")), *sorted(folder.glob(f".{batch.nonce}-*.sent.*.part"))]


def remember(context: Context, batch: BatchRecord, job: JobRecord, facts: dict[str, Any]) -> None:
    """Write down what is about to be created. facts: as the intent's commit has them, with its detail."""
    if batch.provider in HERE:
        return
    note = {name: getattr(job, name) for name in _FACTS} | facts | {"uptime": _uptime()}
    path = _path_of(context, batch, job)
    files.sweep(path.parent)  # what a killed `start` left of its own
    with files.replacing(path) as handle:
        handle.write(files.dumps(note | {"sending_at": facts["sending_at"].isoformat()}))
    payloads.keep_note(context, path)


def forget_earlier(context: Context, batch: BatchRecord, job: JobRecord) -> None:
    """Remove the store's notes of a part's earlier creates, now that the ledger has the intent of this one.

    Not before: another host may have taken the part over, and what it sent is known by its note.
    """
    if batch.provider in HERE:
        return
    with suppress(StoreError):  # one that stays is asked about once more, by a ledger that does not know it
        payloads.keep_only_note(context, _path_of(context, batch, job))


def since_intent_s(context: Context, batch: BatchRecord, job: JobRecord) -> float | None:
    """Seconds since a job's intent by this machine's uptime, which no change of its clock moves.

    None where the machine was started anew since, or the intent was another folder's.
    """
    note, now = _recalled(_path_of(context, batch, job)), _uptime()
    then = note.get("uptime") if note is not None and note["token"] == job.token else None
    match (then, now):
        case ([str(boot), int() | float() as start_s], [current_boot, now_s]) if boot == current_boot:
            return max(0.0, now_s - start_s)
    return None


def _uptime() -> tuple[str, float] | None:
    """Id of this boot and seconds since it, sleep included; None where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):  # not Linux
        return None


def catch_up(context: Context, batch: BatchRecord, job: JobRecord) -> JobRecord:
    """The job; as `sending` where the folder knows of a create of which the ledger has no intent.

    Raises NeedsYou where what was created is not what the ledger has there now.
    """
    note = unheard_of(context, batch, job)
    if note is None:
        return job
    since = datetime.fromisoformat(note["sending_at"])
    if _is_claimed_as(job, note):
        fact = f"was about to be sent at {since:%F %T} UTC, and may have been"
    else:
        fact = f"sent at {since:%F %T} UTC, and this older ledger knows nothing of it"
    message = f"{batch.name}, part {job.part}: {fact}"
    if note["sha256"] != job.sha256:
        again = f"batchflow delete {batch.name} --force, and prepare it"
        hint = f"put a newer ledger in its place; or, to pay again: {again}"
        raise NeedsYou(f"{message}; its parts differ from those in the ledger", hint=hint)
    with context.ledger.write(batch.id) as tx:
        _replay(tx, context, job, note, since)
        context.say(f"{message}; asking {batch.provider}")
        return jobs.get(tx, job.id)


def unheard_of(context: Context, batch: BatchRecord, job: JobRecord) -> dict[str, Any] | None:
    """Returns the note of a part's create that the ledger does not know; None where both know the same.

    The claim that a job in `starting` is under counts as unknown: its intent was to be committed after the note.
    """
    if job.state not in NOT_OUT:
        return None
    notes = _notes(context, _path_of(context, batch, job))
    if not notes:
        return None
    with context.ledger.read() as tx:
        known = {job.token, *jobs.tokens(tx, job.id)}
    return next((note for note in notes if note["token"] not in known or _is_claimed_as(job, note)), None)


def _is_claimed_as(job: JobRecord, note: dict[str, Any]) -> bool:
    return job.state is State.STARTING and job.token == note["token"]


def _replay(tx: Tx, context: Context, job: JobRecord, note: dict[str, Any], since: datetime) -> None:
    """Bring a job to where it stood when its create was made."""
    now = context.clock()
    if not _is_claimed_as(job, note):
        claim = {"token": note["token"], "claimed_by": None, "claimed_at": now, "error": None}
        jobs.move(tx, job.id, Event.CLAIM, now=now, where=jobs.as_seen(job), detail={"token": note["token"]}, **claim)
        job = jobs.get(tx, job.id)
    intent = {"sending_at": since, "remote_file": note["remote_file"], "base_url": note["base_url"]}
    detail: dict[str, Any] = {name: note[name] for name in ("key_mark", "vendor_time") if name in note}
    jobs.move(tx, job.id, Event.SEND, now=now, where=jobs.as_seen(job), detail=detail, **intent)


def _notes(context: Context, path: Path) -> list[dict[str, Any]]:
    """The notes of a part's creates, of this folder and of all hosts that share its store, the latest first."""
    notes = [note for note in (_recalled(path), *map(_read, payloads.notes(context, path))) if note is not None]
    return sorted(notes, key=lambda note: datetime.fromisoformat(note["sending_at"]), reverse=True)


def _recalled(path: Path) -> dict[str, Any] | None:
    """Reads a note; None without one, and for one whose writing was cut, which is before any create."""
    try:
        return _read(path.read_bytes())
    except FileNotFoundError:  # one that may not be read is no sign that nothing was created
        return None


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        note = files.loads(data)
    except ValueError:
        return None
    return note if isinstance(note, dict) and {*_FACTS, "sending_at", "key_mark"} <= note.keys() else None
