"""rehearse: what the loopback server has to know, and where it remembers."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from batchflow.errors import DataError, NotReady
from batchflow.settings import Settings
from batchflow.steps.asked import OWN_TASK
from batchflow.tasks import columns
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task


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


def known_answers(
    settings: Settings, datasets: Sequence[Path] = (), mapping: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """(question, reference answer) of the built-in riddles and the user's own files. Raises DataError, UsageError."""
    task = tasks.get("riddles")
    for split in task.SPLITS:
        yield from _pairs(task, task.source(settings, split, None), split)
    for path in datasets:
        holds = [split for split in task.SPLITS if _holds(task, settings, path, split)]
        for split in holds:
            yield from _pairs(task, task.source(settings, split, path), split)
        if not holds:  # no file of riddles
            yield from _own_pairs(settings, path, columns.parsed(mapping, tasks.get(OWN_TASK).FIELDS))


def _pairs(task: Task, source: Source, split: str) -> Iterator[tuple[str, str]]:
    for item in task.items(source, split):
        if item.references:
            yield item.question, task.reference(item)


def _own_pairs(settings: Settings, path: Path, mapping: columns.Mapped) -> Iterator[tuple[str, str]]:
    task = tasks.get(OWN_TASK)
    split = task.SPLITS[0]
    yield from _pairs(task, replace(task.source(settings, split, path), mapping=mapping), split)


def _holds(task: Task, settings: Settings, path: Path, split: str) -> bool:
    try:
        return next(task.items(task.source(settings, split, path), split), None) is not None
    except DataError:
        return False
