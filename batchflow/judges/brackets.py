"""Verdicts in double brackets, for kinds without JSON: `[[A]]`, `[[7]]`, or `[[clarity: 0.8]]` of several fields."""

from __future__ import annotations

import re
from collections.abc import Sequence

from batchflow.judges.base import Evidence, Field, Scale, Verdict, unparsed
from batchflow.records import CUT_SHORT, VoteStatus

_BRACKETS = re.compile(r"\[\[([^\[\]\n]{0,120})\]\]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")


def read_brackets(text: str, evidence: Evidence, fields: Sequence[Field]) -> Verdict:
    """The one verdict on each field; none where brackets conflict, or are no verdict: they may be quoted."""
    if (evidence.finish or "").lower() in CUT_SHORT:
        return unparsed("cut off")
    by_name = {field.name: field for field in fields}
    values: dict[str, float | None] = {}
    labels: dict[str, str] = {}
    for inner in _BRACKETS.findall(text):
        name, colon, word = (part.strip() for part in inner.partition(":"))
        if not colon and len(fields) == 1:
            name, word = fields[0].name, inner.strip()
        if name not in by_name:
            return unparsed("brackets that are no verdict")
        label, value = _said(by_name[name].scale, word)
        if value is None:
            return unparsed(f"{name} is not on its scale ({by_name[name].scale.name})")
        if values.setdefault(name, value) != value:
            return unparsed("contradicts itself")
        labels[name] = label
    if lacking := [name for name in by_name if name not in values]:
        return unparsed("no verdict" if len(lacking) == len(by_name) else f"no verdict on {lacking[0]}")
    verdicts = {name: labels[name] if by_name[name].scale.labels else values[name] for name in by_name}
    return Verdict(VoteStatus.VALID, values, {n: labels[n] for n in by_name if by_name[n].scale.labels}, verdicts)


def _said(scale: Scale, word: str) -> tuple[str, float | None]:
    """(the label, its number) of a word; None where it is not on the scale. Its case may differ from the label's."""
    if scale.labels:
        alike = [label for label in scale.labels if label.casefold() == word.casefold()]
        label = word if word in scale.labels else alike[0] if len(alike) == 1 else word
        return label, scale.value(label)
    if scale.binary:
        return word, scale.value({"true": True, "false": False}.get(word.lower()))
    return word, scale.value(float(word)) if _NUMBER.fullmatch(word) else None
