"""Resolves the task and the split of a command from its flags and the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow.errors import UsageError
from batchflow.steps.base.context import Context, choose
from batchflow.tasks import registry
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

    Raises UsageError for a name that does not exist.
    """
    return registry.get(choose(context, "task", flag) or (DEFAULT_TASK if dataset is None else OWN_TASK))


def source_of(context: Context, task: Task, split: str, dataset: Path | None, mapping: Iterable[str] = ()) -> Source:
    """The data set that is asked for, its columns mapped as `--map` says. Raises UsageError, DataError."""
    pairs = columns.parsed(mapping, task.FIELDS)
    if pairs and dataset is None:
        raise UsageError("--map names columns of a data set of your own", hint="name its file with --dataset")
    return replace(task.source(context.settings, split, dataset), mapping=pairs)


def split_of(context: Context, task: Task, flag: str | None) -> str:
    """The split that is asked for, else the task's first; `task.source` refuses one that the task does not have."""
    return str(choose(context, "split", flag) or task.SPLITS[0])
