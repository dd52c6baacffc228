"""Resolves the task and the split of a command from its flags and the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow import documents
from batchflow.errors import UsageError
from batchflow.extract.chain import chain
from batchflow.steps.base.context import Context, choose
from batchflow.tasks import registry, task_file
from batchflow.tasks.base import Source, Task
from batchflow.tasks.datasets import columns

DEFAULT_TASK = "riddles"
OWN_TASK = "qa"
"""Task of a user's own data set, unless --task names another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtOptions:
    """The flags that say what a brought file is about. model, name: None where the file tells them."""

    model: str | None = None
    name: str | None = None
    task: str | None = None
    dataset: Path | None = None
    split: str | None = None
    hints: int = 0
    map: tuple[str, ...] = ()


def task_of(context: Context, flag: str | None, dataset: Path | None = None) -> Task:
    """The task that is asked for; else plain questions for a data set of one's own, and the built-in riddles without.

    A task may be a file that declares it. Raises UsageError for a name that does not exist, and for a faulty file.
    """
    name = str(choose(context, "task", flag) or (DEFAULT_TASK if dataset is None else OWN_TASK))
    return declared_task(Path(name)) if documents.is_document(name) else registry.get(name)


def declared_task(path: Path) -> Task:
    """The task that a file declares; its extractors and its metric are there. Raises UsageError."""
    task = task_file.of_file(path)
    try:
        chain(task.EXTRACT)
    except UsageError as error:
        raise UsageError(f"{path}, key answer.extract: {error}", hint=error.hint) from None
    if task.METRIC != registry.get(OWN_TASK).METRIC:
        from batchflow.score.metrics import measure

        try:
            measure(task.METRIC)
        except UsageError as error:
            raise UsageError(f"{path}, key score.metric: {error}", hint=error.hint) from None
    return task


def source_of(context: Context, task: Task, split: str, dataset: Path | None, mapping: Iterable[str] = ()) -> Source:
    """The data set that is asked for, its columns mapped as `--map` says. Raises UsageError, DataError."""
    pairs = columns.parsed(mapping, task.FIELDS)
    source = task.source(context.settings, split, dataset)
    if pairs and dataset is None and source.location.startswith(("builtin:", "hub:")):
        raise UsageError("--map names columns of a data set of your own", hint="name its file with --dataset")
    return replace(source, mapping=pairs or source.mapping)


def split_of(context: Context, task: Task, flag: str | None) -> str:
    """The split that is asked for, else the task's first; `task.source` refuses one that the task does not have."""
    return str(choose(context, "split", flag) or task.SPLITS[0])
