"""Judge kind `riddle`: whether the answer is right, and whether its justification is, each true or false."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import UsageError
from batchflow.judges.base import BOOLEAN, Derived, Evidence, Field, Rule, Verdict
from batchflow.judges.reading import read_object
from batchflow.records import Item, Json, strict
from batchflow.texts import templates
from batchflow.texts.templates import Prompt, Template

NAME = "riddle"
RULED = "is_answer_correct"
FIELDS = (Field(RULED, BOOLEAN), Field("is_justification_correct", BOOLEAN))
DERIVED = (Derived("both_correct", tuple(field.name for field in FIELDS), Rule.ALL),)
OVERALL = "both_correct"
SCHEMA = strict("riddle_verdict", {field.name: "boolean" for field in FIELDS})
FACTS: Json = {}
READS_ITEM = False

_TEMPLATES = Path(__file__).with_name("templates")
_CANDIDATE = ("candidate_answer", "candidate_justification")
_KNOWN = (
    "description", "category", "picarats", "image", "first_hint", "second_hint", "third_hint", "special_hint",
    "answer", "solution", "justification", *_CANDIDATE,
)  # fmt: skip
_NEEDED = ("description", "answer", "candidate_answer")


def template(split: str, path: Path | None) -> Template:
    """The built-in judge template of a split, or the user's own file, checked. Raises UsageError."""
    has_pictures = split == "vlm"
    builtin = _TEMPLATES / ("judge_vlm.txt" if has_pictures else "judge_llm.txt")
    chosen = templates.read(builtin, path)
    templates.refuse_unknown(chosen, _KNOWN, (*_NEEDED, "image") if has_pictures else _NEEDED)
    return chosen


def prompt(item: Item, answer: Json, template: Template) -> Prompt:
    """The question to a judge: the riddle with all its hints, the reference, and the candidate's text in a fence.

    answer: a parsed answer; what it lacks is shown to the judge as an empty text. Raises UsageError for no riddle.
    """
    if item.fields.get("description") is None or item.fields.get("answer") is None:
        raise UsageError(
            f"judge kind {NAME}: item {item.id} is no riddle", hint="--kind correctness judges plain answers"
        )
    candidate = (templates.shown(answer.get("answer")), templates.shown(answer.get("justification")))
    mark = templates.fence(*candidate)
    fenced = {name: templates.fenced(text, mark) for name, text in zip(_CANDIDATE, candidate, strict=True)}
    layout = templates.layout(template)
    pictures = {"image": () if item.image is None else (item.image,)}
    return Prompt(layout.system, tuple(templates.parts(layout.pieces, {**item.fields, **fenced}, pictures)))


def read(text: str, evidence: Evidence) -> Verdict:
    """The two booleans of a reply."""
    return read_object(text, evidence, SCHEMA, FIELDS)


def is_question(text: str) -> bool:
    """Tells whether a request that somebody brought is a question to such a judge."""
    return FIELDS[1].name in text
