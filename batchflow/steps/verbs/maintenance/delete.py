"""delete and cancel: stop a batch, or forget it. The user's own files are never touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow.errors import NeedsYou, StaleState, UsageError
from batchflow.ledger import Tx, batches, jobs, request_rows, runs, sheets, uploads
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Outcome
from batchflow.states import NOT_OUT, UNSENT, Event, State
from batchflow.steps.base import deletion, payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import alone, gathering, lock_path, results_lock
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.recovery import take_up
from batchflow.steps.base.rehearsal_guard import refuse_elsewhere
from batchflow.steps.base.vendor_calls import VendorSession, connected
from batchflow.steps.sending import host_share, journal
from batchflow.steps.sending.claims import refuse_foreign_claim
from batchflow.steps.sending.in_doubt import is_guess, unsure_hint
from batchflow.steps.sending.send import settled
from batchflow.vendors import registry
from batchflow.vocabulary import STOPPED

_MAYBE_OUT = NOT_OUT | {State.SENDING, State.RUNNING}
_LIVE = frozenset({State.STARTING, State.SENDING, State.RUNNING, State.UNSURE})


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """Report of `delete`: the batch and its judges, and their files relative to the project."""

    names: tuple[str, ...]
    files: tuple[str, ...]
    remote: bool
    next: str


@dataclass(frozen=True, slots=True)
class CancelReport:
    """Report of `cancel`: jobs that a vendor was asked to stop, and jobs that had never been sent; lost: given up."""

    name: str
    asked: int
    unsent: int
    next: str
    lost: int = 0


def cancel(context: Context, name: str, *, force: bool = False) -> CancelReport:
    """Ask the vendor to stop what runs; what was never sent is closed at once. What ran is kept.

    A part that a killed `start` left on its way is settled first, so that nothing cancelled is sent later. Raises
    NeedsYou for one of which nobody can tell, when all else was stopped; force: also stop what is only likely ours.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        name = batch.name
        parts = jobs.of_batch(tx, batch.id)
    parts = take_up(context, batch, parts)
    unsent = [job for job in parts if job.state in UNSENT and journal.unheard_of(context, batch, job) is None]
    out = [job for job in parts if job.state in _MAYBE_OUT and job not in unsent]
    unsure = next((job for job in parts if job.state is State.UNSURE), None)
    if not out and not unsent and not unsure:
        raise UsageError(f"{name}: nothing is running and nothing waits to be sent", hint=f"batchflow show {name}")
    if out:
        refuse_elsewhere(context, batch)
    taken = _abandon_all(context, unsent)
    stood = _stop(context, batch, [*out, *taken], force=force)
    if unsure := next((job for job in stood if job.state is State.UNSURE), unsure):
        text = f"{name}, part {unsure.part}: {unsure.error}; what else there was is stopped"
        raise NeedsYou(text, hint=unsure_hint(context, batch))
    if not force and (guess := next((job for job in stood if _is_guess(context, job)), None)):
        text = f"{_may_be_a_strangers(batch, guess)}; it was not stopped, what else there was is"
        raise NeedsYou(text, hint=f"look at {batch.provider}'s console; batchflow cancel {name} --force stops it")
    count = sum(job.state is State.RUNNING for job in stood)
    closed = len(unsent) - len(taken) + sum(job.state in UNSENT for job in stood)
    return CancelReport(name, count, closed, next_of(context, name))


def _is_guess(context: Context, job: JobRecord) -> bool:
    with context.ledger.read() as tx:
        return is_guess(tx, job)


def _may_be_a_strangers(batch: BatchRecord, job: JobRecord) -> str:
    known_by = "was found by its size and time only, and may be somebody else's"
    return f"{batch.name}, part {job.part}: {job.remote_id} {known_by} until batchflow results has seen its rows"


def _abandon_all(context: Context, unsent: list[JobRecord]) -> list[JobRecord]:
    """Close jobs that were never sent; returns those that a `start` has just taken."""
    taken = []
    for job in unsent:
        try:
            _abandon(context, job)
        except StaleState:
            taken.append(job)
    return taken


def _abandon(context: Context, job: JobRecord) -> None:
    """Close a job that was never sent, and its requests. Raises StaleState when it is not as it was seen."""
    with context.ledger.write(job.batch_id) as tx:
        jobs.move(tx, job.id, Event.ABANDON, now=context.clock(), where=jobs.as_seen(job), detail={"by": "user"})
        request_rows.close_open(tx, job.id, Outcome.CANCELLED.value, "cancelled before it was sent")


def _stop(context: Context, batch: BatchRecord, out: list[JobRecord], *, force: bool) -> list[JobRecord]:
    """Stop what runs or is on its way; returns each job as it stood then: running, never sent, or unsure.

    What is only likely ours is left to run, unless forced.
    """
    if not out:
        return []
    stood = []
    with connected(context, batch) as session:
        for job in sorted(out, key=lambda job: job.state is not State.RUNNING):  # what is certain goes first
            latest = job if job.state is State.RUNNING else _at_rest(session, job)
            if latest.state is State.RUNNING and (force or not _is_guess(context, latest)):
                session.patiently(session.vendor.cancel, session.job(latest))
                if latest.word == STOPPED:  # a worker closes what is left: nobody has to start the batch again
                    with context.ledger.write(batch.id) as tx:
                        jobs.note(tx, job.id, word="cancelling", error=None)
            stood.append(latest)
    return stood


def _at_rest(session: VendorSession, job: JobRecord) -> JobRecord:
    """A job that was on its way, once it is known where it came to; waits for a `start` that is at work on it.

    Closed, while its lock keeps every `start` out, where nothing was created.
    """
    context, batch = session.context, session.batch
    with alone(context, batch, job):
        with context.ledger.read() as tx:
            job = jobs.get(tx, job.id)
        there = f"batchflow cancel {batch.name} there; or here, once an hour has passed since"
        refuse_foreign_claim(context, batch, job, hint=there)
        try:
            job = settled(session, job)
        except NeedsYou:  # told with the rest when it is unsure
            with context.ledger.read() as tx:
                job = jobs.get(tx, job.id)
            if job.state is not State.UNSURE:
                raise
        if job.state is State.STARTING:
            job = _released(context, job)
        if job.state in UNSENT:
            _abandon(context, job)
        return job


def _released(context: Context, job: JobRecord) -> JobRecord:
    """A claim of which nothing was created, given back."""
    with context.ledger.write(job.batch_id) as tx:
        guard = jobs.as_seen(job)
        jobs.move(tx, job.id, Event.RELEASE, now=context.clock(), where=guard, claimed_by=None)
        return jobs.get(tx, job.id)


def delete(context: Context, name: str, *, remote: bool = False, force: bool = False) -> DeleteReport:
    """Forget a batch with its judges and retries, and remove the files that batchflow made for them.

    The beginning of a name is not enough: typed again, it could mean the next batch that begins so.
    Nothing is removed before every check, and no `start` or `results` is at it meanwhile. Raises NeedsYou while a
    vendor, or a local worker, may still be working on it, unless forced, and for a retry whose answers are in use;
    StaleState where a jury or a retry was made meanwhile.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, name, whole=True)
        name = batch.name
        family = _family(tx, batch)
        _refuse_leaned_on(tx, batch)
        parts_of = {member.id: jobs.of_batch(tx, member.id) for member in family}
    parts_of = {member.id: take_up(context, member, parts_of[member.id]) for member in family}
    _refuse_live(
        name, [each for each in family if any(_may_run(context, each, job) for job in parts_of[each.id])], force
    )
    if remote and not force:
        _refuse_strangers(context, name, family, parts_of)
    with _claimed(context, family, parts_of):
        with context.ledger.read() as tx:
            parts_of = _still_theirs(tx, batch, family)
            _refuse_live(name, _taken(family, parts_of), force)
        for member in family:  # before anything is marked or forgotten: what cannot be removed stays as it is
            if remote and member.provider not in registry.HERE:
                _remove_remote(context, member, parts_of[member.id])
        with context.ledger.write() as tx:  # what is marked refers to nothing: a delete that is cut leaves no damage
            parts_of = _still_theirs(tx, batch, family)
            _refuse_live(name, _taken(family, parts_of), force)
            deletion.mark(tx, parts_of)
        for member in family:
            if member.provider in registry.HERE:  # what these keep lies in the project folder
                _remove_remote(context, member, parts_of[member.id])
            payloads.drop(context, member, _sent_or_raw(member, parts_of[member.id]))
            payloads.drop_data(context, member, parts_of)
        with context.ledger.write() as tx:  # the rows go last, so that a delete that was cut can be run again
            parts_of = _still_theirs(tx, batch, family)
            _refuse_live(name, _taken(family, parts_of), force)
            removed = [path for member in family for path in _remove_files(context, member, parts_of[member.id])]
            runs.forget(tx, [member.id for member in family])
            sheets.forget(tx, [member.id for member in family])
            batches.delete(tx, [member.id for member in family])
    return DeleteReport(tuple(member.name for member in family), tuple(removed), remote, "batchflow list")


def _refuse_strangers(
    context: Context, name: str, family: list[BatchRecord], parts_of: Mapping[int, tuple[JobRecord, ...]]
) -> None:
    """Raise NeedsYou where a vendor-side batch that is only likely ours would be removed."""
    for member in family:
        for job in parts_of[member.id]:
            if _is_guess(context, job):
                raise NeedsYou(
                    f"{_may_be_a_strangers(member, job)}: it would be removed there",
                    hint=f"leave out --remote, or look at the console and add --force: delete {name}",
                )


@contextmanager
def _claimed(
    context: Context, family: list[BatchRecord], parts_of: Mapping[int, tuple[JobRecord, ...]]
) -> Iterator[None]:
    """Hold every lock of these batches: each `start` of a part, and whoever takes up their results."""
    with ExitStack() as held:
        for member in family:
            for job in parts_of[member.id]:
                held.enter_context(alone(context, member, job))
        held.enter_context(gathering(context, *family))
        yield


def _still_theirs(tx: Tx, batch: BatchRecord, family: list[BatchRecord]) -> dict[int, tuple[JobRecord, ...]]:
    """The jobs of the batches as they stand now. Raises StaleState where others belong to them by now."""
    now = _family(tx, batches.by_id(tx, batch.id))
    if [member.id for member in now] != [member.id for member in family]:
        text = f"{batch.name}: a jury or a retry of it was made or deleted meanwhile; nothing was forgotten"
        raise StaleState(text, hint="run the same command again")
    _refuse_leaned_on(tx, batch)
    return {member.id: jobs.of_batch(tx, member.id) for member in family}


def _refuse_leaned_on(tx: Tx, batch: BatchRecord) -> None:
    """Raise NeedsYou for a retry that holds the bytes of answers that stand in the batch it retries."""
    if batch.retries_id is None:
        return
    root = batches.by_id(tx, batch.retries_id)
    held = request_rows.merged_from(tx, root.id)
    count = sum(held.get(job.id, 0) for job in jobs.of_batch(tx, batch.id))
    if count:
        answers = "1 answer" if count == 1 else f"{count:,} answers"
        raise NeedsYou(
            f"{answers} of {root.name} came from {batch.name}, whose files hold them: they would be lost",
            hint=f"keep it, or forget both: batchflow delete {root.name}",
        )


def _taken(family: list[BatchRecord], parts_of: Mapping[int, tuple[JobRecord, ...]]) -> list[BatchRecord]:
    """The batches that a `start` may have sent since they were looked at: what is paid for stays known."""
    return [each for each in family if any(job.state in _LIVE for job in parts_of[each.id])]


def _refuse_live(name: str, live: list[BatchRecord], force: bool) -> None:
    if live and not force:
        raise NeedsYou(_would_be_lost(live), hint=_stop_first(live, name))


def _stop_first(live: list[BatchRecord], name: str) -> str:
    return f"batchflow cancel {live[0].name}, or batchflow delete {name} --force"


def _may_run(context: Context, batch: BatchRecord, job: JobRecord) -> bool:
    """Tells whether a vendor or a worker may be at it; an older ledger does not know, and the folder may."""
    return job.state in _LIVE or journal.unheard_of(context, batch, job) is not None


def _would_be_lost(live: list[BatchRecord]) -> str:
    """Names who may still be at work, and what a delete would cost: money at a vendor, here only work."""
    here = [batch.name for batch in live if batch.provider in registry.HERE]
    away = [batch.name for batch in live if batch.provider not in registry.HERE]
    losses = []
    if away:
        losses.append(f"{', '.join(away)} may still be running at the vendor, and would be paid for and lost")
    if here:
        losses.append(f"{', '.join(here)} may still be worked off by a local worker, and its answers would be lost")
    return "; ".join(losses)


def _family(tx: Tx, batch: BatchRecord) -> list[BatchRecord]:
    """A batch, preceded by the judges and retries that belong to it."""
    children = [*batches.judges_of(tx, batch.id), *batches.retries_of(tx, batch.id)]
    return [member for child in children for member in _family(tx, child)] + [batch]


def _remove_remote(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...]) -> None:
    with context.ledger.read() as tx:
        lying = {job.id: set(uploads.of_job(tx, job.id)) - {job.remote_file} for job in parts}
    sent = [job for job in parts if job.remote_id or job.remote_file or lying[job.id]]
    if not sent:
        return
    refuse_elsewhere(context, batch)
    with connected(context, batch) as session:
        for job in sent:
            vendor_job = session.job(job)
            unused = [replace(vendor_job, remote_id=None, remote_file=file) for file in sorted(lying[job.id])]
            for copy in (vendor_job, *unused):
                session.patiently(session.vendor.remove, copy)


def _remove_files(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...]) -> list[str]:
    """Remove what batchflow wrote: sent files, raw output, results, locks, and what a killed process left half-written.

    Files are known by their names: one that a killed process had just renamed is in no row of the ledger.
    """
    processed, results = context.settings.processed, context.settings.results
    ours = _sent_or_raw(batch, parts)
    paths = [path for path in sorted(processed.glob("*")) + sorted(processed.glob(".*")) if ours.fullmatch(path.name)]
    aside = re.compile(rf"\.{re.escape(batch.name)}\.jsonl\.\d+\.part")
    paths += [path for path in sorted(results.glob(".*")) if aside.fullmatch(path.name)]
    if batch.results_path or any(job.raw for job in parts):
        paths.append(results / f"{batch.name}.jsonl")
    paths += [*(lock_path(context, job) for job in parts), results_lock(context, batch)]
    paths += [*journal.paths_of(context, batch), *host_share.paths_of(context, batch)]
    paths += [processed / payloads.CACHE / str(file["sha256"]) for job in parts for file in job.raw]
    payloads.sweep(context)
    gone = []
    for path in paths:
        if path.is_file():
            path.unlink()
            gone.append(str(path.relative_to(context.settings.project)))
    return gone


def _sent_or_raw(batch: BatchRecord, parts: tuple[JobRecord, ...]) -> re.Pattern[str]:
    """Names in processed_files/ that are a batch's; `files.aside` and `PartWriter` name what is half-written."""
    stems = "|".join(re.escape(Path(job.path).stem) for job in parts)
    whole = rf"(?:{stems})\.(?:jsonl|verdicts|[a-z_]+\.raw)"
    own = re.escape(batch.name)
    aside = rf"\.{own}(?:~stage-\d+)?\.part-\d+\.jsonl\.\d+\.part"
    return re.compile(rf"{whole}|\.{whole}\.\d+\.part|{aside}|{own}~stage-\d+(?:\.part-\d+)?\.jsonl")
