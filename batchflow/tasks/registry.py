"""The tasks by name. mypy checks each module against the protocol at the line that names it."""

from __future__ import annotations

from batchflow.errors import UsageError
from batchflow.tasks import choice, layton, qa, riddles
from batchflow.tasks.base import Task

TASKS: dict[str, Task] = {"riddles": riddles, "layton": layton, "qa": qa, "choice": choice}


def get(name: str) -> Task:
    """The task of that name. Raises UsageError that lists what exists."""
    task = TASKS.get(name)
    if task is None:
        raise UsageError(f"no task {name!r}", hint=f"tasks: {', '.join(TASKS)}")
    return task
