"""The tasks by name. mypy checks each module against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.records import Json
from batchflow.registries import Registry
from batchflow.tasks import choice, declared, layton, qa, riddles
from batchflow.tasks.base import Task
from batchflow.tasks.systems import arena, compass, internbootcamp, livecodebench, mixeval

TASKS: dict[str, Task] = {
    "riddles": riddles,
    "layton": layton,
    "qa": qa,
    "choice": choice,
    "mixeval": mixeval.FULL,
    "mixeval-hard": mixeval.HARD,
    "internbootcamp": internbootcamp,
    "aime2025": compass.AIME2025,
    "gpqa": compass.GPQA,
    "mmlu_pro": compass.MMLU_PRO,
    "hle": compass.HLE,
    "ifeval": compass.IFEVAL,
    "livecodebench": livecodebench.LIVECODEBENCH,
    "arena": arena.QUESTIONS,
    "battles": arena.BATTLES,
}
REGISTRY = Registry("batchflow.tasks", "task", TASKS, Task, "tasks")
names, get = REGISTRY.names, REGISTRY.get
_KEY = "task_facts"


def of_spec(name: str, spec: Mapping[str, Any]) -> Task:
    """The task of a batch, as its name and its spec record it. Raises UsageError for one that is not installed here."""
    return declared.of_facts(spec[_KEY]) if _KEY in spec else get(name)


def recorded(task: Task) -> Json:
    """Entries in the spec of a batch about its task, beside the name: what a task file declares."""
    return {_KEY: task.FACTS} if isinstance(task, declared.Declared) else {}


def recorded_in(spec: Mapping[str, Any]) -> Json:
    """Reads from a spec what `recorded` wrote."""
    return {_KEY: spec[_KEY]} if _KEY in spec else {}
