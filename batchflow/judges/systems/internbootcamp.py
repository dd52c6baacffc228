"""Judge kind `internbootcamp`: a score 0 to 1 that a verifier gives; no model judges here."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import UsageError
from batchflow.judges.base import UNIT, Derived, Evidence, Field, Verdict, unparsed
from batchflow.records import Item, Json, Schema
from batchflow.texts.templates import Prompt, Template

NAME = "internbootcamp"
FIELD = "score"
FIELDS = (Field(FIELD, UNIT),)
DERIVED: tuple[Derived, ...] = ()
OVERALL = FIELD
RULED: str | None = FIELD
SCHEMA: Schema | None = None
READS_ITEM = False
FACTS: Json = {}
SOURCE, GROUND_TRUTH = "data_source", "ground_truth"
"""Columns of an item that its verifier reads."""

_HINT = "batchflow jury NAME --verifier FILE.py names the classes that verify"


def template(split: str, path: Path | None) -> Template:  # noqa: ARG001 - the protocol's signature
    """Empty: a verifier is asked no question. Raises UsageError for one of the user's."""
    if path is not None:
        raise UsageError(f"judge kind {NAME} asks no question, so it takes no template", hint=_HINT)
    return Template(f"builtin:{NAME}", "", "")


def prompt(item: Item, answer: Json, template: Template) -> Prompt:  # noqa: ARG001 - the protocol's signature
    """Raises UsageError: a verifier reads the answer itself."""
    raise UsageError(f"judge kind {NAME} is for verifiers; a model cannot judge by it", hint=_HINT)


def read(text: str, evidence: Evidence) -> Verdict:  # noqa: ARG001 - the protocol's signature
    """No reply of a model is a verdict."""
    return unparsed("a verifier's kind: no model judges by it")
