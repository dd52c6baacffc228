"""The data sets that a configuration of OpenCompass's kind may name, with what its own configurations say of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchflow.judges.scripts.bundled import LIVECODEBENCH
from batchflow.ledger.suites import Group
from batchflow.steps.suites.suite_file import MACRO, WEIGHTED
from batchflow.tasks.systems import compass

ALL = "all"
CORE, MMLU = "core_average", "mmlu_pro"
_REPEAT = "_repeat_"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set of a configuration. name: as `-d` takes it; start: of its name in files and tables.

    repeats: how often each item is asked; k: of pass@k and G-Pass@k. kind: the judge kind, `rule:NAME` for a rule, None
    for the task's own; cascade: a rule in front of the judge. options: further ones of `prepare`.
    """

    name: str
    start: str
    task: str | None = None
    path: Path | None = None
    split: str | None = None
    repeats: int = 1
    k: tuple[int, ...] = ()
    kind: str | None = None
    cascade: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its name in files and tables, with the number of repeats as OpenCompass writes it."""
        return f"{self.start}{_REPEAT}{self.repeats}" if self.repeats > 1 else self.start


KNOWN = {
    "aime2025": DataSet(name="aime2025", start="aime2025", task="aime2025", repeats=32),
    "gpqa": DataSet(name="gpqa", start="GPQA_diamond", task="gpqa", split="diamond", repeats=4, cascade="answer_line"),
    "code": DataSet(
        name="code",
        start="lcb_code_generation",
        task="livecodebench",
        split="v6",
        repeats=6,
        kind=f"rule:{LIVECODEBENCH}",
    ),
    "ifeval": DataSet(name="ifeval", start="IFEval", task="ifeval", kind="rule:ifeval"),
    "mmlu_pro": DataSet(name=MMLU, start=MMLU, task="mmlu_pro"),
    "hle": DataSet(name="hle", start="hle_llmjudge", task="hle"),
}
"""By the names that `-d` takes; each has its data in OpenCompass's own caches."""


def categories_of(data: DataSet, present: list[str]) -> list[DataSet]:
    """MMLU-Pro as OpenCompass has it: a data set for each category that is there."""
    names = [name for name in compass.CATEGORIES if name in present]
    return [replace(data, start=f"{data.start}_{name.replace(' ', '_')}", split=name) for name in names]


def groups_of(data: list[DataSet], declared: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups of the summary: `mmlu_pro` over its categories, those that the file declares, and `core_average`.

    core_average: the mean of the data sets, each as heavy as the others, MMLU-Pro's categories together as one.
    """
    parts = tuple(each.label for each in data if each.name == MMLU)
    mmlu = (Group(MMLU, MACRO, parts),) if len(parts) > 1 else ()
    names = {each.name for each in data}
    weights = tuple(1 / len(parts) if each.name == MMLU else 1.0 for each in data)
    core = (Group(CORE, WEIGHTED, tuple(each.label for each in data), weights),) if len(names) > 1 else ()
    return (*mmlu, *declared, *core)
