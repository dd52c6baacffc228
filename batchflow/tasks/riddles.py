"""Task `riddles`: riddles written for this project, shipped with the package; needs neither key nor network."""

from __future__ import annotations

from pathlib import Path

from batchflow import files
from batchflow.records import Json
from batchflow.settings import Settings
from batchflow.tasks.base import Source
from batchflow.tasks.datasets import riddle_rows as rows
from batchflow.tasks.prompts import riddle_prompts

NAME = "riddles"
FIELDS = rows.FIELDS
EXTRACT: tuple[str, ...] = ()
SPLITS = riddle_prompts.SPLITS
MAX_HINTS = riddle_prompts.MAX_HINTS
ANSWER = riddle_prompts.ANSWER
JUDGED_BY = "riddle"
JUDGE_FACTS: Json = {}
METRIC = "mean"
BY: tuple[str, ...] = ()
CLUSTER: str | None = None
DATA = Path(__file__).with_name("data")

items = rows.items
template = riddle_prompts.template
prompt = riddle_prompts.prompt
hints_available = riddle_prompts.hints_available
hint_places = riddle_prompts.hint_places
columns = riddle_prompts.columns
asked = riddle_prompts.asked
known = rows.known
reference = riddle_prompts.reference


def source(settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG001 - the protocol's signature
    """The shipped file of a split, or the user's own file. Raises UsageError."""
    riddle_prompts.check_split(NAME, split)
    if dataset is not None:
        return rows.local(dataset)
    path = DATA / f"riddles_{split}.jsonl"
    return Source(f"builtin:{NAME}", path, files.sha256(path))
