"""rehearse: what the loopback server has to know, and the wall between its made-up answers and real ones."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batchflow.errors import DataError, NotReady, UsageError
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.settings import Settings
from batchflow.states import State
from batchflow.steps.context import Context
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task
from batchflow.vendors.registry import HERE

_UNSENT = frozenset({State.PREPARED, State.STARTING, State.REFUSED})


def is_elsewhere(settings: Settings, provider: str, *, rehearsal: bool) -> bool:
    """Whether the vendor that has a batch is not the one that would be asked here: one is real, the other rehearsed."""
    return provider not in HERE and rehearsal != settings.rehearsal


def refuse_elsewhere(context: Context, batch: BatchRecord) -> None:
    """Raise UsageError where the vendor here cannot know a batch, so that no answer of it is taken for one about it."""
    if is_elsewhere(context.settings, batch.provider, rehearsal=batch.rehearsal):
        raise UsageError(why_elsewhere(batch), hint=f"type the command {where_it_is(batch)}")


def where_it_is(batch: BatchRecord) -> str:
    """Where a command about a batch belongs."""
    return "inside: batchflow rehearse -- batchflow ..." if batch.rehearsal else "outside of `batchflow rehearse`"


def why_elsewhere(batch: BatchRecord) -> str:
    """Why a batch cannot be asked about here."""
    if batch.rehearsal:
        return f"{batch.name} was sent in a rehearsal, and the real {batch.provider} does not know it"
    return f"{batch.name} was sent for real, and the rehearsed {batch.provider} does not know it"


@contextmanager
def memory(folder: Path) -> Iterator[Path]:
    """The folder in which rehearsed vendors remember, for one server at a time: none knows what another one does.

    Raises NotReady while another rehearsal has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady(
                f"another rehearsal is going on in {folder}",
                hint="wait for it, type the command inside it, or keep this one apart with --folder DIR",
            ) from None
        yield folder


def known_answers(settings: Settings, datasets: Sequence[Path] = ()) -> Iterator[tuple[str, str]]:
    """(question, reference answer) of the built-in riddles and of the user's own files. Raises DataError."""
    task = tasks.get("riddles")
    for split in task.SPLITS:
        yield from _pairs(task, task.source(settings, split, None), split)
    for path in datasets:
        holds = [split for split in task.SPLITS if _holds(task, settings, path, split)]
        if not holds:
            raise DataError(f"{path}: no rows of the splits {', '.join(task.SPLITS)}")
        for split in holds:
            yield from _pairs(task, task.source(settings, split, path), split)


def _pairs(task: Task, source: Source, split: str) -> Iterator[tuple[str, str]]:
    for item in task.items(source, split):
        yield str(item.fields["description"]), task.reference(item)


def _holds(task: Task, settings: Settings, path: Path, split: str) -> bool:
    try:
        return next(task.items(task.source(settings, split, path), split), None) is not None
    except DataError:
        return False


def keep_apart(context: Context, batch: BatchRecord, found: Sequence[JobRecord]) -> BatchRecord:
    """The batch that is about to be sent, marked as rehearsal from here on when rehearsed vendors will answer it.

    Raises UsageError where made-up answers would get among real ones, or a rehearsal would be paid for.
    """
    refuse_another_world(context, batch, is_unsent=all(job.state in _UNSENT for job in found))
    if batch.parent_id is not None:
        with context.ledger.read() as tx:
            parent = batches.by_id(tx, batch.parent_id)
        refuse_paid_judges(context, parent, [batch.provider])
    if batch.provider in HERE or batch.rehearsal or not context.settings.rehearsal:
        return batch
    with context.ledger.write() as tx:
        batches.note(tx, batch.id, rehearsal=True)
        return batches.by_id(tx, batch.id)


def refuse_paid_judges(context: Context, parent: BatchRecord, providers: Sequence[str]) -> None:
    """Raise UsageError where vendors would be paid for judging made-up answers; rules and local judges cost nothing."""
    paid = sorted(set(providers) - HERE)
    if not paid or not parent.rehearsal or context.settings.rehearsal:
        return
    raise UsageError(
        f"the answers of {parent.name} come from a rehearsal; here {', '.join(paid)} would be paid for judging them",
        hint=f"batchflow rehearse -- batchflow jury {parent.name}; or judges that cost nothing: --judges rule:exact,"
        " or local:MODEL",
    )


def refuse_another_world(context: Context, batch: BatchRecord, *, is_unsent: bool) -> None:
    """Raise UsageError for a rehearsed batch outside of a rehearsal, and for one inside that has real answers.

    is_unsent: no part of it has gone out; a retry's answers stand in another batch, so it never counts as such.
    """
    if batch.provider in HERE or batch.rehearsal == context.settings.rehearsal:
        return
    if batch.rehearsal:
        raise UsageError(
            f"{batch.name} belongs to a rehearsal; here {batch.provider} would be asked and paid for it",
            hint=f"for real: prepare it anew under another --name; as rehearsal: batchflow rehearse -- batchflow start"
            f" {batch.name}",
        )
    if not is_unsent or batch.retries_id is not None:
        raise UsageError(
            f"{batch.name} has been sent for real: a rehearsal would mix made-up answers into it",
            hint="run the command outside of `batchflow rehearse`, or rehearse with a batch of another --name",
        )
