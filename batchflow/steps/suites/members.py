"""The members of a suite as they stand, and `show` of a batch or a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchflow.errors import UnknownBatch
from batchflow.ledger import batches, jobs, suites
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.suites import NOT_THERE, suite_of
from batchflow.steps.viewing.status import ShowReport, show


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One batch of a suite. state: its stage, or `not prepared`. handle: empty where it is not there."""

    label: str
    name: str
    handle: str
    state: str
    requests: int


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One group of a suite's table. mean: macro, micro or weighted; members: labels."""

    name: str
    mean: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """Report of `prepare --suite`, and what `show` says of a suite. groups: rows of its table behind its members."""

    name: str
    members: tuple[MemberRow, ...]
    groups: tuple[GroupLine, ...]
    requests: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


@dataclass(frozen=True, slots=True)
class ShownBatches:
    """Report of `show`. suite: where the name is a suite's. batches: its members that are there, or the one batch."""

    suite: SuiteReport | None
    batches: tuple[ShowReport, ...]
    rehearsal: bool
    next: str


def shown(context: Context, name: str) -> ShownBatches:
    """A batch, or the members of a suite, in full. Raises UnknownBatch."""
    if suite_of(context, [name]) is None:
        batch = show(context, name)
        return ShownBatches(None, (batch,), batch.status.rehearsal, batch.next)
    suite = suite_report(context, name)
    there = tuple(show(context, member.name) for member in suite.members if member.state != NOT_THERE)
    return ShownBatches(suite, there, suite.rehearsal, suite.next)


def suite_report(context: Context, name: str) -> SuiteReport:
    """The members of a suite as they stand. Raises UnknownBatch."""
    with context.ledger.read() as tx:
        suite = suites.find(tx, name)
        if suite is None:
            raise UnknownBatch(f"no suite is named {name!r}", hint="batchflow list")
        records = [batches.find(tx, member.batch) for member in suite.members]
        stages = [stage(job.state for job in jobs.of_batch(tx, one.id)).value if one else NOT_THERE for one in records]
    rows = tuple(
        MemberRow(member.label, member.batch, one.handle if one else "", state, one.n_requests if one else 0)
        for member, one, state in zip(suite.members, records, stages, strict=True)
    )
    return SuiteReport(
        name=name,
        members=rows,
        groups=tuple(GroupLine(one.name, one.how, one.labels) for one in suite.groups),
        requests=sum(row.requests for row in rows),
        notes=(),
        rehearsal=any(one.rehearsal for one in records if one),
        next=_next(name, stages, [bool(one and one.results_at) for one in records]),
    )


def _next(name: str, stages: Sequence[str], are_fetched: Sequence[bool]) -> str:
    """The command that brings a suite on."""
    there = [state for state in stages if state != NOT_THERE]
    if not there:
        return f"batchflow delete {name}"
    if {Stage.PREPARED.value, Stage.STARTING.value, Stage.NEEDS_YOU.value} & set(there):
        return f"batchflow start {name}"
    if Stage.RUNNING.value in there:
        return f"batchflow get {name} --wait"
    return f"batchflow jury {name}" if all(are_fetched) else f"batchflow results {name}"
