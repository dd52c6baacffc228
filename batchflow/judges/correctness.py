"""Judge kind `correctness`: whether a plain answer is right, with reasons."""

from __future__ import annotations

from pathlib import Path

from batchflow.judges import questions
from batchflow.judges.base import BOOLEAN, Derived, Evidence, Field, Verdict
from batchflow.judges.reading import read_object
from batchflow.records import Json, strict
from batchflow.texts.templates import Template

NAME = "correctness"
RULED = "is_correct"
FIELDS = (Field(RULED, BOOLEAN),)
DERIVED: tuple[Derived, ...] = ()
OVERALL = RULED
SCHEMA = strict("correctness_verdict", {"reasons": "string", RULED: "boolean"})
FACTS: Json = {}
READS_ITEM = False

prompt = questions.prompt


def template(split: str, path: Path | None) -> Template:  # noqa: ARG001 - the protocol's signature
    """The built-in judge template, or the user's own file, checked. Raises UsageError."""
    return questions.template(Path(__file__).with_name("templates") / "judge_correctness.txt", path)


def read(text: str, evidence: Evidence) -> Verdict:
    """Right or wrong."""
    return read_object(text, evidence, SCHEMA, FIELDS)
