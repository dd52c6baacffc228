"""Judge kind `stars`, as a package of somebody else's brings it: one to five stars, said as `[[4]]`, without JSON."""

from __future__ import annotations

import re
from pathlib import Path

from batchflow.judges import questions
from batchflow.judges.base import Derived, Evidence, Field, Verdict, rating, unparsed
from batchflow.records import CUT_SHORT, Json, Schema, VoteStatus
from batchflow.texts.templates import Template

NAME = "stars"
FIELDS = (Field("stars", rating(1, 5)),)
DERIVED: tuple[Derived, ...] = ()
OVERALL = "stars"
RULED: str | None = None
SCHEMA: Schema | None = None
FACTS: Json = {}
READS_ITEM = False

_STARS = re.compile(r"\[\[([^\[\]]*)\]\]")

prompt = questions.prompt


def template(split: str, path: Path | None) -> Template:
    """The template beside this module, or the user's own."""
    return questions.template(Path(__file__).with_name("stars.txt"), path)


def read(text: str, evidence: Evidence) -> Verdict:
    """The one number in double brackets."""
    if (evidence.finish or "").lower() in CUT_SHORT:
        return unparsed("cut off")
    said = set(_STARS.findall(text))
    if len(said) != 1:
        return unparsed("contradicts itself" if said else "no stars")
    (label,) = said
    value = FIELDS[0].scale.value(int(label)) if label.isascii() and label.isdigit() else None
    if value is None:
        return unparsed("not one to five stars")
    return Verdict(VoteStatus.VALID, {"stars": value}, {"stars": label})
