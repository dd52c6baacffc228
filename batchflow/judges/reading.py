"""JSON verdicts: the object that a schema asks for, its values checked against their scales."""

from __future__ import annotations

from collections.abc import Sequence

from batchflow.judges.base import Evidence, Field, Verdict, unparsed
from batchflow.records import Schema, VoteStatus
from batchflow.texts import parsing


def read_object(text: str, evidence: Evidence, schema: Schema, fields: Sequence[Field]) -> Verdict:
    """The verdict that a reply holds. Nothing is rounded or cut to fit: a value off its scale is no verdict."""
    answer = parsing.parse_verdict(text, schema, evidence.finish)
    if answer.value is None:
        return unparsed(answer.why or "")
    values: dict[str, float | None] = {}
    labels: dict[str, str] = {}
    for field in fields:
        label = answer.value[field.name]
        value = field.scale.value(label)
        if value is None:
            return unparsed(f"{field.name} is not on its scale ({field.scale.name})")
        values[field.name] = value
        if field.scale.labels:
            labels[field.name] = str(label)
    return Verdict(VoteStatus.VALID, values, labels, answer.value, answer.parsed)
