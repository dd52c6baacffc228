"""The judge kinds by name. mypy checks each against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.judges` that names a module, or an
object, which satisfies `JudgeKind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.errors import UsageError
from batchflow.judges import correctness, riddle, rubric, scaled
from batchflow.judges.base import JudgeKind
from batchflow.judges.systems import compass_verifier, internbootcamp, mixeval
from batchflow.records import Json
from batchflow.registries import Registry

KINDS: dict[str, JudgeKind] = {
    "riddle": riddle,
    "correctness": correctness,
    "letters": scaled.LETTERS,
    "rating": scaled.RATING,
    "preference": scaled.PREFERRED,
    "compass-verifier": compass_verifier.PLAIN,
    "compass-verifier-cot": compass_verifier.REASONED,
    "mixeval": mixeval.BOTH,
    "mixeval-freeform": mixeval.FREEFORM,
    "mixeval-choice": mixeval.CHOICE,
    "internbootcamp": internbootcamp,
}
REGISTRY = Registry("batchflow.judges", "judge kind", KINDS, JudgeKind, "kinds", ", or a FILE.toml of your own")
_KEY = "judge_kind"

names = REGISTRY.names


def get(name: str) -> JudgeKind:
    """The kind of that name. Raises UsageError that names the nearest one, or says why one cannot be loaded."""
    if name == rubric.NAME:
        raise UsageError("judge kind rubric needs its criteria", hint="--kind FILE.toml names them (docs/jury.md)")
    return REGISTRY.get(name)


def named(text: str) -> JudgeKind:
    """The kind that `--kind` names: by its name, or by the file that declares it. Raises UsageError."""
    if not documents.is_document(text):
        return get(text)
    whole = documents.read(Path(text))
    kind: JudgeKind = scaled.of_table(whole) if "criteria" not in whole.values else rubric.of_table(whole)
    if kind.NAME in names():
        raise UsageError(f"{whole.where('name')}: {kind.NAME} is a judge kind already", hint="choose another name")
    return kind


def of_spec(spec: Mapping[str, Any]) -> JudgeKind:
    """The kind of a judge batch, as its spec records it. Raises UsageError for one that is not installed here.

    Batches without such a record are of the first kind there was, and new ones of that kind record nothing either: what
    is recorded is part of what a batch is.
    """
    name = str(spec.get(_KEY, riddle.NAME))
    facts = spec.get("judge_facts", {})
    if scaled.is_record(facts):
        return scaled.of_facts(facts)
    return rubric.of_facts(facts) if name == rubric.NAME else get(name)


def recorded(kind: JudgeKind) -> Json:
    """Facts about a judge kind that the spec of a judge batch records."""
    if kind.NAME == riddle.NAME:
        return {}
    return {_KEY: kind.NAME, **({"judge_facts": kind.FACTS} if kind.FACTS else {})}


def suiting(name: str, facts: Json) -> JudgeKind:
    """The kind that a task names as the one that suits it, with what it says about it. Raises UsageError."""
    return of_spec({_KEY: name, **({"judge_facts": facts} if facts else {})})
