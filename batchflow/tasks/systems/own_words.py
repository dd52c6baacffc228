"""Common to the tasks of other systems: they ask in those systems' words, and their items have no hints."""

from __future__ import annotations

from pathlib import Path

from batchflow import files
from batchflow.errors import UsageError
from batchflow.records import Item, Json
from batchflow.tasks.base import Template
from batchflow.tasks.prompts import neutral_prompts


class OwnWords:
    """Base of such a task."""

    __slots__ = ()

    @property
    def JUDGE_FACTS(self) -> Json:  # noqa: N802 - the protocol's name
        """Nothing: the kind has a name alone."""
        return {}

    def hints_available(self, item: Item) -> int:
        """Zero."""
        return neutral_prompts.no_hints(item)

    def hint_places(self, item: Item) -> tuple[int, ...]:
        """No hint."""
        return neutral_prompts.no_places(item)


def own_template(task: str, whose: str, text: str, path: Path | None) -> Template:
    """The template of a task. whose: words. Raises UsageError for one of the user's, which path names."""
    if path is not None:
        raise UsageError(
            f"task {task} asks in {whose} own words",
            hint="--task qa or choice takes a template; so does a task file (docs/tasks.md)",
        )
    return Template(f"builtin:{task}", text, files.digest(text.encode()))
