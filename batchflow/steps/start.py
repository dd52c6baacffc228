"""start: send a batch's jobs, each exactly once, whatever dies meanwhile.

Per job and under its lock: claim, commit -> upload -> commit the intent with a token -> create, once -> commit the
vendor's id. A job found in `sending` was cut in between: the vendor is asked whether it knows the token; only where
it provably does not, the job goes back to `prepared`. Where nobody can tell, it becomes `unsure` and a person decides.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from batchflow import files
from batchflow.errors import BatchflowError, DataError, NeedsYou, NotReady, StaleState, Trouble, UsageError, VendorError
from batchflow.ledger import batches, jobs
from batchflow.ledger import requests as rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import Event, State
from batchflow.steps import canary
from batchflow.steps.calls import connected, once, patiently, vendor_job
from batchflow.steps.context import Context
from batchflow.steps.here import LOCKS, here, host_of
from batchflow.steps.rehearse import keep_apart
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

CLAIM_S = 3600.0  # a claim of another host this old is taken over: no upload or create lasts that long
FIND_GRACE_S = 10.0  # a vendor's list may lag behind its create by moments: only then an absence proves anything

_STARTABLE = frozenset({State.PREPARED, State.REFUSED, State.STARTING, State.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """The flags of `start`. adopt: vendor id of the one unsure job. resend: send unsure jobs anew.

    canary: so many requests go alone first. past_canary: send the rest whatever became of them.
    """

    accept_edit: bool = False
    adopt: str | None = None
    resend: bool = False
    canary: int | None = None
    past_canary: bool = False
    takeover: bool = False


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job on the card of `start`."""

    part: int
    state: str
    requests: int
    remote_id: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StartReport:
    """What became of a batch's jobs. waiting: prepared jobs that wait for something."""

    name: str
    provider: str
    model: str
    requests: int
    jobs: tuple[JobLine, ...]
    sent_now: int
    waiting: int
    waits_for: str
    base_url: str | None
    rehearsal: bool
    next: str


def start(context: Context, name: str, options: StartOptions | None = None) -> StartReport:
    """Send what is not sent yet. Raises VendorError, DataError (edited file), NeedsYou (unsure job), NotReady.

    Raises UsageError where a rehearsal and the real thing would mix.
    """
    options = options or StartOptions()
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        found = jobs.of_batch(tx, batch.id)
    vendor = registry.get(batch.provider)
    if any(job.state in _STARTABLE or job.state is State.UNSURE for job in found):
        batch = keep_apart(context, batch, found)
    decided = _decide_unsure(context, batch, found, options)
    if options.canary is not None and batch.provider != "rule":
        batch = canary.split(context, batch, options.canary)
        with context.ledger.read() as tx:
            decided = jobs.of_batch(tx, batch.id)
    allowed = canary.gate(context, batch, ignore=options.past_canary)
    due = [job for job in decided if job.id in allowed and (job.state in _STARTABLE or _resumable(vendor, job))]
    if due:
        with connected(context, vendor) as client:
            _send_all(context, vendor, client, batch, due, options)
    return _report(context, batch, decided)


def start_all(context: Context, names: Sequence[str], options: StartOptions | None = None) -> list[StartReport]:
    """`start` for several batches: one that cannot be sent holds up none of the others.

    Raises the first error once all were tried; what became of each is told by then.
    """
    reports: list[StartReport] = []
    errors: list[BatchflowError] = []
    for name in names:
        try:
            reports.append(start(context, name, options))
        except BatchflowError as error:
            errors.append(error)
            if len(names) > 1:
                context.say(f"{name}: {error}")
    if errors:
        for report in reports:
            context.say(f"{report.name}: sent {report.sent_now} of {len(report.jobs)} jobs")
        raise errors[0]
    return reports


def _send_all(
    context: Context, vendor: Vendor, client: Any, batch: BatchRecord, due: list[JobRecord], options: StartOptions
) -> None:
    """Send job after job until the vendor has no more room."""
    for job in due:
        with _alone(context, batch, job):
            if not _send(context, vendor, client, batch, job.id, options):
                return


def startable(context: Context) -> tuple[str, ...]:
    """Names of the batches that have something to send."""
    with context.ledger.read() as tx:
        found = [(batch, jobs.of_batch(tx, batch.id)) for batch in batches.listing(tx)]
    return tuple(batch.name for batch, parts in found if any(job.state in _STARTABLE for job in parts))


def _resumable(vendor: Vendor, job: JobRecord) -> bool:
    return job.state is State.RUNNING and hasattr(vendor, "resume")


def lock_path(context: Context, job: JobRecord) -> Path:
    """The lock file of a job, held by the `start` that works on it."""
    return context.settings.processed / LOCKS / f"{job.batch_id}-{job.part}.lock"


@contextmanager
def _alone(context: Context, batch: BatchRecord, job: JobRecord) -> Iterator[None]:
    """Hold the job's lock on this host; a second `start` waits here and then finds the work done."""
    path = lock_path(context, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                context.say(f"{batch.name}: another `start` is at work on part {job.part}, waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_locked(handle, path):
                yield
                return


def _is_locked(handle: TextIO, path: Path) -> bool:
    """Whether a locked handle is still the file of that path: after a `delete` it keeps nobody out any more."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _send(
    context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job_id: int, options: StartOptions
) -> bool:
    """Bring one job to `running`. False: the vendor has no room, the rest has to wait."""
    with context.ledger.read() as tx:
        job = jobs.get(tx, job_id)
    if job.state is State.RUNNING and hasattr(vendor, "resume"):
        if once(context, vendor, lambda: vendor.resume(client, vendor_job(context, batch, job))):
            context.say(f"{batch.name}: a new worker goes on with the rest of part {job.part}")
            with context.ledger.write() as tx:
                jobs.note(tx, job.id, word="queued", error=None)  # what was said of the dead one is over
        return True
    if not options.takeover:
        _refuse_elsewhere(context, batch, job)
    if job.state is State.SENDING:
        _ask_about(context, vendor, client, batch, job)
        with context.ledger.read() as tx:
            job = jobs.get(tx, job_id)
    if job.state not in _STARTABLE:
        return True
    _check_file(context, batch, job, accept=options.accept_edit)
    claimed = _claim(context, job)
    try:
        remote_file = patiently(context, vendor, lambda: vendor.upload(client, vendor_job(context, batch, claimed)))
    except VendorError as error:
        return _not_created(context, job_id, error)
    return _create(context, vendor, client, batch, _intend(context, batch, claimed, remote_file))


def _me(context: Context) -> str:
    return f"{here(context.settings.processed)}:{os.getpid()}"


def _refuse_elsewhere(context: Context, batch: BatchRecord, job: JobRecord) -> None:
    """Raise NotReady while a process elsewhere may be uploading or creating: its lock cannot be seen from here.

    Here the job's lock is held, so that whoever claimed it here is dead.
    """
    if job.state not in {State.STARTING, State.SENDING} or not job.claimed_by or not job.claimed_at:
        return
    place, since = job.claimed_by.rpartition(":")[0], job.sending_at or job.claimed_at
    if place != here(context.settings.processed) and context.clock() - since < timedelta(seconds=CLAIM_S):
        raise NotReady(
            f"{batch.name}: {host_of(place)}, from another project folder or machine than this,"
            f" has been starting part {job.part} since {since:%H:%M:%S} UTC",
            hint=f"if that process is dead: batchflow start {batch.name} --takeover",
        )


def _claim(context: Context, job: JobRecord) -> JobRecord:
    """Commit that this process works on the job, from here on under a new token; returns it as claimed."""
    now = context.clock()
    token = secrets.token_hex(12)
    with context.ledger.write() as tx:
        # a claim is only taken from the state and owner that were seen: another host may have been faster
        facts: dict[str, Any] = {
            "claimed_by": _me(context),
            "claimed_at": now,
            "token": token,
            "sending_at": None,
            "error": None,
        }
        jobs.move(tx, job.id, Event.CLAIM, now=now, where=jobs.as_seen(job), **facts)
        return jobs.get(tx, job.id)


def _intend(context: Context, batch: BatchRecord, job: JobRecord, remote_file: str | None) -> JobRecord:
    """Commit the intent: from here on the create may have taken effect."""
    now = context.clock()
    with context.ledger.write() as tx:
        facts: dict[str, Any] = {
            "sending_at": now,
            "remote_file": remote_file,
            "base_url": context.settings.base_url(batch.provider),
        }
        # a host that was taken over meanwhile must not send
        jobs.move(tx, job.id, Event.SEND, now=now, where=jobs.as_seen(job), **facts)
        return jobs.get(tx, job.id)


def _create(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> bool:
    """The one call that spends money, and its three endings: accepted, refused, or nobody knows."""
    sent = vendor_job(context, batch, job)
    try:
        remote_id = once(context, vendor, lambda: vendor.create(client, sent))
    except VendorError as error:
        if error.trouble in {Trouble.UNCERTAIN, Trouble.GARBLED}:
            context.say(f"{error}; asking {batch.provider} whether it took effect")
            _ask_about(context, vendor, client, batch, job)
            return _sent_after_all(context, batch, job, error)
        return _not_created(context, job.id, error)
    _accept(context, batch, job, remote_id)
    return True


def _accept(context: Context, batch: BatchRecord, job: JobRecord, remote_id: str) -> None:
    """Commit the vendor's id. Raises NeedsYou, which names it, when the job was taken over during the call."""
    now = context.clock()
    try:
        with context.ledger.write() as tx:
            facts: dict[str, Any] = {"remote_id": remote_id, "accepted_at": now, "error": None}
            jobs.move(tx, job.id, Event.ACCEPT, now=now, where=jobs.as_seen(job), **facts)
    except StaleState:
        raise NeedsYou(
            f"{batch.name}, part {job.part}: {batch.provider} accepted it as {remote_id}, but it was taken over",
            hint=f"cancel {remote_id} at {batch.provider} unless batchflow show {batch.name} names it",
        ) from None


def _sent_after_all(context: Context, batch: BatchRecord, job: JobRecord, error: VendorError) -> bool:
    """After an uncertain create and a find: True when adopted. Raises the vendor's error when it provably is not."""
    with context.ledger.read() as tx:
        state = jobs.get(tx, job.id).state
    if state is State.RUNNING:
        return True
    raise VendorError(
        f"{batch.name}, part {job.part}: {error}",
        trouble=Trouble.TRANSIENT,
        status=error.status,
        hint=f"nothing was created; run batchflow start {batch.name} again",
    )


def _not_created(context: Context, job_id: int, error: VendorError) -> bool:
    """Record a create or upload that certainly made nothing. False when it only has to wait; else raises."""
    waits = error.trouble is Trouble.QUEUE_FULL
    passing = waits or error.trouble in {Trouble.TRANSIENT, Trouble.UNCERTAIN, Trouble.GARBLED}
    event = Event.RELEASE if passing else Event.REFUSE
    text = str(error)[:2000]
    with context.ledger.write() as tx:
        jobs.move(tx, job_id, event, now=context.clock(), detail={"error": text}, error=text, claimed_by=None)
    if waits:
        context.say(f"{error}; the rest waits for room")
        return False
    raise error


def _ask_about(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> None:
    """Settle a job in `sending`: adopt what the vendor has, release what it provably has not, else `unsure`."""
    since = (context.clock() - job.sending_at).total_seconds() if job.sending_at else 0.0
    if (wait := context.tuned("find_grace_s", FIND_GRACE_S) - since) > 0:
        context.sleep(wait)
    with context.ledger.read() as tx:
        known = jobs.remote_ids(tx)
    asked = vendor_job(context, batch, job, known)
    found = patiently(context, vendor, lambda: vendor.find(client, asked))
    now = context.clock()
    with context.ledger.write() as tx:
        if len(found.ids) == 1:
            facts: dict[str, Any] = {
                "remote_id": found.ids[0],
                "accepted_at": now,
                "adopted": not found.sure,
                "error": None,
            }
            detail = {"remote_id": found.ids[0], "sure": found.sure}
            jobs.move(tx, job.id, Event.ADOPT, now=now, detail=detail, **facts)
            context.say(f"{batch.name}: found again at {batch.provider} as {found.ids[0]}, nothing was sent twice")
            return
        if not found.ids and found.sure:
            jobs.move(tx, job.id, Event.RELEASE, now=now, detail={"find": "nothing was created"}, claimed_by=None)
            return
        text = _unsure_text(batch, found.ids)
        jobs.move(tx, job.id, Event.DOUBT, now=now, detail={"candidates": list(found.ids)}, error=text)
    raise NeedsYou(f"{batch.name}, part {job.part}: {text}", hint=_unsure_hint(batch))


def _unsure_text(batch: BatchRecord, candidates: tuple[str, ...]) -> str:
    if not candidates:
        return f"{batch.provider} may or may not have accepted it, and cannot be asked"
    return f"{batch.provider} has {len(candidates)} batches that may be this one: {', '.join(candidates[:5])}"


def _unsure_hint(batch: BatchRecord) -> str:
    return (
        f"look at {batch.provider}'s console, then: batchflow start {batch.name} --adopt ID if it is there,"
        " --resend if it is not"
    )


def _decide_unsure(
    context: Context, batch: BatchRecord, found: tuple[JobRecord, ...], options: StartOptions
) -> tuple[JobRecord, ...]:
    """Apply the user's --adopt or --resend to unsure jobs. Raises NeedsYou when there are some and neither is given."""
    unsure = [job for job in found if job.state is State.UNSURE]
    if (options.adopt or options.resend) and not unsure:
        raise UsageError(f"{batch.name}: no job is unsure, there is nothing to adopt or resend")
    if not unsure:
        return found
    if options.adopt and options.resend:
        raise UsageError("--adopt and --resend exclude each other")
    if not options.adopt and not options.resend:
        raise NeedsYou(f"{batch.name}, part {unsure[0].part}: {unsure[0].error}", hint=_unsure_hint(batch))
    if options.adopt and len(unsure) > 1:
        raise UsageError(f"{batch.name}: {len(unsure)} jobs are unsure, --adopt takes one id", hint="use --resend")
    now = context.clock()
    with context.ledger.write() as tx:
        for job in unsure:
            if options.adopt:
                facts: dict[str, Any] = {"remote_id": options.adopt, "accepted_at": now, "adopted": True, "error": None}
                jobs.move(tx, job.id, Event.ADOPT, now=now, detail={"by": "user"}, **facts)
            else:
                jobs.move(tx, job.id, Event.RESEND, now=now, detail={"by": "user"}, error=None)
        return jobs.of_batch(tx, batch.id)


def _check_file(context: Context, batch: BatchRecord, job: JobRecord, *, accept: bool) -> None:
    """Hold the file to the hash in the ledger. Raises DataError for a missing or an edited one."""
    path = context.settings.project / job.path
    if not path.exists():
        raise DataError(f"{job.path} is gone", hint=f"batchflow delete {batch.name}, then prepare it again")
    found = files.sha256(path)
    if found == job.sha256:
        return
    if not accept:
        raise DataError(
            f"{job.path} was changed since it was prepared",
            hint=f"batchflow start {batch.name} --accept-edit sends it as it is now; delete and prepare make it anew",
        )
    _check_ids(context, job)
    with context.ledger.write() as tx:
        jobs.note(tx, job.id, sha256=found, bytes=path.stat().st_size)
        kept = batches.by_id(tx, batch.id)
        batches.note(tx, batch.id, notes=[*kept.notes, f"{job.path} was edited by hand before it was sent"])


def _check_ids(context: Context, job: JobRecord) -> None:
    """An edited file still has to hold the same custom_ids in the same order."""
    path = context.settings.project / job.path
    with context.ledger.read() as tx:
        wanted = rows.custom_ids(tx, job.id)
        for number, row in files.objects(path):
            want = next(wanted, None)
            given = row.get("custom_id", row.get("key"))
            if given != want:
                raise DataError(f"{job.path}, line {number}: custom_id {given!r}, the ledger has {want!r}")
        if (left := next(wanted, None)) is not None:
            raise DataError(f"{job.path}: the line of {left} is missing")


def _report(context: Context, batch: BatchRecord, before: tuple[JobRecord, ...]) -> StartReport:
    with context.ledger.read() as tx:
        found = jobs.of_batch(tx, batch.id)
    open_before = {job.id for job in before if job.state in _STARTABLE}
    sent = sum(job.id in open_before and job.state not in _STARTABLE for job in found)
    waiting = [job for job in found if job.state is State.PREPARED]
    return StartReport(
        name=batch.name,
        provider=batch.provider,
        model=batch.model,
        requests=batch.n_requests,
        jobs=tuple(JobLine(j.part, j.state.value, j.n_requests, j.remote_id, j.error) for j in found),
        sent_now=sent,
        waiting=len(waiting),
        waits_for="the canary"
        if "canary" in batch.options and not any(job.error for job in waiting)
        else "room at the vendor",
        base_url=context.settings.base_url(batch.provider),
        rehearsal=batch.rehearsal,
        next=f"batchflow get {batch.name}",
    )
