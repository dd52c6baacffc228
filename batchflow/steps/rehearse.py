"""rehearse: what the loopback server has to know, and where it remembers."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from batchflow.errors import DataError, NotReady
from batchflow.settings import Settings
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
