"""One job to its vendor, once: claim, upload, intent, create, and what each of their endings means.

A job found in `sending` was cut in between: the vendor is asked whether it knows the token. Only where it provably does
not, the job goes back to `prepared`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from batchflow import files
from batchflow.errors import DataError, LedgerError, NeedsYou, StaleState, Trouble, VendorError
from batchflow.ledger import batches, jobs, request_rows, uploads
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import NOT_OUT, Event, State
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import here
from batchflow.steps.base.money import caps
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.local_pace import pointed_at
from batchflow.steps.base.vendor_calls import TRIES, VendorSession, pause
from batchflow.steps.sending import journal
from batchflow.steps.sending.claims import claim, kept_up, owner, refuse_foreign_claim
from batchflow.steps.sending.in_doubt import account, ask_about, vendor_time
from batchflow.vendors import registry
from batchflow.vendors.base import cannot_resume
from batchflow.vocabulary import QUEUED

SPARE_S = 43200.0  # an upload is used again for half a day: the first vendor to forget one does so after two days

_MAY_HAVE_ARRIVED = frozenset({Trouble.UNCERTAIN, Trouble.GARBLED, Trouble.REDIRECTED})

STARTABLE = NOT_OUT | {State.SENDING}


def send(session: VendorSession, job_id: int, *, accept_edit: bool = False, takeover: bool = False) -> bool:
    """Bring one job, whose lock is held, to `running`. False: the vendor has no room, the rest has to wait.

    Raises VendorError, DataError (edited file), NeedsYou (nobody can tell), NotReady (another host is at it).
    """
    context, vendor, batch = session.context, session.vendor, session.batch
    with context.ledger.read() as tx:
        job = jobs.get(tx, job_id)
    if job.state is State.RUNNING and vendor.resume is not cannot_resume:
        _tell_of_another_host(context, batch, job)
        if session.once(vendor.resume, session.job(job)):
            context.say(f"{batch.name}: a new worker goes on with the rest of part {job.part}")
            with context.ledger.write(batch.id) as tx:
                # what was said of the dead one is over
                jobs.note(tx, job.id, word=QUEUED, error=None, claimed_by=owner(context))
        return True
    if not takeover:
        refuse_foreign_claim(context, batch, job)
    job = settled(session, job)
    if job.state not in STARTABLE:
        return True
    check_file(context, batch, job, accept=accept_edit)
    claimed = claim(context, batch, job, caps.most_of(context, batch, [job]))
    if claimed is None:
        return False
    try:
        with kept_up(context, claimed):
            remote_file = _uploaded(session, claimed)
            noted = account(context, batch, claimed) | vendor_time(session)
    except VendorError as error:
        return _not_created(context, claimed, error)
    return _create(session, _intend(context, batch, claimed, remote_file, noted))


def _tell_of_another_host(context: Context, batch: BatchRecord, job: JobRecord) -> None:
    """Say whose worker has a job already: one of this host would only wait for that one's end."""
    with context.ledger.read() as tx:
        pulse = worker_liveness.pulses(tx, batch, [job]).get(job.id)
    if pulse is not None and pulse.place != here(context.settings.processed) and pulse.age_s <= pulse.length_s:
        context.say(
            f"{batch.name}, part {job.part}: process {pulse.pid} on {pulse.host} is at work on it (heartbeat"
            f" {pulse.age_s:.0f} s ago); a worker of this host goes on only if that one dies"
        )


def settled(session: VendorSession, job: JobRecord) -> JobRecord:
    """A job, whose lock is held, once the vendor was asked about all that may have been created of it.

    The ledger's own create comes first: one that only the folder remembers was made after that had come to nothing.
    """
    if job.state is State.SENDING:
        job = ask_about(session, job)
    while job.state in STARTABLE:  # several notes: of a host that was taken over before it could send, and of another
        job = journal.catch_up(session.context, session.batch, job)
        if job.state is not State.SENDING:
            break
        job = ask_about(session, job)
    return job


def _uploaded(session: VendorSession, job: JobRecord) -> str | None:
    """The vendor's id of the job's file: of one that lies there unused, else of a new upload; None where none is."""
    place = pointed_at(session.context.settings, session.batch)
    with session.context.ledger.read() as tx:
        since = jobs.clock(tx) - timedelta(seconds=SPARE_S)
        spare = uploads.spare(tx, job.id, sha256=job.sha256, base_url=place, since=since)
    return spare or session.patiently(session.vendor.upload, session.job(job))


def _intend(
    context: Context, batch: BatchRecord, job: JobRecord, remote_file: str | None, detail: dict[str, Any]
) -> JobRecord:
    """Commit the intent: from here on the create may have taken effect. The folder remembers it as well."""
    with context.ledger.read() as tx:
        now = jobs.clock(tx)
    place = pointed_at(context.settings, batch)
    facts: dict[str, Any] = {"sending_at": now, "remote_file": remote_file, "base_url": place}
    guard = jobs.as_seen(job)
    journal.remember(context, batch, job, {**facts, **detail})
    with context.ledger.write(batch.id) as tx:
        # a host that was taken over meanwhile must not send
        jobs.move(tx, job.id, Event.SEND, now=now, where=guard, detail=detail, **facts)
        if remote_file is not None:
            uploads.use(tx, job.id, remote_file, sha256=job.sha256, base_url=place, uploaded_at=now)
        intended = jobs.get(tx, job.id)
    journal.forget_earlier(context, batch, job)
    return intended


def _create(session: VendorSession, job: JobRecord) -> bool:
    """The one call that spends money, and its three endings: accepted, refused, or nobody knows."""
    context, batch = session.context, session.batch
    waited_s = journal.since_intent_s(context, batch, job) or 0.0
    if waited_s > journal.LATEST_S:  # a kill during the call would be judged by the intent's age
        text = (
            f"{batch.name}, part {job.part}: {waited_s:.0f} s went by between intent and create; nothing was sent"
            " (a suspended machine, or a slow ledger or store)"
        )
        return _not_created(
            context, job, VendorError(text, trouble=Trouble.TRANSIENT, hint="run the same command again"), unasked=True
        )
    try:
        remote_id = session.once(session.vendor.create, session.job(job))
    except VendorError as error:
        if error.trouble in _MAY_HAVE_ARRIVED:
            context.say(f"{error}; asking {batch.provider} whether it took effect")
            job = _heard(context, job, error)
            return _sent_after_all(context, batch, ask_about(session, job), error)
        return _not_created(context, job, error)
    _accept(context, batch, job, remote_id)
    return True


def _heard(context: Context, job: JobRecord, error: VendorError) -> JobRecord:
    """Note that a create has ended, however: who goes on need not wait for its end."""
    with context.ledger.write(job.batch_id) as tx:
        if jobs.get(tx, job.id).token == job.token:  # else it was taken over meanwhile
            jobs.note(tx, job.id, error=str(error)[:2000])
        return replace(job, error=str(error)[:2000])


def _accept(context: Context, batch: BatchRecord, job: JobRecord, remote_id: str) -> None:
    """Commit the vendor's id, again where the ledger was lost during the call. Raises errors that name the id.

    NeedsYou when the job was taken over meanwhile, LedgerError when the ledger stays away: it was paid for.
    """
    message = f"{batch.name}, part {job.part}: {batch.provider} accepted it as {remote_id}"
    tries = max(1, int(context.tuned("tries", TRIES)))
    for attempt in range(tries):
        try:
            with context.ledger.write(batch.id) as tx:
                if jobs.get(tx, job.id).remote_id != remote_id:  # else the commit whose answer was lost took effect
                    now = context.clock()
                    facts: dict[str, Any] = {"remote_id": remote_id, "accepted_at": now, "error": None}
                    jobs.move(tx, job.id, Event.ACCEPT, now=now, where=jobs.as_seen(job), **facts)
        except StaleState:
            raise NeedsYou(
                f"{message}, but it was taken over",
                hint=f"cancel {remote_id} at {batch.provider} unless batchflow show {batch.name} names it",
            ) from None
        except LedgerError as error:
            if attempt + 1 == tries:
                hint = f"once the ledger is back: batchflow start {batch.name} finds {remote_id}, nothing is sent again"
                raise LedgerError(f"{message}, which the ledger does not know yet: {error}", hint=hint) from None
            context.say(f"{message}; the ledger cannot be written ({error}), trying again")
            context.sleep(pause(context, attempt))
        else:
            return


def _sent_after_all(context: Context, batch: BatchRecord, job: JobRecord, error: VendorError) -> bool:
    """After an uncertain create and a find: True when adopted. Raises the vendor's error when it provably is not."""
    if job.state is State.RUNNING:
        return True
    with context.ledger.write(batch.id) as tx:
        jobs.note(tx, job.id, error=str(error)[:2000])  # by it `get --wait` knows what was started, and goes on
    raise VendorError(
        f"{batch.name}, part {job.part}: {error}",
        trouble=Trouble.TRANSIENT,
        status=error.status,
        hint=f"nothing was created; run batchflow start {batch.name} again",
    )


def _not_created(context: Context, job: JobRecord, error: VendorError, *, unasked: bool = False) -> bool:
    """Record a create or upload that certainly made nothing. False when it only has to wait; else raises.

    unasked: the vendor was not asked to create anything.

    A create that was refused for its rate waits as one for which there is no room: nothing that was sent is in trouble.
    """
    too_often = job.state is State.SENDING and error.status == 429 and error.trouble is Trouble.TRANSIENT
    waits = too_often or error.trouble is Trouble.QUEUE_FULL
    passing = waits or error.trouble in {Trouble.TRANSIENT, Trouble.UNCERTAIN, Trouble.GARBLED}
    event = Event.RELEASE if passing else Event.REFUSE
    text = str(error)[:2000]
    guard = jobs.as_seen(job)  # who took it over meanwhile may be creating
    with context.ledger.write(job.batch_id) as tx:
        facts = {"error": text, "claimed_by": None}
        jobs.move(tx, job.id, event, now=context.clock(), where=guard, detail={"error": text}, **facts)
        if (waits or unasked) and job.state is State.SENDING and job.remote_file is not None:
            uploads.release(tx, job.id, job.remote_file)
    if waits:
        context.say(f"{error}; the rest waits for room in the queue")
        return False
    raise error


def check_file(context: Context, batch: BatchRecord, job: JobRecord, *, accept: bool) -> None:
    """Hold the file to the hash in the ledger. Raises DataError for a missing or an edited one."""
    path = payloads.sent_file(context, job)
    if not path.exists():
        raise DataError(f"{job.path} is gone", hint=f"batchflow delete {batch.name}, then prepare it again")
    digest = files.sha256(path)
    if digest == job.sha256:
        payloads.keep(context, path, digest)  # one of before there was a store
        return
    if not accept:
        raise DataError(
            f"{job.path} was changed since it was prepared",
            hint=f"batchflow start {batch.name} --accept-edit sends it as it is now; delete and prepare make it anew",
        )
    _check_ids(context, job, registry.get(batch.provider, context.settings).LINE.id)
    payloads.keep(context, path, digest)
    with context.ledger.write(batch.id) as tx:
        jobs.note(tx, job.id, sha256=digest, bytes=path.stat().st_size)
        kept = batches.by_id(tx, batch.id)
        batches.note(tx, batch.id, notes=[*kept.notes, f"{job.path} was edited by hand before it was sent"])


def _check_ids(context: Context, job: JobRecord, key: str) -> None:
    """An edited file still has to hold the same custom_ids in the same order. key: under which a line has its own."""
    path = context.settings.project / job.path
    with context.ledger.read() as tx:
        wanted = request_rows.custom_ids(tx, job.id)
        for number, row in files.objects(path):
            want = next(wanted, None)
            given = row.get(key)
            if given != want:
                raise DataError(f"{job.path}, line {number}: custom_id {given!r}, the ledger has {want!r}")
        if (left := next(wanted, None)) is not None:
            raise DataError(f"{job.path}: the line of {left} is missing")
