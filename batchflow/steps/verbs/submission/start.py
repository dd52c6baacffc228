"""start: send a batch's jobs, each exactly once, whatever dies meanwhile.

Per job and under its lock: claim, commit -> upload -> commit the intent with a token -> create, once -> commit the
vendor's id (`send`). Where nobody can tell whether a create took effect, the job becomes `unsure` and a person decides
(`doubt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchflow.errors import BatchflowError
from batchflow.ledger import batches, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import State
from batchflow.steps.base import queue_room, suites
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import alone
from batchflow.steps.base.money import caps
from batchflow.steps.base.money.prompt_cache import CANARY_FOR, PromptCache
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.local_pace import pointed_at
from batchflow.steps.base.progress.next_command import next_command
from batchflow.steps.base.progress.situation import read_situation
from batchflow.steps.base.recovery import take_up
from batchflow.steps.base.rehearsal_guard import keep_apart
from batchflow.steps.base.vendor_calls import VendorSession, connected
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.building.preflight import refuse_absent
from batchflow.steps.collecting.poll import refresh, refresh_all
from batchflow.steps.sending import host_share, in_doubt
from batchflow.steps.sending.send import STARTABLE, send
from batchflow.steps.verbs.submission import canary
from batchflow.steps.verbs.submission.repace import repace
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor, cannot_resume
from batchflow.vocabulary import FREE_WORKER, REFRESH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """The flags of `start`. adopt: vendor id of the one unsure job. resend: send unsure jobs anew.

    canary: so many requests go alone first. past_canary: send the rest whatever became of them. max_cost: USD that the
    whole run may cost, from here on; None: as it was. local: the pace of a local batch from here on. jobs: parts of it
    that this host takes at once. joins: False for who only sends on: a host where nobody has started it takes no shard.
    """

    accept_edit: bool = False
    adopt: str | None = None
    resend: bool = False
    canary: int | None = None
    past_canary: bool = False
    takeover: bool = False
    max_cost: float | None = None
    jobs: int | None = None
    joins: bool = True
    local: LocalFlags = field(default_factory=LocalFlags)


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
    """Report of `start`. waiting: prepared jobs that wait for something. at_once: jobs that this host takes at once."""

    name: str
    handle: str
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
    at_once: int | None = None


def start(context: Context, name: str, options: StartOptions | None = None) -> StartReport:
    """Send what is not sent yet. Raises VendorError, DataError (edited file), NeedsYou (unsure job), NotReady.

    Raises EngineError where this machine has not the engine or model of a local batch, UsageError where a rehearsal
    and the real thing would mix.
    """
    options = options or StartOptions()
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        parts = jobs.of_batch(tx, batch.id)
    host_share.refuse_for_vendors(batch, options.jobs)
    parts = take_up(context, batch, parts, ask_vendors=True)
    vendor = registry.get(batch.provider, context.settings)
    if options.local.given:
        batch = repace(context, batch, parts, options.local)
    if any(job.state in STARTABLE or job.state is State.UNSURE for job in parts):
        batch = keep_apart(context, batch, parts)
    if not options.adopt and not options.resend:
        parts = in_doubt.reconsider(context, batch, parts)
    decided = in_doubt.decide(context, batch, parts, adopt=options.adopt, resend=options.resend)
    if options.canary is not None and not vendor.TRAITS.judges_only:
        batch = canary.split(context, batch, options.canary, accept_edit=options.accept_edit)
    elif _fills_a_cache(batch, decided) and not options.past_canary:
        batch = canary.split(context, batch, 1, accept_edit=options.accept_edit, only_fills=True)
    allowed = canary.gate(context, batch, ignore=options.past_canary)
    with context.ledger.read() as tx:
        decided = jobs.of_batch(tx, batch.id)
    due = [job for job in decided if job.id in allowed and (job.state in STARTABLE or _resumable(vendor, job))]
    if any(job.state in STARTABLE for job in due):
        refuse_absent(context, batch)
        due = _in_turn(context, batch, due)
    most = host_share.join(context, batch, options.jobs) if options.joins else host_share.at_once(context, batch)
    if due:
        with connected(context, batch) as session:
            if most is not None:
                _take(session, due, most, options)
            elif not _send_all(session, due, options) and _has_new_room(context, batch):
                _send_all(session, due, options)
    refresh(context, batch, tuple(job for job in due if job.state is State.RUNNING), 0.0)  # does its worker live?
    return _report(context, batch, decided)


def start_all(context: Context, names: Sequence[str], options: StartOptions | None = None) -> list[StartReport]:
    """`start` for several batches: one that cannot be sent holds up none of the others.

    Raises the first error once all were tried; what became of each is told by then. Raises NeedsYou at once where
    together they could pass a cap.
    """
    options = options or StartOptions()
    caps.refuse_above(context, names, options.max_cost, canary=options.canary is not None)
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


def _fills_a_cache(batch: BatchRecord, parts: Sequence[JobRecord]) -> bool:
    """Tells whether one request has to go alone first, so that the others find the beginning that they share."""
    is_unsent = all(job.state is State.PREPARED for job in parts)
    is_longer = bool(parts) and parts[0].n_requests > 1
    return PromptCache.of(batch.spec) is not None and "canary" not in batch.options and is_unsent and is_longer


def _send_all(session: VendorSession, due: list[JobRecord], options: StartOptions) -> bool:
    """Send job after job; False: the vendor has no more room."""
    for job in due:
        with alone(session.context, session.batch, job):
            how = {"accept_edit": options.accept_edit, "takeover": options.takeover}
            if not send(session, job.id, **how):
                return False
    return True


def _take(session: VendorSession, due: list[JobRecord], most: int, options: StartOptions) -> None:
    """Take as many parts as this host takes at once. Raises NotReady, StaleState where it gets none for that reason."""
    taken = host_share.take(session, due, most, accept_edit=options.accept_edit, takeover=options.takeover)
    if taken.refusals and not taken.mine:
        raise taken.refusals[0]


def _has_new_room(context: Context, batch: BatchRecord) -> bool:
    """Ask about the jobs that take the queue's room, of whatever batch; True when one of them has ended."""
    before = queue_room.holders(context, batch)
    if not before:
        return False
    refresh_all(context, before, refresh_after_s=REFRESH_S)
    return queue_room.holders(context, batch) != before


def _in_turn(context: Context, batch: BatchRecord, due: list[JobRecord]) -> list[JobRecord]:
    """The jobs that are due, none of them while an engine of one's own works on another batch of the suite."""
    if not (ahead := suites.ahead_of(context, batch)):
        return due
    refresh_all(context, ahead, refresh_after_s=0.0)
    if not (ahead := suites.ahead_of(context, batch)):
        return due
    suites.put_off(context, batch, due, ahead)
    return []


def startable(context: Context) -> tuple[str, ...]:
    """Names of the batches that have something to send."""
    with context.ledger.read() as tx:
        batch_parts = [(batch, jobs.of_batch(tx, batch.id)) for batch in batches.listing(tx)]
    return tuple(batch.name for batch, parts in batch_parts if any(job.state in STARTABLE for job in parts))


def _resumable(vendor: Vendor, job: JobRecord) -> bool:
    return job.state is State.RUNNING and vendor.resume is not cannot_resume


def _waits_for(batch: BatchRecord, waiting: Sequence[JobRecord], at_once: int | None) -> str:
    if any(suites.waits_its_turn(job.error) for job in waiting):
        return "the batches of its suite that go before it"
    if at_once is not None and not any(job.error for job in waiting):
        return FREE_WORKER
    if "canary" not in batch.options or any(job.error for job in waiting):
        return "room at the vendor"
    return "the request that fills the cache" if CANARY_FOR in batch.options else "the canary"


def _report(context: Context, batch: BatchRecord, before: tuple[JobRecord, ...]) -> StartReport:
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
        situation = read_situation(tx, batches.by_id(tx, batch.id), parts)
        beats = worker_liveness.pulses(tx, batch, parts)
    parts = tuple(worker_liveness.judged(context, batch, job, beats.get(job.id)) for job in parts)
    open_before = {job.id for job in before if job.state in STARTABLE}
    sent = sum(job.id in open_before and job.state not in STARTABLE for job in parts)
    waiting = [job for job in parts if job.state is State.PREPARED]
    at_once = host_share.at_once(context, batch)
    return StartReport(
        name=batch.name,
        handle=batch.handle,
        provider=batch.provider,
        model=batch.model,
        requests=batch.n_requests,
        jobs=tuple(JobLine(j.part, j.state.value, j.n_requests, j.remote_id, j.error) for j in parts),
        sent_now=sent,
        waiting=len(waiting),
        waits_for=_waits_for(batch, waiting, at_once),
        base_url=pointed_at(context.settings, batch, parts),
        rehearsal=batch.rehearsal,
        next=str(next_command(situation)),
        at_once=at_once,
    )
