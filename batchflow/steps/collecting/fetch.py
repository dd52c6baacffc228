"""results: raw bytes to disk, then outcomes into the ledger, then one row per request into the results file.

Each stage can be cut anywhere and done again: a download is written aside and renamed, decoding is one transaction
that starts from nothing, and the results file is made anew from the raw bytes every time. One process at a time does
so for a batch and its retries: offsets in the ledger are those of the file on the disk.

What a vendor counts and its files do not hold yet is waited for: the job stays `ended`, and the next `results` asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from batchflow import files
from batchflow.errors import DataError, NeedsYou, NotReady, Trouble, VendorError
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.prices.rates import Quote
from batchflow.records import Download, Outcome
from batchflow.states import Event, Stage, State, stage
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.digests import remember
from batchflow.steps.base.garbage import few_collections
from batchflow.steps.base.locks import gathering
from batchflow.steps.base.money import billing
from batchflow.steps.base.money.billing import Cost
from batchflow.steps.base.progress.failure_reasons import Reason, reasons
from batchflow.steps.base.progress.next_command import NOT_FOUND, next_command
from batchflow.steps.base.progress.situation import read_situation
from batchflow.steps.base.recovery import started_elsewhere, take_up
from batchflow.steps.base.rehearsal_guard import refuse_elsewhere
from batchflow.steps.base.vendor_calls import VendorSession, connected, once, patiently
from batchflow.steps.collecting import votes
from batchflow.steps.collecting.outcomes import Reading
from batchflow.steps.collecting.poll import refresh
from batchflow.steps.collecting.results_file import write_results
from batchflow.steps.collecting.sorting import Sorter, Sums
from batchflow.steps.sending.in_doubt import is_guess
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry
from batchflow.vocabulary import REFRESH_S, STOPPED

LANES = 4
RECHECKS = 3  # further downloads, at most, of an output that seems short
EPOCH = datetime.fromtimestamp(0, UTC)
LATE_S = 3600.0  # how long rows are waited for that a vendor counts and its files do not hold


@dataclass(frozen=True, slots=True)
class Late:
    """Rows of one part that its vendor counts and has not handed over. until: RFC 3339 UTC; then they are `missing`."""

    name: str
    part: int
    rows: int
    why: str
    until: str

    @property
    def text(self) -> str:
        """One line for a card."""
        count = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{count} of {self.name}, part {self.part}, waited for until {self.until}: {self.why}"


@dataclass(frozen=True, slots=True)
class ResultsReport:
    """Report of `results`. outcomes add up to requests once finished; pending requests have no row yet.

    late: what vendors count and have not handed over yet. answered, unanswered: requests whose answer was read, and the
    others by kind (docs/glossary.md). why: the reasons of the unanswered ones, the commonest first. cost: of this batch
    alone. also: files in another layout.
    """

    name: str
    handle: str
    path: str
    finished: bool
    requests: int
    pending: int
    outcomes: dict[str, int]
    parsed: dict[str, int]
    answered: int
    unanswered: dict[str, int]
    why: tuple[Reason, ...]
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    oddities: dict[str, int]
    late: tuple[Late, ...]
    cost: Cost
    rehearsal: bool
    next: str
    also: tuple[str, ...] = ()


def results(
    context: Context, name: str, *, refresh_after_s: float = REFRESH_S, again: bool = False, questions: bool = True
) -> ResultsReport:
    """Get whatever is there and write results/<name>.jsonl. Raises NotReady when there is nothing yet, VendorError.

    again: download and decode anew what was taken up already, for rows that came late or bytes that were lost here.
    questions: put question and reference beside each answer.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        root = batch if not again or batch.retries_id is None else batches.by_id(tx, batch.retries_id)
        members = (*batches.retries_of(tx, root.id), root)  # a retry that ended meanwhile is part of what is there
    for member in members:
        _ask(context, member, refresh_after_s)
    late: list[Late] = []
    failed: VendorError | None = None
    with gathering(context, root):
        for member in members:
            try:
                late += _collect(context, member, again=again)
            except VendorError as error:  # withholds nothing that is there
                failed = failed or error
        if failed is not None and not _has_rows(context, batch):
            raise failed
        try:
            report = _written(context, batch, tuple(late), questions=questions)
        except DataError as error:  # its bytes are not here, and could not be brought
            raise failed or error from None
    if failed is not None:
        context.say(f"{batch.name}: {report.path} holds the rows that have arrived")
        raise failed
    return report


def _has_rows(context: Context, batch: BatchRecord) -> bool:
    with context.ledger.read() as tx:
        return bool(request_rows.tally(tx, batch.id).outcomes)


def _written(context: Context, batch: BatchRecord, late: tuple[Late, ...], *, questions: bool) -> ResultsReport:
    """Write the results file of what is in the ledger."""
    name = batch.name
    with context.ledger.read() as tx:
        parts, tally = jobs.of_batch(tx, batch.id), request_rows.tally(tx, batch.id)
    if not tally.outcomes:
        where = stage(job.state for job in parts)
        error = NeedsYou if where is Stage.NEEDS_YOU else NotReady
        waiting = "".join(f"; {each.text}" for each in late)
        is_stopped = any(job.state is State.RUNNING and job.word == STOPPED for job in parts)
        status, verb = (STOPPED, "start") if is_stopped else (where.value, _verb(where))
        raise error(f"{name} is {status}: there are no results yet{waiting}", hint=f"batchflow {verb} {name}")
    for folder in (context.settings.processed, context.settings.results):
        files.sweep(folder)
    payloads.sweep(context)
    payloads.keep_all(context, batch, parts)
    path = write_results(context, batch, questions=questions)
    billing.bill_anew(context, batch)
    with context.ledger.read() as tx:
        cost = billing.cost_of(tx, batches.by_id(tx, batch.id))
        follow = str(next_command(read_situation(tx, batches.by_id(tx, batch.id), parts, tally)))
        why = reasons(tx, batch, tally)
    return _report(context, batch, parts, tally, path, why, cost, follow, late)


def _verb(where: Stage) -> str:
    return {Stage.RUNNING: "get", Stage.ENDED: "results"}.get(where, "start")


def catch_up(context: Context, batch: BatchRecord, refresh_after_s: float) -> None:
    """Ask about a batch where it runs, and collect what has ended. Raises VendorError."""
    _ask(context, batch, refresh_after_s)
    collect(context, batch)


def _ask(context: Context, batch: BatchRecord, refresh_after_s: float) -> None:
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
    parts = take_up(context, batch, parts)
    if any(job.state is State.RUNNING for job in parts):
        refresh(context, batch, parts, refresh_after_s)


def collect(context: Context, batch: BatchRecord) -> tuple[Late, ...]:
    """Download and decode every job that ended and is not fetched; local jobs that still run give what they have."""
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
    if not _due(batch, parts):
        return ()
    with gathering(context, batch):
        return _collect(context, batch)


def _due(batch: BatchRecord, parts: tuple[JobRecord, ...], *, again: bool = False) -> list[JobRecord]:
    partly = {State.RUNNING} if registry.traits_of(batch.provider).partial else set()
    wanted = {State.ENDED} | partly | ({State.FETCHED} if again else set())
    return [job for job in parts if job.state in wanted]


def _collect(context: Context, batch: BatchRecord, *, again: bool = False) -> tuple[Late, ...]:
    """`collect`, under the lock. again: jobs that were fetched, too."""
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
    due = _due(batch, parts, again=again)
    if not due:
        return ()
    refuse_elsewhere(context, batch)
    with connected(context, batch) as session, ThreadPoolExecutor(min(LANES, len(due))) as pool:
        downloads = list(pool.map(partial(_downloaded, session), due))
    late = []
    for job, brought in zip(due, downloads, strict=True):
        if brought.raw is not None:
            late.append(decode(session, job, brought))
        elif brought.is_gone and job.state is not State.FETCHED and not started_elsewhere(context, batch, job):
            with context.ledger.write(batch.id) as tx:
                jobs.note(tx, job.id, word=NOT_FOUND, error=str(brought.lacks))
    with context.ledger.read() as tx:  # a file that is gone is no failure where the others held every row
        over = {job.id for job in jobs.of_batch(tx, batch.id) if job.state is State.FETCHED}
    if failed := _first_failure(due, downloads, over):
        raise failed
    return tuple(each for each in late if each is not None)


def _first_failure(due: list[JobRecord], downloads: list[Brought], over: set[int]) -> VendorError | None:
    for job, brought in zip(due, downloads, strict=True):
        if brought.failed and (brought.raw is None or job.id not in over):
            return brought.lacks
    return None


# -- downloading ------------------------------------------------------------------------------------------------------

Raw = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Brought:
    """Result of a download. raw: the files that are here, None where nothing may be decoded.

    lacks: why a file is not among them. is_late: it may still come, and is waited for.
    """

    raw: Raw | None
    lacks: VendorError | None = None
    is_late: bool = False

    @property
    def is_gone(self) -> bool:
        """Tells whether the vendor says that it has no such thing, and has had the time to bring it."""
        return self.lacks is not None and self.lacks.trouble is Trouble.NOT_FOUND and not self.is_late

    @property
    def failed(self) -> bool:
        """Tells whether the command fails for it, once all else is done."""
        return self.lacks is not None and not self.is_late


def _downloaded(session: VendorSession, job: JobRecord) -> Brought:
    """Bring a job's raw files to disk, whole.

    Fewer lines than requests may be a cut that nothing reported, so they are believed only when two downloads agree.
    """
    context, vendor, batch = session.context, session.vendor, session.batch
    is_late = is_waited_for(context, batch, job)
    try:
        brought = patiently(context, vendor, lambda: _download(session, job))
        for _ in range(RECHECKS):
            if job.state is not State.ENDED or brought.lacks or _lines(context, brought.raw or []) >= job.n_requests:
                break
            before = brought
            brought = patiently(context, vendor, lambda: _download(session, job))
            if brought == before:
                break
    except VendorError as error:
        return _without(context, job, error, is_late=is_late)
    if job.state is State.FETCHED:
        return _complete(job, brought)
    return replace(brought, is_late=is_late and brought.lacks is not None)


def _without(context: Context, job: JobRecord, error: VendorError, *, is_late: bool) -> Brought:
    """Result for a job whose vendor gave nothing."""
    if error.trouble is Trouble.UNPUBLISHED and job.state is State.ENDED:
        return Brought(_kept(context, job), error if is_late else None, is_late=is_late)
    if error.trouble in {Trouble.NOT_FOUND, Trouble.UNPUBLISHED} and job.state is State.FETCHED:
        return _complete(job, Brought(_kept(context, job), error))
    return Brought(None, error)


def _complete(job: JobRecord, brought: Brought) -> Brought:
    """Files from which a fetched job is decoded once more: every file that it had, kept or brought anew."""
    here = {file["kind"] for file in brought.raw or []}
    lost = [str(file["path"]) for file in job.raw if file["kind"] not in here]
    if not lost:
        return Brought(brought.raw)
    text = f"{', '.join(lost)}: gone or changed here, and the vendor has no copy any more"
    return Brought(None, brought.lacks or VendorError(text, trouble=Trouble.NOT_FOUND, hint="put the old file back"))


def is_waited_for(context: Context, batch: BatchRecord, job: JobRecord) -> bool:
    """Tells whether rows may still come that a vendor counts: an hour from when its end was heard of, by default."""
    is_remote = batch.provider not in registry.HERE
    return job.state is State.ENDED and is_remote and context.clock() < _until(context, job)


def _until(context: Context, job: JobRecord) -> datetime:
    return (job.ended_at or job.checked_at or EPOCH) + timedelta(seconds=context.tuned("late_s", LATE_S))


def _download(session: VendorSession, job: JobRecord) -> Brought:
    """All files of a job, each written aside and renamed; a file that is gone withholds no other.

    Files that were brought earlier and do not come now are kept. Raises VendorError GARBLED for one that was cut.
    """
    context, vendor = session.context, session.vendor
    raw, lacks = _kept(context, job), None
    for download in vendor.fetch(session.client, session.job(job)):
        try:
            file = once(context, vendor, partial(_write, session, job, download, raw))
        except VendorError as error:
            if error.trouble is not Trouble.NOT_FOUND:
                raise
            lacks = error
        else:
            raw = [*(old for old in raw if old["kind"] != file["kind"]), file]
    return Brought(sorted(raw, key=lambda file: str(file["kind"]), reverse=True), lacks)


def _kept(context: Context, job: JobRecord) -> Raw:
    """The raw files of a job that are here, or in the store, as they were downloaded; none of one that still runs."""
    return [dict(file) for file in job.raw if job.state is not State.RUNNING and payloads.restore(context, file)]


def _write(session: VendorSession, job: JobRecord, download: Download, kept: Raw) -> dict[str, Any]:
    """Write one file aside and rename it. One that is shorter than what is here already does not replace it."""
    settings = session.context.settings
    path = (settings.project / job.path).with_suffix(f".{download.kind}.raw")
    here = next((file for file in kept if file["kind"] == download.kind), None)
    hidden = Hidden(settings.secrets(session.batch.provider))
    with suppress(_Shorter):
        with files.replacing(path) as handle:
            size, sha256 = _stream(download, handle, path, hidden, whole=job.state is not State.RUNNING)
            if here is not None and size < here["bytes"]:
                raise _Shorter
        remember(path, sha256)
        payloads.keep(session.context, path, sha256)
        relative = str(path.relative_to(settings.project))
        return {"kind": download.kind, "path": relative, "bytes": size, "sha256": sha256}
    return here or {}


class _Shorter(Exception):
    """A download that holds less than an earlier one."""


def _stream(download: Download, handle: BinaryIO, path: Path, hidden: Hidden, *, whole: bool) -> tuple[int, str]:
    """Write what comes, with stars for the vendor's key; returns the bytes written and their sha256.

    Keys go before the disk sees them: offsets and hashes are those of the file as it lies there.
    """
    came, written, last, digest = 0, 0, b"\n", hashlib.sha256()

    def counted() -> Iterator[bytes]:
        nonlocal came, last
        for chunk in download.chunks:
            came += len(chunk)
            last = chunk[-1:] or last
            yield chunk

    for piece in hidden.stream(counted()):
        digest.update(piece)
        written += handle.write(piece)
    if download.size is not None and came != download.size:
        raise VendorError(f"{path.name}: {came:,} of {download.size:,} bytes arrived", trouble=Trouble.GARBLED)
    if whole and came and last not in {b"\n", b"}"}:
        raise VendorError(f"{path.name}: the download ends inside a line", trouble=Trouble.GARBLED)
    return written, digest.hexdigest()


def _lines(context: Context, raw: Raw) -> int:
    return sum(1 for file in raw for _, _, line in files.lines(context.settings.project / file["path"]) if line.strip())


# -- decoding ---------------------------------------------------------------------------------------------------------


@few_collections()
def decode(session: VendorSession, job: JobRecord, brought: Brought) -> Late | None:
    """Turn a job's raw files into outcomes: one transaction, so that a cut leaves either none or all.

    They are read before it begins, since others wait for it: how long an answer takes to read is its model's choice.
    Returns what is still waited for; the job then stays as it is.
    """
    context = session.context
    with context.ledger.read() as tx:
        if not _is_due(tx, job):
            return None
    with Reading(session, job) as reading:
        for number, file in enumerate(brought.raw or []):
            reading.read(context.settings.project / file["path"], number)
        quote = billing.job_quote(context.settings, session.batch, job, context.clock())
        with context.ledger.write(job.batch_id, session.batch.retries_id or job.batch_id) as tx:
            return _settle(session, tx, job, brought, reading, quote) if _is_due(tx, job) else None


def _is_due(tx: Tx, job: JobRecord) -> bool:
    """Tells whether no other process was faster."""
    return jobs.get(tx, job.id).state is job.state


def _settle(
    session: VendorSession, tx: Tx, job: JobRecord, brought: Brought, reading: Reading, quote: Quote
) -> Late | None:
    context, batch = session.context, session.batch
    now, raw = context.clock(), brought.raw or []
    request_rows.clear(tx, job.id)
    sorter = Sorter(tx, job, reading.oddities)
    for chunk in reading.sorted_chunks():
        sorter.add(chunk)
    sums = sorter.sums
    is_whole_now = sorter.settled == job.n_requests
    late = None if is_whole_now else _late(context, batch, job, brought, sorter)
    is_foreign = sorter.oddities.get("unknown_id") or is_guess(tx, job)
    if job.adopted and sorter.reached == 0 and is_foreign and job.state is State.ENDED:
        why = f"{job.remote_id} was adopted, but none of its rows is this batch's"
        jobs.move(tx, job.id, Event.DISOWN, now=now, error=why, remote_id=None, adopted=False)
    elif job.state is State.RUNNING or late or (brought.failed and not is_whole_now):
        jobs.note(tx, job.id, raw=raw, oddities=sorter.oddities, **_told_gone(brought))
    else:
        silent = None if is_whole_now else _unanswered(job)
        counts = _closed(tx, job, sums, silent)
        jobs.move(tx, job.id, Event.FETCH, now=now, raw=raw, oddities=sorter.oddities, counts=counts)
    billing.bill(tx, job, quote, None if sums is None else (sums.usage, sums.blind))
    _merge(tx, batch)
    for member in {batch.id, batch.retries_id or batch.id}:
        request_rows.keep_counts(tx, member)
    if reading.votes is not None:
        _count_votes(session, tx, reading.votes)
    return late


def _closed(tx: Tx, job: JobRecord, sums: Sums | None, silent: tuple[str, str] | None) -> list[list[Any]] | None:
    """Give the requests that no row speaks of, if any, their outcome and text; returns the counts of all by `sums`."""
    if silent is not None:
        count = request_rows.close_open(tx, job.id, *silent)
        if sums is not None:
            sums.add_silent(silent[0], count)
    return None if sums is None else sums.counts


def _count_votes(session: VendorSession, tx: Tx, fresh: votes.Votes) -> None:
    batch = session.batch
    if batch.retries_id is None and not batches.retries_of(tx, batch.id):
        return votes.count_own(tx, batch, fresh)
    voter = batch if batch.retries_id is None else batches.by_id(tx, batch.retries_id)
    return votes.count(session.context, tx, voter, session.vendor, fresh)


def _told_gone(brought: Brought) -> dict[str, Any]:
    return {"word": NOT_FOUND, "error": str(brought.lacks)} if brought.is_gone else {}


def _merge(tx: Tx, batch: BatchRecord) -> None:
    """Copies a retry's good answers into its root's requests: as it is decoded, and once more when the root is."""
    if batch.retries_id is not None:
        request_rows.merge_retry(tx, batch.id, batch.retries_id)
    for retry in batches.retries_of(tx, batch.id):
        request_rows.merge_retry(tx, retry.id, batch.id)


def _late(context: Context, batch: BatchRecord, job: JobRecord, brought: Brought, sorter: Sorter) -> Late | None:
    """Rows that a vendor counts and has not delivered; None once the counts agree, or after the wait."""
    promised = _promised(job)
    if not is_waited_for(context, batch, job) or (sorter.ran >= promised and not brought.is_late):
        return None
    why = f"the vendor counts {promised:,} rows, its files hold {sorter.ran:,} so far"
    awaited = max(promised - sorter.ran, 1)
    until = f"{_until(context, job):%Y-%m-%dT%H:%M:%SZ}"
    return Late(batch.name, job.part, awaited, str(brought.lacks) if brought.lacks else why, until)


def _promised(job: JobRecord) -> int:
    """Counts the rows that a job's files will hold, by the vendor's counts; all where it ended and counts none."""
    counted = (job.done or 0) + (job.failed or 0)
    if counted:
        return min(counted, job.n_requests)
    return job.n_requests if _unanswered(job)[0] == Outcome.MISSING.value else 0


def _unanswered(job: JobRecord) -> tuple[str, str]:
    """Outcome and text for requests that no row speaks of, by how the job ended."""
    word = (job.word or "").lower()
    if "expired" in word or "timeout" in word:
        return Outcome.EXPIRED.value, job.error or f"the vendor's window closed ({job.word})"
    if "cancel" in word:
        return Outcome.CANCELLED.value, job.error or f"cancelled ({job.word})"
    if "fail" in word:
        return Outcome.ERROR.value, job.error or f"the vendor failed the batch ({job.word})"
    return Outcome.MISSING.value, "the vendor returned no row for this request"


def _report(
    context: Context,
    batch: BatchRecord,
    parts: tuple[JobRecord, ...],
    tally: Tally,
    path: Path,
    why: tuple[Reason, ...],
    cost: Cost,
    follow: str,
    late: tuple[Late, ...],
) -> ResultsReport:
    oddities: dict[str, int] = {}
    for job in parts:
        for kind, count in job.oddities.items():
            oddities[kind] = oddities.get(kind, 0) + count
    where = stage(job.state for job in parts)
    relative = str(path.relative_to(context.settings.project))
    return ResultsReport(
        name=batch.name,
        handle=batch.handle,
        path=relative,
        finished=where is Stage.FINISHED,
        requests=tally.requests,
        pending=tally.pending,
        outcomes=dict(tally.outcomes),
        parsed=dict(tally.parsed),
        answered=tally.answered,
        unanswered=tally.unanswered,
        why=why,
        input_tokens=tally.input_tokens,
        cached_tokens=tally.cached_tokens,
        output_tokens=tally.output_tokens,
        reasoning_tokens=tally.reasoning_tokens,
        oddities=oddities,
        late=late,
        cost=cost,
        rehearsal=batch.rehearsal,
        next=follow,
    )
