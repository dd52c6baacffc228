"""The tasks by name. mypy checks each module against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.tasks`.
"""

from __future__ import annotations

from batchflow.registries import Registry
from batchflow.tasks import choice, layton, qa, riddles
from batchflow.tasks.base import Task
from batchflow.tasks.systems import mixeval

TASKS: dict[str, Task] = {
    "riddles": riddles,
    "layton": layton,
    "qa": qa,
    "choice": choice,
    "mixeval": mixeval.FULL,
    "mixeval-hard": mixeval.HARD,
}
REGISTRY = Registry("batchflow.tasks", "task", TASKS, Task, "tasks")
names, get = REGISTRY.names, REGISTRY.get
