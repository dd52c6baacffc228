"""Situation of a batch: where it stands itself, with its retries, its jury and its answers; read once, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.records import Kind, Parsed
from batchflow.states import Event, Stage, State, stage
from batchflow.steps.base.progress.failure_reasons import can_retry, reasons

_OUT = frozenset({State.STARTING, State.SENDING, State.RUNNING})


class Role(StrEnum):
    """The part that a batch plays for the answers of its root."""

    ROOT = "root"  # it asks the questions
    RETRY = "retry"  # it asks some of them again
    JUDGE = "judge"  # it judges the answers, or asks lost votes again


@dataclass(frozen=True, slots=True)
class Member:
    """One batch by itself. words: of its jobs that are out, as last heard; None: not heard of yet."""

    name: str
    stage: Stage
    words: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a finished root. answered, unparsed: its requests so far.

    path: its results file; None before there is one. is_stale: the file lacks something that was fetched.
    retry_helps: asking again can help a request; known where none is answered.
    """

    path: str | None = None
    is_stale: bool = True
    answered: int = 0
    unparsed: int = 0
    retry_helps: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """A batch among those that belong together.

    root: the batch whose answers are collected, judged and scored; itself, or the one that it retries or judges. None
    for a judge whose answers are elsewhere. retries, jury: of the root; a jury's own retries are part of it.
    """

    batch: Member
    role: Role
    root: Member | None
    retries: tuple[Member, ...] = ()
    jury: tuple[Member, ...] = ()
    answers: Answers = Answers()


def read_situation(
    tx: Tx, batch: BatchRecord, parts: Sequence[JobRecord] | None = None, tally: Tally | None = None
) -> Situation:
    """Reads where a batch stands. found, tally: its jobs and counts, where the caller knows them (better).

    Answers are counted once nothing else is to be done first: the root is finished, and nobody judges it.
    """
    own = member(batch, jobs.of_batch(tx, batch.id) if parts is None else parts)
    role, parent = _role(tx, batch)
    if parent is None:
        return Situation(own, role, None)
    root = own if parent is batch else _members(tx, [parent])[0]
    jury = members(tx, batches.judges_of(tx, parent.id))
    if role is Role.JUDGE:
        return Situation(own, role, root, jury=jury)
    retries = batches.retries_of(tx, parent.id)
    standing = _members(tx, retries)
    if root.stage is not Stage.FINISHED:
        return Situation(own, role, root, standing, jury)
    is_stale = _is_stale(tx, parent, retries)
    if is_stale or jury:
        return Situation(own, role, root, standing, jury, Answers(parent.results_path, is_stale))
    answers = _answers(tx, parent, tally if parent is batch else None)
    return Situation(own, role, root, standing, jury, answers)


def members(tx: Tx, judges: Iterable[BatchRecord]) -> tuple[Member, ...]:
    """Judges, then the batches that ask them again."""
    judges = tuple(judges)
    return _members(tx, [*judges, *(retry for judge in judges for retry in batches.retries_of(tx, judge.id))])


def member(batch: BatchRecord, parts: Iterable[JobRecord]) -> Member:
    """A batch by itself, from its jobs."""
    parts = tuple(parts)
    return Member(batch.name, stage(job.state for job in parts), tuple(job.word for job in parts if job.state in _OUT))


def _members(tx: Tx, records: Iterable[BatchRecord]) -> tuple[Member, ...]:
    return tuple(member(batch, jobs.of_batch(tx, batch.id)) for batch in records)


def _role(tx: Tx, batch: BatchRecord) -> tuple[Role, BatchRecord | None]:
    """The role of a batch, and its root."""
    if batch.kind is Kind.JUDGE:
        return Role.JUDGE, None if batch.parent_id is None else batches.by_id(tx, batch.parent_id)
    if batch.retries_id is not None:
        return Role.RETRY, batches.by_id(tx, batch.retries_id)
    return Role.ROOT, batch


def _is_stale(tx: Tx, root: BatchRecord, retries: Iterable[BatchRecord]) -> bool:
    """True before the results file of a batch holds everything that was fetched for it."""
    if root.results_at is None:
        return True
    events = (event for retry in retries for event in jobs.history(tx, retry.id))
    return any(event.event is Event.FETCH and event.at > root.results_at for event in events)


def _answers(tx: Tx, root: BatchRecord, tally: Tally | None) -> Answers:
    tally = tally or request_rows.tally(tx, root.id)
    helps = bool(tally.answered) or can_retry(reasons(tx, root, tally))
    unparsed = tally.unanswered.get(Parsed.UNPARSED.value, 0)
    return Answers(root.results_path, is_stale=False, answered=tally.answered, unparsed=unparsed, retry_helps=helps)
