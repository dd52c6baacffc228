r"""Judge kinds `compass-verifier` and `compass-verifier-cot`: A correct, B incorrect, C invalid.

CompassVerifier replies with one letter, or, when it is asked to reason first, ends with
`Final Judgment: \boxed{A} - CORRECT` (github.com/open-compass/CompassVerifier, README). OpenCompass's own readers take
the first `A` or `B` anywhere, so that `INVALID` counts as A; here a reply counts only where letter and word agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from batchflow.judges import questions
from batchflow.judges.base import Derived, Evidence, Field, Verdict, letters, unparsed
from batchflow.records import CUT_SHORT, Item, Json, Schema, VoteStatus
from batchflow.texts.templates import Prompt, Template

FIELD = "verdict"
SCALE = letters({"A": 1.0, "B": 0.0, "C": 0.0})
_WORDS = {"CORRECT": "A", "INCORRECT": "B", **dict.fromkeys(("INVALID", "INCOMPLETE", "REPETITIVE", "REFUSAL"), "C")}
_FINAL = re.compile(r"final\s+judg(?:e)?ment\s*\W*?:", re.IGNORECASE)
_BOXED = re.compile(r"\\?boxed\{\s*([ABC])\s*\}")
_SAID = re.compile(
    r"[\s*_`($\\]*(?:boxed\{\s*)?(?P<letter>[ABC])?[\s)}*_`$.]*(?:[-:–—]\s*)?[\s*_`(]*(?P<word>"
    + "|".join(_WORDS)
    + r")?[\s).*_`\"']*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CompassVerifier:
    """The kind with or without reasons before the letter."""

    NAME: str
    template_file: str
    FIELDS: tuple[Field, ...] = (Field(FIELD, SCALE),)
    DERIVED: tuple[Derived, ...] = ()
    OVERALL: str = FIELD
    RULED: str | None = FIELD
    SCHEMA: Schema | None = None
    READS_ITEM: bool = False

    @property
    def FACTS(self) -> Json:  # noqa: N802 - the protocol's name
        """Nothing: the name says all."""
        return {}

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """The built-in judge template, or the user's own file, checked. Raises UsageError."""
        return questions.template(Path(__file__).with_name("templates") / self.template_file, path)

    def prompt(self, item: Item, answer: Json, template: Template) -> Prompt:
        """The question to the verifier."""
        return questions.prompt(item, answer, template)

    def read(self, text: str, evidence: Evidence) -> Verdict:
        """The letter of a reply."""
        letter = letter_of(text)
        if letter is None:
            is_cut = (evidence.finish or "").lower() in CUT_SHORT
            return unparsed("cut off" if is_cut else "no single verdict A, B or C")
        return Verdict(VoteStatus.VALID, {FIELD: SCALE.labels[letter]}, {FIELD: letter}, {FIELD: letter})


def letter_of(text: str) -> str | None:
    r"""The letter that a reply comes to; None where it says none, or several.

    >>> letter_of("A"), letter_of("INVALID"), letter_of("A: INCORRECT"), letter_of("Final Judgment: \\boxed{B}")
    ('A', 'C', None, 'B')
    """
    *_, last = _FINAL.split(text)
    match = _SAID.fullmatch(last.strip())
    if match is not None:
        letter, word = match["letter"], match["word"]
        letters = {*([letter.upper()] if letter else []), *([_WORDS[word.upper()]] if word else [])}
    else:
        letters = set(_BOXED.findall(last))
    return letters.pop() if len(letters) == 1 else None


PLAIN = CompassVerifier("compass-verifier", "compass_verifier.txt")
REASONED = CompassVerifier("compass-verifier-cot", "compass_verifier_cot.txt")
