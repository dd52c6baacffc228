"""What a command is about: the task and the split, from its flags and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchflow.steps.context import Context, choose
from batchflow.tasks import registry
from batchflow.tasks.base import Task

DEFAULT_TASK = "riddles"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtOptions:
    """The flags that say what a brought file is about. model, name: None where the file tells them."""

    model: str | None = None
    name: str | None = None
    task: str | None = None
    dataset: Path | None = None
    split: str | None = None
    hints: int = 0


def task_of(context: Context, flag: str | None) -> Task:
    """The task that is asked for, else the built-in riddles. Raises UsageError for a name that does not exist."""
    return registry.get(choose(context, "task", flag) or DEFAULT_TASK)


def split_of(context: Context, task: Task, flag: str | None) -> str:
    """The split that is asked for, else the task's first; `task.source` refuses one that the task does not have."""
    return str(choose(context, "split", flag) or task.SPLITS[0])
