"""Suites: `prepare --suite` makes the batches of a file, `delete` takes them away by one name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchflow.batch_file import safe
from batchflow.errors import UsageError
from batchflow.ledger import batches, suites
from batchflow.ledger.suites import Member, Suite
from batchflow.steps.base.context import Context
from batchflow.steps.base.options import source_of, split_of, task_of
from batchflow.steps.building.names import fit_name
from batchflow.steps.suites.members import SuiteReport, suite_report
from batchflow.steps.suites.suite_file import Data, SuiteFile
from batchflow.steps.verbs.maintenance.delete import DeleteReport, delete
from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare


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
    with context.ledger.write(names=[suite.name]) as tx:
        if batches.find(tx, suite.name):
            raise UsageError(
                f"{suite.name} is the name of a batch", hint="choose another one for the suite with --name"
            )
        before = suites.find(tx, suite.name)
        if before and (gone := [member.label for member in before.members if member not in suite.members]):
            text = f"suite {suite.name} has other members: {', '.join(gone)}"
            raise UsageError(text, hint=f"another --name, or batchflow delete {suite.name} first")
        suites.put(tx, suite, now=context.clock())


def delete_suite(context: Context, suite: Suite, *, remote: bool, force: bool) -> DeleteReport:
    """Delete the batches of a suite, then the suite itself; after a kill in between the same command goes on."""
    reports = []
    for member in suite.members:
        with context.ledger.read() as tx:
            is_there = batches.find(tx, member.batch) is not None
        if is_there:
            reports.append(delete(context, member.batch, remote=remote, force=force))
    with context.ledger.write(names=[suite.name]) as tx:
        suites.forget(tx, suite.name)
    return DeleteReport(
        (*(name for report in reports for name in report.names), suite.name),
        tuple(path for report in reports for path in report.files),
        remote, "batchflow list",
    )  # fmt: skip
