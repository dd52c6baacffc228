"""Judge kinds of MixEval: `mixeval-freeform` (a score 0 to 1), `mixeval-choice` (a letter), and `mixeval` for both.

MixEval's judges end with `[[0.5]]`, or `[[B]]` for the option that the model chose (github.com/Psycoy/MixEval,
mix_eval/utils/metric_utils.py). There an unreadable verdict becomes a random one; here it is `unparsed`, and so are a
letter beyond the options and two verdicts that differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from batchflow.judges import questions
from batchflow.judges.base import UNIT, Derived, Evidence, Field, Verdict, unparsed
from batchflow.records import CUT_SHORT, Item, Json, Schema, VoteStatus
from batchflow.texts.templates import Prompt, Template

FIELD = "score"
GOLD = "gold"
"""Column of the right option's letter, with which a judge's letter is compared."""

HALF, HALVES = "half", ("free-form", "multiple-choice")
"""Column of a row's half, and its values."""

_NUMBER, _LETTER = r"\d+(?:\.\d*)?", r"[A-Z]"


@dataclass(frozen=True, slots=True)
class MixEval:
    """The kind for one half or for both."""

    NAME: str
    FIELDS: tuple[Field, ...] = (Field(FIELD, UNIT),)
    DERIVED: tuple[Derived, ...] = ()
    OVERALL: str = FIELD
    RULED: str | None = FIELD
    SCHEMA: Schema | None = None
    READS_ITEM: bool = True

    @property
    def FACTS(self) -> Json:  # noqa: N802 - the protocol's name
        """Nothing: the name says all."""
        return {}

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """The built-in judge template, or the user's own file, checked. Raises UsageError."""
        return questions.template(Path(__file__).with_name("templates") / "mixeval.txt", path)

    def prompt(self, item: Item, answer: Json, template: Template) -> Prompt:
        """The question to a judge: how right an answer is, or which option it chooses. It does not see the context."""
        golds = (f"<answer {number}> {gold}" for number, gold in enumerate(item.references, 1))
        more = {"context": None, "golden_answers": None if item.options else "; ".join(golds)}
        return questions.prompt(item, answer, template, more)

    def read(self, text: str, evidence: Evidence) -> Verdict:
        """The score, or whether the letter is the right option's."""
        choice = evidence.item if evidence.item is not None and evidence.item.options else None
        verdicts = bracketed(text, _NUMBER if choice is None else _LETTER)
        if len(verdicts) != 1:
            is_cut = (evidence.finish or "").lower() in CUT_SHORT
            return unparsed(
                "cut off" if is_cut else "verdicts that differ" if verdicts else "no verdict in [[brackets]]"
            )
        (verdict,) = verdicts
        if choice is None:
            value = UNIT.value(float(verdict))
            return unparsed(f"[[{verdict}]] is not between 0 and 1") if value is None else _valid(value, verdict)
        if verdict not in ascii_uppercase[: len(choice.options)]:
            return unparsed(f"[[{verdict}]] is none of the options")
        return _valid(float(verdict == choice.fields.get(GOLD)), verdict)


def bracketed(text: str, pattern: str) -> frozenset[str]:
    """Values in double brackets, each once; those in single brackets where there are no double ones."""
    doubled = re.findall(rf"\[\[\s*({pattern})\s*\]\]", text)
    return frozenset(doubled or re.findall(rf"\[\s*({pattern})\s*\]", text))


def _valid(value: float, label: str) -> Verdict:
    return Verdict(VoteStatus.VALID, {FIELD: value}, {FIELD: label}, {FIELD: value, "said": label})


FREEFORM = MixEval("mixeval-freeform")
CHOICE = MixEval("mixeval-choice")
BOTH = MixEval("mixeval")
