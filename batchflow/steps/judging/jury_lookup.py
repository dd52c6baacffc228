"""Lookup of juries: the judged batches, the targets of a command, the progress of the judges."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.errors import NotReady, UsageError
from batchflow.extract.chain import chain
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind, field_names
from batchflow.ledger import batches, jobs
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.collecting.fetch import catch_up
from batchflow.steps.judging.ballot import counted
from batchflow.steps.judging.readings import Extract, extract_of, used
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


@dataclass(frozen=True, slots=True)
class Jury:
    """Judges of one kind that judge one reading of the answers. extract: extractors of their own, None: the batch's."""

    kind: JudgeKind
    extract: Extract | None
    judges: tuple[BatchRecord, ...]

    @property
    def flags(self) -> str:
        """The flag that names its extractors; empty where they are the batch's."""
        return "" if self.extract is None else f" {extract_flag(self.extract)}"


def juries(judges: Iterable[BatchRecord]) -> list[Jury]:
    """The judges of a batch by jury: the task's own kind first, and of one kind the jury that was made last."""
    groups: dict[bytes, list[BatchRecord]] = {}
    for judge in judges:
        key = files.dumps([kinds.recorded(kinds.of_spec(judge.spec)), extract_of(judge)])
        groups.setdefault(key, []).append(judge)
    panels = [Jury(kinds.of_spec(own[0].spec), extract_of(own[0]), tuple(own)) for own in groups.values()]
    first: dict[str, int] = {}
    for jury in panels:
        first.setdefault(jury.kind.NAME, jury.judges[0].id)
    return sorted(panels, key=lambda jury: (not _suits(jury), first[jury.kind.NAME], -jury.judges[-1].id))


def _suits(jury: Jury) -> bool:
    """Tells whether a jury is of the kind that suits its task."""
    judge = jury.judges[0]
    return jury.kind.NAME == tasks.of_spec(judge.task, judge.spec).JUDGED_BY


def chosen_jury(
    parent: BatchRecord, judges: Iterable[BatchRecord], field: str | None = None, extract: Sequence[str] = ()
) -> Jury:
    """The first jury that votes on the field and judges what these extractors leave; each only where it is named.

    extract: as `--extract` names them. Raises UsageError where there is none.
    """
    panels = juries(judges)
    if extract:
        names = chain(extract).names
        read = {jury.extract: used(parent, jury.extract) for jury in panels}
        panels = [jury for jury in panels if read[jury.extract] == names]
        if not panels:
            there = ", ".join(extract_flag(each) for each in dict.fromkeys(read.values()))
            raise UsageError(
                f"{parent.name}: no jury judges what {', '.join(names) or 'no extractor'} leaves of its answers",
                hint=f"choose one of {there}, or judge it: batchflow jury {parent.name} {extract_flag(names)}",
            )
    for jury in panels:
        if field is None or field in field_names(jury.kind):
            return jury
    fields = dict.fromkeys(name for jury in panels for name in field_names(jury.kind))
    raise UsageError(
        f"{parent.name}: its judges vote on no field called {field!r}", hint=f"choose one of {', '.join(fields)}"
    )


def extract_flag(names: Sequence[str]) -> str:
    """Extractors as a flag that a shell can be given."""
    return f"--extract {shlex.quote(','.join(names))}"


def jury_of(
    context: Context,
    parent: BatchRecord,
    refresh_after_s: float,
    field: str | None = None,
    extract: Sequence[str] = (),
) -> tuple[tuple[BatchRecord, ...], tuple[str, ...]]:
    """The judges of one jury, their finished work collected, and the names of those that are not done.

    field, extract: as for `chosen_jury`. Raises NotReady, UsageError where no jury is of that kind.
    """
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, parent.id)
    if judges:
        judges = chosen_jury(parent, judges, field, extract).judges
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
