"""rehearse: what the loopback server has to know so that rehearsed predictions can be right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from batchflow.errors import DataError
from batchflow.settings import Settings
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task


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
