"""get: how a batch is going. A vendor is asked about a job at most once per refresh time, whichever process asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Outcome, Phase, Progress
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import NOT_FOUND
from batchflow.steps.base.recovery import started_elsewhere, take_up
from batchflow.steps.base.rehearsal_guard import asked_where, is_elsewhere, why_elsewhere
from batchflow.steps.base.vendor_calls import VendorSession, client_of
from batchflow.steps.collecting.progress_report import GetReport, told
from batchflow.vendors import registry
from batchflow.vocabulary import REFRESH_S

LOCAL_REFRESH_S = 1.0  # looking at a worker of one's own costs nobody anything
LANES = 8


def get(context: Context, name: str, *, refresh_after_s: float = REFRESH_S) -> GetReport:
    """Ask about the running jobs where the last answer is old enough, and report from the ledger."""
    return get_all(context, [name], refresh_after_s=refresh_after_s)[0]


def get_all(context: Context, names: Sequence[str], *, refresh_after_s: float = REFRESH_S) -> tuple[GetReport, ...]:
    """`get` for several batches: their vendors are asked side by side."""
    several, troubles = _refreshed(context, names, refresh_after_s)
    with context.ledger.read() as tx:
        return tuple(told(context, tx, batch, troubles.get(batch.id)) for batch in several)


def refresh_all(context: Context, names: Sequence[str], *, refresh_after_s: float) -> dict[str, str]:
    """Ask about the running jobs of batches where that is due; returns why vendors could not be asked, by batch."""
    several, troubles = _refreshed(context, names, refresh_after_s)
    return {batch.name: troubles[batch.id] for batch in several if batch.id in troubles}


def _refreshed(
    context: Context, names: Sequence[str], refresh_after_s: float
) -> tuple[list[BatchRecord], dict[int, str]]:
    with context.ledger.read() as tx:
        batch_parts = [(batch, jobs.of_batch(tx, batch.id)) for batch in (batches.get(tx, name) for name in names)]
    batch_parts = [(batch, take_up(context, batch, parts)) for batch, parts in batch_parts]
    running = [(batch, job) for batch, parts in batch_parts for job in parts if job.state is State.RUNNING]
    return [batch for batch, _ in batch_parts], _refresh(context, running, refresh_after_s) if running else {}


def refresh(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...], refresh_after_s: float) -> str | None:
    """Ask about a batch's running jobs where that is due; returns the text of the first trouble, if any."""
    running = [(batch, job) for job in parts if job.state is State.RUNNING]
    return _refresh(context, running, refresh_after_s).get(batch.id)


def _refresh(context: Context, running: list[tuple[BatchRecord, JobRecord]], refresh_after_s: float) -> dict[int, str]:
    """Poll the jobs whose last answer is old enough; returns the first trouble of each batch."""
    here, troubles = _of_this_world(context, running)
    return troubles | _refresh_here(context, here, refresh_after_s)


def _of_this_world(
    context: Context, running: list[tuple[BatchRecord, JobRecord]]
) -> tuple[list[tuple[BatchRecord, JobRecord]], dict[int, str]]:
    """The jobs whose vendor can be asked here, and why the batches of the others cannot."""
    away = {
        batch.id: f"{why_elsewhere(batch)}: {asked_where(batch)}"
        for batch, _ in running
        if is_elsewhere(context.settings, batch.provider, rehearsal=batch.rehearsal)
    }
    return [(batch, job) for batch, job in running if batch.id not in away], away


def _refresh_here(
    context: Context, running: list[tuple[BatchRecord, JobRecord]], refresh_after_s: float
) -> dict[int, str]:
    now = context.clock()
    bounds = {batch.id: _bounds(batch, now, refresh_after_s) for batch, _ in running}
    due = [(batch, job) for batch, job in running if _is_due(job, now, bounds[batch.id]["answered_before"])]
    if due:
        with context.ledger.write(*{batch.id for batch, _ in due}) as tx:
            due = [(batch, job) for batch, job in due if jobs.may_ask(tx, job.id, **bounds[batch.id])]
    if not due:
        return {}
    with ExitStack() as stack:
        providers = {batch.provider for batch, _ in due}
        clients = {
            name: stack.enter_context(client_of(context, registry.get(name, context.settings))) for name in providers
        }
        return _ask_all(context, due, clients)


def _bounds(batch: BatchRecord, now: datetime, refresh_after_s: float) -> dict[str, datetime]:
    """The times that decide whether a batch's jobs are asked about, as `jobs.may_ask` takes them."""
    is_here = batch.provider in registry.HERE
    patience = timedelta(seconds=min(refresh_after_s, LOCAL_REFRESH_S) if is_here else refresh_after_s)
    return {"now": now, "answered_before": now - patience, "until": now + patience}


def _ask_all(context: Context, due: list[tuple[BatchRecord, JobRecord]], clients: Mapping[str, Any]) -> dict[int, str]:
    """Poll side by side and write each answer as it comes; returns the first trouble of each batch."""

    def ask(batch: BatchRecord, job: JobRecord) -> Progress | VendorError:
        session = VendorSession(context, registry.get(batch.provider, context.settings), clients[batch.provider], batch)
        try:
            return session.once(session.vendor.poll, session.job(job))
        except VendorError as error:
            return error

    troubles: dict[int, str] = {}
    with ThreadPoolExecutor(min(LANES, len(due))) as pool:
        calls = {pool.submit(ask, batch, job): (batch, job) for batch, job in due}
        for answer in as_completed(calls):  # a slow vendor holds up nobody else's answer
            batch, job = calls[answer]
            if text := _heard(context, job, answer.result()):
                troubles.setdefault(batch.id, text)
    return troubles


def _is_due(job: JobRecord, now: datetime, answered_before: datetime) -> bool:
    """A first look without the write lock; `jobs.may_ask` decides."""
    if job.checked_at is not None and job.checked_at > now + jobs.CLOCKS_APART:
        return True
    free = job.next_check_at is None or job.next_check_at <= now
    return free and (job.checked_at is None or job.checked_at <= answered_before)


def _heard(context: Context, job: JobRecord, answer: Progress | VendorError) -> str | None:
    """Write one answer to the ledger."""
    now = context.clock()
    if isinstance(answer, VendorError):
        return _unheard(context, job, answer, now)
    answer = _hidden(context, answer)
    facts: dict[str, Any] = {
        "word": answer.word,
        "done": answer.counts.done,
        "failed": answer.counts.failed,
        "counted_at": job.counted_at if _is_as_before(job, answer) else now,
        "speed": dict(answer.speed),
        "error": answer.error,
        "checked_at": now,
        "next_check_at": now + timedelta(seconds=answer.retry_after_s or 0.0),  # the vendor's wish only
    }
    with context.ledger.write(job.batch_id) as tx:
        if jobs.get(tx, job.id).state is not State.RUNNING:
            return None  # another process heard the end first
        if answer.phase is Phase.WAITING:
            jobs.note(tx, job.id, **facts)
        elif answer.phase is Phase.LOST:
            jobs.move(tx, job.id, Event.LOSE, now=now, detail={"word": answer.word}, ended_at=now, **facts)
            request_rows.close_open(
                tx, job.id, Outcome.MISSING.value, answer.error or "the vendor no longer knows this batch"
            )
        elif answer.queue_full:
            facts |= {"remote_id": None, "remote_file": None, "token": None, "error": _crowded(tx, job, facts["error"])}
            jobs.move(tx, job.id, Event.BOUNCE, now=now, detail={"was": job.remote_id, "why": answer.error}, **facts)
        else:
            jobs.move(tx, job.id, Event.FINISH, now=now, detail={"word": answer.word}, ended_at=now, **facts)
    return None


def _is_as_before(job: JobRecord, answer: Progress) -> bool:
    """Tells whether a vendor says the same of a job as last time."""
    return (answer.counts.done, answer.counts.failed, answer.word) == (job.done, job.failed, job.word)


def _hidden(context: Context, answer: Progress) -> Progress:
    """A vendor's answer without any key in its texts, before the ledger or an event sees it."""
    hide = context.settings.hide
    return replace(answer, word=hide(answer.word), error=hide(answer.error) if answer.error else None)


def _crowded(tx: Tx, job: JobRecord, message: str | None) -> str:
    """Error of a job that found no room. One that was alone may be larger than the whole queue."""
    provider = batches.by_id(tx, job.batch_id).provider
    text = message or f"{provider} has no room in its queue"
    if jobs.others_out(tx, job, provider):
        return text
    return (
        f"{text} Nothing else of this ledger is in that queue: where this part alone is too large for it, prepare the"
        f" batch anew in smaller ones (requests under [limits.{provider}] in batchflow.toml)"
    )


_LOOK = "Are key, project and base URL those it was sent with? If it is really gone: batchflow cancel NAME --lost"


def _unheard(context: Context, job: JobRecord, error: VendorError, now: datetime) -> str | None:
    """Note a poll that failed; the vendor is asked again later.

    Even "not found" is no proof: with a wrong key, project or base URL a vendor says the same of a batch that is paid
    for and doing well. Only a person can give it up (`cancel --lost`).
    """
    with context.ledger.write(job.batch_id) as tx:
        if jobs.get(tx, job.id).state is not State.RUNNING:
            return None
        batch = batches.by_id(tx, job.batch_id)
        if host := started_elsewhere(context, batch, job):
            return f"{error}: {batch.name} was started on {host}, in another project folder or machine than this"
        if error.trouble is Trouble.NOT_FOUND:
            look = error.hint if batch.provider in registry.HERE else _LOOK
            jobs.note(tx, job.id, word=NOT_FOUND, error=f"{error}; {look}")
        if error.retry_after_s:
            jobs.note(tx, job.id, next_check_at=now + timedelta(seconds=error.retry_after_s))
    return str(error)
