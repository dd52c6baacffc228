"""Suites: `prepare --suite` makes the batches of a file, `show` and `delete` know them by one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchflow.batch_file import safe
from batchflow.errors import UnknownBatch, UsageError
from batchflow.ledger import batches, jobs, suites
from batchflow.ledger.suites import Member, Suite
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.options import source_of, split_of, task_of
from batchflow.steps.base.suites import NOT_THERE, suite_of
from batchflow.steps.building.names import fit_name
from batchflow.steps.suites.suite_file import Data, SuiteFile
from batchflow.steps.verbs.maintenance.delete import DeleteReport, delete
from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare
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


def prepare_suite(context: Context, suite: SuiteFile, options: PrepareOptions) -> SuiteReport:
    """Make the batches of a suite, each as `prepare` does; the same command goes on where it was stopped.

    options: of all batches; what they set goes before the file. Raises as `plan_suite`.
    """
    name, planned = plan_suite(context, suite, options)
    members = tuple(Member(each.label, str(own.name)) for each, own in planned)
    keep(context, Suite(name, members, suite.groups))
    reports = [prepare(context, own) for _, own in planned]
    notes = tuple(dict.fromkeys(note for report in reports for note in report.notes))
    return replace(suite_report(context, name), notes=notes)


def plan_suite(
    context: Context, suite: SuiteFile, options: PrepareOptions
) -> tuple[str, list[tuple[Data, PrepareOptions]]]:
    """The name of a suite, and the options of each of its batches.

    Raises UsageError, DataError: a data set that is not there is refused before anything is made.
    """
    for flag in ("dataset", "task", "split"):
        if getattr(options, flag) is not None:
            raise UsageError(f"--{flag} goes with one data set", hint=f"{suite.path} names the suite's own")
    name = fit_name(options.name or _default_name(suite, options))
    planned = [(each, _options(name, each, options)) for each in suite.data]
    for _, own in planned:
        check(context, own)
    return name, planned


def _default_name(suite: SuiteFile, options: PrepareOptions) -> str:
    parts = (options.provider, options.model, suite.name)
    return "_".join(safe(part) for part in parts if part)


def _options(name: str, data: Data, flags: PrepareOptions) -> PrepareOptions:
    """The options of one batch: the file's, where no flag says otherwise."""
    own: dict[str, Any] = {
        key: value for key, value in data.options.items() if getattr(flags, key) in (None, ()) or key == "task"
    }
    return replace(flags, **own, name=fit_name(f"{name}_{safe(data.label)}"))


def check(context: Context, options: PrepareOptions) -> None:
    """Raise UsageError or DataError for a data set, a task or a template that is not there."""
    task = task_of(context, options.task, options.dataset)
    split = split_of(context, task, options.split)
    source_of(context, task, split, options.dataset, options.map)
    task.template(split, options.template)


def keep(context: Context, suite: Suite) -> None:
    """Keep a suite before its batches are made. Raises UsageError for a name that stands for something else."""
    with context.ledger.write() as tx:
        if batches.find(tx, suite.name):
            raise UsageError(
                f"{suite.name} is the name of a batch", hint="choose another one for the suite with --name"
            )
        before = suites.find(tx, suite.name)
        if before and (gone := [member.label for member in before.members if member not in suite.members]):
            text = f"suite {suite.name} has other members: {', '.join(gone)}"
            raise UsageError(text, hint=f"another --name, or batchflow delete {suite.name} first")
        suites.put(tx, suite, now=context.clock())


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


def delete_suite(context: Context, suite: Suite, *, remote: bool, force: bool) -> DeleteReport:
    """Delete the batches of a suite, then the suite itself; after a kill in between the same command goes on."""
    reports = []
    for member in suite.members:
        with context.ledger.read() as tx:
            is_there = batches.find(tx, member.batch) is not None
        if is_there:
            reports.append(delete(context, member.batch, remote=remote, force=force))
    with context.ledger.write() as tx:
        suites.forget(tx, suite.name)
    return DeleteReport(
        (*(name for report in reports for name in report.names), suite.name),
        tuple(path for report in reports for path in report.files),
        remote, "batchflow list",
    )  # fmt: skip
