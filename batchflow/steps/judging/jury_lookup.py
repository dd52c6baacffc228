"""Lookup of juries: the judged batches, the targets of a command, the progress of the judges."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from batchflow import files
from batchflow.errors import NotReady, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind, field_names
from batchflow.ledger import batches, jobs
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.collecting.fetch import catch_up
from batchflow.steps.judging.ballot import counted
from batchflow.tasks import registry as tasks


def sort_targets(context: Context, targets: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Sorts targets into names of batches and imported files; wildcards are expanded.

    A results file that this project wrote stands for its batch. Raises UsageError for a pattern that matches nothing.
    """
    names: list[str] = []
    paths: list[Path] = []
    for target in (word for text in targets for word in _expanded(text)):
        path, name = Path(target), target.rpartition("/")[2].removesuffix(".jsonl")
        with context.ledger.read() as tx:
            is_batch = batches.find(tx, name) is not None
        ours = (context.settings.results / f"{name}.jsonl").resolve()
        is_brought = path.is_file() or (path.is_dir() and not is_batch)
        if is_brought and not (is_batch and path.resolve() == ours):
            paths.append(path)
        else:
            names.append(target)
    return names, paths


def _expanded(text: str) -> list[str]:
    """A target's files where it is a pattern that the shell left alone, else itself."""
    if not set(text) & set("*?[") or Path(text).exists():
        return [text]
    paths = sorted(glob.glob(text))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not paths:
        raise UsageError(f"no file matches {text}", hint="name the judge files, or judged batches (batchflow list)")
    return paths


def judged(context: Context, targets: Sequence[str]) -> list[BatchRecord]:
    """Judged batches: by name, by results file, by one of their judges, or all. Raises UnknownBatch, NotReady."""
    with context.ledger.read() as tx:
        if not targets:
            records = [b for b in batches.listing(tx) if b.kind is Kind.PREDICTION and batches.judges_of(tx, b.id)]
            if not records:
                raise NotReady("nothing has been judged yet", hint="batchflow jury NAME --start")
            return records
        parents: dict[int, BatchRecord] = {}
        for target in targets:
            name = target.rpartition("/")[2].removesuffix(".jsonl")
            batch = batches.get(tx, name)
            if batch.kind is Kind.JUDGE and batch.parent_id is not None:
                batch = batches.by_id(tx, batch.parent_id)
            if batch.retries_id is not None:
                batch = batches.by_id(tx, batch.retries_id)
            parents[batch.id] = batch
        return list(parents.values())


def by_kind(judges: Sequence[BatchRecord]) -> list[tuple[JudgeKind, list[BatchRecord]]]:
    """The judges of a batch by their kind, that of its task first."""
    groups: dict[bytes, list[BatchRecord]] = {}
    for judge in judges:
        groups.setdefault(files.dumps(kinds.recorded(kinds.of_spec(judge.spec))), []).append(judge)
    pairs = [(kinds.of_spec(group[0].spec), group) for group in groups.values()]
    return sorted(pairs, key=lambda pair: pair[0].NAME != tasks.of_spec(pair[1][0].task, pair[1][0].spec).JUDGED_BY)


def judges_on(parent: BatchRecord, judges: Sequence[BatchRecord], field: str | None) -> tuple[BatchRecord, ...]:
    """The judges of one kind: the first that knows the field, or the first of all where no field is named.

    Raises UsageError for a field that no kind knows.
    """
    groups = by_kind(judges)
    for kind, group in groups:
        if field is None or field in field_names(kind):
            return tuple(group)
    names = dict.fromkeys(name for kind, _ in groups for name in field_names(kind))
    raise UsageError(
        f"{parent.name}: its judges vote on no field called {field!r}", hint=f"choose one of {', '.join(names)}"
    )


def jury_of(
    context: Context, parent: BatchRecord, refresh_after_s: float, field: str | None = None
) -> tuple[tuple[BatchRecord, ...], tuple[str, ...]]:
    """The judges of one kind, their finished work collected, and the names of those that are not done.

    field: what they have to vote on. Raises NotReady, UsageError for a field that no judge votes on.
    """
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, parent.id)
    if judges:
        judges = judges_on(parent, judges, field)
    with context.ledger.read() as tx:
        retries = [retry for judge in judges for retry in batches.retries_of(tx, judge.id)]
    if not judges:
        raise NotReady(f"{parent.name} has not been judged", hint=f"batchflow jury {parent.name} --start")
    stages = {judge.name: _collected(context, judge, refresh_after_s) for judge in (*judges, *retries)}
    late = tuple(name for name, where in stages.items() if where is not Stage.FINISHED)
    if all(judge.name in late for judge in judges):
        waits = all(stages[judge.name] in {Stage.RUNNING, Stage.ENDED} for judge in judges)
        names = " ".join(judge.name for judge in judges)
        raise NotReady(
            f"{parent.name}: none of its {counted(len(judges), 'judge')} has finished",
            hint=f"batchflow get {names} --wait" if waits else f"batchflow start {names}",
        )
    return judges, late


def _collected(context: Context, batch: BatchRecord, refresh_after_s: float) -> Stage:
    """Bring a judge batch up to date, and tell where it stands."""
    catch_up(context, batch, refresh_after_s)
    with context.ledger.read() as tx:
        return stage(job.state for job in jobs.of_batch(tx, batch.id))
