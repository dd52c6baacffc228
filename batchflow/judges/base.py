"""Judge kinds: the fields that they vote on, each with its scale, their question, and the reading of a reply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from batchflow.records import Item, Json, Level, Parsed, Schema, VoteStatus
from batchflow.texts.templates import Prompt, Template


@dataclass(frozen=True, slots=True)
class Scale:
    """Values that a judge may give a field, numbers from low to high. labels: its words, each with a number."""

    name: str
    low: float
    high: float
    level: Level
    labels: Mapping[str, float] = field(default_factory=dict)

    def value(self, raw: Any) -> float | None:
        """The number of what was said; None for what is not on the scale."""
        if self.labels:
            return self.labels.get(raw) if isinstance(raw, str) else None
        if isinstance(raw, bool):
            return float(raw) if self.name == BOOLEAN.name else None
        if self.name == BOOLEAN.name or not isinstance(raw, int | float) or not math.isfinite(raw):
            return None
        return float(raw) if self.low <= raw <= self.high else None

    @property
    def width(self) -> float:
        """From the lowest value to the highest."""
        return self.high - self.low

    @property
    def binary(self) -> bool:
        """Tells whether there are two values only, right and wrong."""
        return self.name == BOOLEAN.name

    def share(self, value: float) -> float:
        """A value as a share of the range, 0 to 1, which is what statistics work on."""
        return value if self.low == 0 and self.high == 1 else (value - self.low) / self.width


BOOLEAN = Scale("boolean", 0.0, 1.0, Level.NOMINAL)
UNIT = Scale("unit", 0.0, 1.0, Level.INTERVAL)
PREFERENCE = Scale("preference", 0.0, 1.0, Level.ORDINAL, {"second": 0.0, "tie": 0.5, "first": 1.0})


def rating(low: float, high: float) -> Scale:
    """A number from low to high, such as 1 to 5 stars."""
    return Scale("rating", low, high, Level.ORDINAL)


def letters(values: Mapping[str, float]) -> Scale:
    """Letters, or other words, each with its value."""
    return Scale("letters", min(values.values()), max(values.values()), Level.ORDINAL, dict(values))


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a judge says about an answer."""

    name: str
    scale: Scale


class Rule(StrEnum):
    """Rule by which a derived field is computed from others."""

    ALL = "all"  # right where all are right, wrong where one is wrong
    MEAN = "mean"  # the weighted mean


@dataclass(frozen=True, slots=True)
class Derived:
    """A field computed from voted fields when it is scored; it is never stored."""

    name: str
    of: tuple[str, ...]
    rule: Rule
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Context in which a reply is read. finish: the vendor's word for why it ended.

    item: what the ledger keeps of the judged item, its columns and options; only for kinds that read it.
    """

    finish: str | None = None
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Reading of a reply. values, labels: by field; labels hold the word where the number does not tell it.

    said: the reply as an object, which the results file shows. reason: why there is no verdict.
    """

    status: VoteStatus
    values: Mapping[str, float | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    said: Json | None = None
    parsed: Parsed = Parsed.STRICT
    reason: str | None = None


def unparsed(reason: str) -> Verdict:
    """A reply that is no verdict, and why."""
    return Verdict(VoteStatus.UNPARSED, parsed=Parsed.UNPARSED, reason=reason)


class JudgeKind(Protocol):
    """One kind of judge. A module or a frozen instance satisfies it."""

    @property
    def NAME(self) -> str:
        """The word that `jury --kind` takes."""

    @property
    def FIELDS(self) -> tuple[Field, ...]:
        """Fields that a judge gives, in its order."""

    @property
    def DERIVED(self) -> tuple[Derived, ...]:
        """Fields computed from these."""

    @property
    def OVERALL(self) -> str:
        """The field, or derived field, that `score` takes unless told otherwise."""

    @property
    def RULED(self) -> str | None:
        """The field that deterministic rules vote on; None where they cannot judge."""

    @property
    def SCHEMA(self) -> Schema | None:
        """The form of a reply; None for a text that `read` takes apart."""

    @property
    def READS_ITEM(self) -> bool:
        """Tells whether `read` needs the item, such as the options among which a letter has to be."""

    @property
    def FACTS(self) -> Json:
        """Further facts that decide the verdict, recorded with each judge batch; empty for most kinds."""

    def template(self, split: str, path: Path | None) -> Template:
        """The built-in or the user's template of the question to a judge. Raises UsageError."""

    def prompt(self, item: Item, answer: Json, template: Template) -> Prompt:
        """The question to a judge; the candidate's text is fenced as data. Raises UsageError."""

    def read(self, text: str, evidence: Evidence) -> Verdict:
        """Reads a reply. It never raises and never guesses: conflicting or missing verdicts are `unparsed`."""


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about an item for a verifier. columns: the row's own, for verifiers that want them."""

    references: tuple[str, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)


class Verifier(Protocol):
    """A judge without a model: it votes on the field `RULED` of a judge kind. A module or an instance satisfies it."""

    @property
    def NAME(self) -> str:
        """The word behind `rule:` in `jury --judges`."""

    @property
    def COLUMNS(self) -> bool:
        """Tells whether it wants the columns of the item's row beside the references."""

    @property
    def PROVES_WRONG(self) -> bool:
        """Tells whether an answer that it finds wrong is wrong for certain, so that a cascade asks no judge."""

    def verify(self, answer: str, known: Known) -> bool | float | None:
        """Right, wrong, or a value on the field's scale; None where it cannot tell: it abstains, it does not guess."""


def field_names(kind: JudgeKind) -> tuple[str, ...]:
    """All fields that can be scored, the overall one first."""
    return tuple(dict.fromkeys((kind.OVERALL, *(d.name for d in kind.DERIVED), *(f.name for f in kind.FIELDS))))


def parts_of(kind: JudgeKind, name: str) -> tuple[str, ...]:
    """The fields that a field is made of: itself, unless it is derived."""
    return next((derived.of for derived in kind.DERIVED if derived.name == name), (name,))


def scale_of(kind: JudgeKind, name: str) -> Scale:
    """The scale of a field; of a derived one a share where it is a mean, else that of its parts."""
    if any(derived.name == name and derived.rule is Rule.MEAN for derived in kind.DERIVED):
        return UNIT
    part = parts_of(kind, name)[0]
    return next(each.scale for each in kind.FIELDS if each.name == part)
