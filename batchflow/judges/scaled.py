"""Judge kinds of any scale: `letters`, `rating` and `preference`, and those that a file declares field by field.

    reply = "brackets"

    [[fields]]
    name = "grade"
    description = "How good is the answer?"
    scale = "letters"
    letters = { A = 1, B = 0.5, C = 0 }

Scales are boolean, unit, rating (with low and high), letters (with a value each) and preference. The overall value of
several fields is the weighted mean of their shares.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.judges import questions
from batchflow.judges.base import (
    BOOLEAN,
    PREFERENCE,
    UNIT,
    Derived,
    Evidence,
    Field,
    Rule,
    Scale,
    Verdict,
    letters,
    rating,
)
from batchflow.judges.brackets import read_brackets
from batchflow.judges.reading import read_object
from batchflow.records import Item, Json, Schema
from batchflow.registries import nearest
from batchflow.texts.templates import Prompt, Template

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LABEL = re.compile(r"[^\s\[\]:,()\"](?:[^\[\]:,()\"\n]{0,28}[^\s\[\]:,()\"])?")
_OVERALL = "overall"
_TAKEN = frozenset({"reasons", _OVERALL, "both_correct"})
_SCALES = ("boolean", "unit", "rating", "letters", "preference")
_REPLIES = ("brackets", "json")
_MOST = 20


@dataclass(frozen=True, slots=True)
class Scaled:
    """A judge kind of some fields. described: what each is, for the judge. FACTS: what its file says, if it has one."""

    NAME: str
    FIELDS: tuple[Field, ...]
    DERIVED: tuple[Derived, ...]
    OVERALL: str
    SCHEMA: Schema | None
    FACTS: Json
    described: tuple[str, ...]
    RULED: str | None = None
    READS_ITEM: bool = False

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """The built-in judge template, or the user's own file, checked. Raises UsageError."""
        return questions.template(Path(__file__).with_name("templates") / "judge_scaled.txt", path)

    def prompt(self, item: Item, answer: Json, template: Template) -> Prompt:
        """The question to a judge, with the fields and the form of the reply."""
        pairs = zip(self.FIELDS, self.described, strict=True)
        listed = "".join(f"\n- {field.name}: {text} ({_words(field.scale)})" for field, text in pairs)
        return questions.prompt(item, answer, template, {"fields": listed, "form": self._form()})

    def _form(self) -> str:
        names = [field.name for field in self.FIELDS]
        if self.SCHEMA is not None:
            return f"one JSON object and nothing else, without Markdown, with the fields reasons, {', '.join(names)}"
        shape = "[[value]]" if len(names) == 1 else " ".join(f"[[{name}: value]]" for name in names)
        return f"your reasons, then a last line {shape} with your value; write double brackets nowhere else"

    def read(self, text: str, evidence: Evidence) -> Verdict:
        """One value for each field."""
        if self.SCHEMA is None:
            return read_brackets(text, evidence, self.FIELDS)
        return read_object(text, evidence, self.SCHEMA, self.FIELDS)


def _words(scale: Scale) -> str:
    """A scale in words, the best label first."""
    if scale.labels:
        return f"one of {', '.join(sorted(scale.labels, key=lambda label: -scale.labels[label]))}"
    return "true or false" if scale.binary else f"a number from {scale.low:g} to {scale.high:g}"


def _property(scale: Scale) -> Json:
    if scale.labels:
        return {"type": "string", "enum": list(scale.labels)}
    return {"type": "boolean" if scale.binary else "number"}


def of_fields(
    name: str, fields: Sequence[tuple[str, str, Scale, float]], *, reply: str = "brackets", facts: Json | None = None
) -> Scaled:
    """The judge kind of some fields: (name, description, scale, weight) of each."""
    names = tuple(each[0] for each in fields)
    properties = {"reasons": {"type": "string"}, **{each[0]: _property(each[2]) for each in fields}}
    schema: Json = {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip
    overall = (Derived(_OVERALL, names, Rule.MEAN, tuple(each[3] for each in fields)),) if len(fields) > 1 else ()
    return Scaled(
        name,
        tuple(Field(each[0], each[2]) for each in fields),
        overall,
        _OVERALL if overall else names[0],
        Schema("scaled_verdict", schema) if reply == "json" else None,
        facts or {},
        tuple(each[1] for each in fields),
    )


LETTERS = of_fields(
    "letters",
    [("grade", "A: right and complete; B: partly right; C: wrong", letters({"A": 1.0, "B": 0.5, "C": 0.0}), 1.0)],
)
RATING = of_fields("rating", [("rating", "How good is the answer, 10 the best?", rating(1, 10), 1.0)])
PREFERRED = of_fields(
    "preference",
    [
        (
            "preference",
            "first: the candidate's answer is better than the reference; second: worse",
            PREFERENCE,
            1.0,
        )
    ],
)


def of_facts(facts: Json) -> Scaled:
    """The kind that a judge batch recorded."""
    return of_fields(
        facts["name"],
        [(*one[:2], _scale_of(one[2]), one[3]) for one in facts["fields"]],
        reply=facts["reply"],
        facts=facts,
    )


def _scale_of(facts: Json) -> Scale:
    kind = facts["scale"]
    if kind == "rating":
        return rating(facts["low"], facts["high"])
    if kind == "letters":
        return letters(facts["letters"])
    return {"boolean": BOOLEAN, "unit": UNIT, "preference": PREFERENCE}[kind]


def is_record(facts: Json) -> bool:
    """Tells whether a judge batch recorded such a kind."""
    return "fields" in facts


def of_table(whole: Table) -> Scaled:
    """The kind that a file declares. Raises UsageError with file, line and key."""
    whole.known("name", "reply", "fields")
    name, reply = str(whole.get("name", str, "fields")), str(whole.get("reply", str, "brackets"))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{whole.where('name')}: {name!r:.60} cannot be used", hint="a to z, 0 to 9, _ and -")
    if reply not in _REPLIES:
        raise UsageError(
            f"{whole.where('reply')}: there is no reply {reply!r}", hint=nearest(reply, _REPLIES, "replies")
        )
    listed = whole.get("fields", list, [])
    if not 1 <= len(listed) <= _MOST or not all(isinstance(one, dict) for one in listed):
        raise UsageError(f"{whole.where('fields')}: 1 to {_MOST} tables [[fields]] are expected")
    fields = [_field(Table(whole.path, whole.text, one, ("fields",)), one) for one in listed]
    names = [field[0] for field in fields]
    if twice := [each for each in names if names.count(each) > 1]:
        raise UsageError(f"{whole.where('fields')}: two fields are called {twice[0]!r}")
    return of_facts({"name": name, "reply": reply, "fields": fields})


def _field(table: Table, row: Json) -> list[Any]:
    """[name, description, scale, weight] of one field, as facts keep it."""
    table.known("name", "description", "scale", "low", "high", "letters", "weight")
    name, description = table.needed("name"), table.needed("description").strip()
    if not _FIELD.fullmatch(name) or name in _TAKEN:
        taken = f"; {', '.join(sorted(_TAKEN))} are taken" if name in _TAKEN else ""
        raise UsageError(
            f"{table.where('name')}: the name {name!r:.60} cannot be used", hint=f"a to z, 0 to 9 and _{taken}"
        )
    if "\n" in description:
        raise UsageError(f"{table.where('description')}: one line of text is expected")
    kind, weight = table.needed("scale"), table.get("weight", float, 1.0)
    if kind not in _SCALES:
        raise UsageError(f"{table.where('scale')}: there is no scale {kind!r}", hint=nearest(kind, _SCALES, "scales"))
    if not math.isfinite(weight) or weight <= 0:
        raise UsageError(f"{table.where('weight')}: {weight!r:.60} is not a number above 0")
    for key, owner in (("low", "rating"), ("high", "rating"), ("letters", "letters")):
        if (key in row) != (kind == owner):
            why = "is missing" if kind == owner else f"belongs to the scale {owner}"
            raise UsageError(f"{table.where(key)}: it {why}")
    facts: Json = {"scale": kind}
    if kind == "rating":
        facts |= {"low": table.get("low", float), "high": table.get("high", float)}
        if not (math.isfinite(facts["low"]) and math.isfinite(facts["high"]) and facts["low"] < facts["high"]):
            raise UsageError(f"{table.where('low')}: it has to be below high")
    if kind == "letters":
        facts |= {"letters": _letters(table.table("letters"))}
    return [name, description, facts, float(weight)]


def _letters(table: Table) -> Json:
    """The labels of a scale with their values. Raises UsageError."""
    values = {str(label): table.get(label, float) for label in table.values}
    for label, value in values.items():
        if not _LABEL.fullmatch(label):
            raise UsageError(
                f"{table.where()}: {label!r:.60} cannot be a label", hint="no brackets, commas, colons, quotes"
            )
        if value is None or not math.isfinite(value):
            raise UsageError(f"{table.where(label)}: a number is expected")
    folded = [label.casefold() for label in values]
    if len(set(values.values())) < 2 or len(set(folded)) < len(folded):
        raise UsageError(
            f"{table.where()}: at least two labels are needed, with different values, "
            "and names that differ in more than case"
        )
    return values
