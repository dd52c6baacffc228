"""Judge kind `rubric`: a number from 0 to 1 for each criterion of the user's own, read from a TOML file.

    [[criteria]]
    name = "clarity"
    description = "A layman understands it."
    weight = 2

The overall value is the weighted mean; without `weight` a criterion has the weight 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.judges import questions
from batchflow.judges.base import UNIT, Derived, Evidence, Field, Rule, Verdict
from batchflow.judges.reading import read_object
from batchflow.records import Item, Json, Schema, strict
from batchflow.texts.templates import Prompt, Template

NAME = "rubric"
_OVERALL = "overall"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = frozenset({"reasons", _OVERALL, "both_correct"})
_MOST = 20


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a rubric."""

    name: str
    description: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rubric:
    """The judge kind of some criteria: a field for each, and their weighted mean.

    FACTS holds the criteria, so that a judge batch needs the file no more.
    """

    criteria: tuple[Criterion, ...]
    FIELDS: tuple[Field, ...]
    DERIVED: tuple[Derived, ...]
    SCHEMA: Schema
    FACTS: Json
    NAME: str = NAME
    OVERALL: str = _OVERALL
    RULED: str | None = None
    READS_ITEM: bool = False

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """The built-in judge template, or the user's own file, checked. Raises UsageError."""
        return questions.template(Path(__file__).with_name("templates") / "judge_rubric.txt", path)

    def prompt(self, item: Item, answer: Json, template: Template) -> Prompt:
        """The question to a judge, with the criteria."""
        listed = "".join(f"\n- {each.name}: {each.description}" for each in self.criteria)
        return questions.prompt(item, answer, template, {"criteria": listed})

    def read(self, text: str, evidence: Evidence) -> Verdict:
        """A number for each criterion."""
        return read_object(text, evidence, self.SCHEMA, self.FIELDS)


def of_criteria(criteria: Sequence[Criterion]) -> Rubric:
    """The judge kind that asks for a number for each criterion, behind the reasons."""
    names = tuple(each.name for each in criteria)
    weights = tuple(each.weight for each in criteria)
    return Rubric(
        tuple(criteria),
        tuple(Field(name, UNIT) for name in names),
        (Derived(_OVERALL, names, Rule.MEAN, weights),),
        strict("rubric_verdict", {"reasons": "string", **dict.fromkeys(names, "number")}),
        {"criteria": [[each.name, each.description, each.weight] for each in criteria]},
    )


def of_facts(facts: Json) -> Rubric:
    """The rubric that a judge batch recorded."""
    return of_criteria([Criterion(*each) for each in facts["criteria"]])


def of_table(whole: Table) -> Rubric:
    """The rubric of a file. Raises UsageError, with the criterion and what is wrong with it."""
    document, path = dict(whole.values), whole.path
    listed = document.pop("criteria", None)
    if document:
        raise UsageError(f"rubric {path}: there is no setting {next(iter(document))!r}", hint="[[criteria]] is all")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST:
        raise UsageError(f"rubric {path}: 1 to {_MOST} tables [[criteria]] are expected")
    criteria = tuple(_criterion(f"rubric {path}, criterion {number}", row) for number, row in enumerate(listed, 1))
    _refuse_twice(path, criteria)
    return of_criteria(criteria)


def _criterion(where: str, row: Any) -> Criterion:
    if not isinstance(row, dict) or not {"name", "description"} <= row.keys() <= {"name", "description", "weight"}:
        raise UsageError(f"{where}: it has to hold name and description, and may hold weight")
    name, description, weight = row["name"], row["description"], row.get("weight", 1)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        taken = f"; {', '.join(sorted(_TAKEN))} are taken" if name in _TAKEN else ""
        raise UsageError(f"{where}: the name {name!r:.60} cannot be used", hint=f"a to z, 0 to 9 and _{taken}")
    if not isinstance(description, str) or not description.strip() or "\n" in description.strip():
        raise UsageError(f"{where}, description: one line of text is expected")
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not math.isfinite(weight) or weight <= 0:
        raise UsageError(f"{where}, weight: {weight!r:.60} is not a number above 0")
    return Criterion(name, description.strip(), float(weight))


def _refuse_twice(path: Path, criteria: Sequence[Criterion]) -> None:
    for name, times in Counter(each.name for each in criteria).items():
        if times > 1:
            raise UsageError(f"rubric {path}: two criteria are called {name!r}")
