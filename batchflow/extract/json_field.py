"""Extractor `json_field:NAME`: one field of the JSON object that a text is, or holds in its only fenced block."""

from __future__ import annotations

import json
from typing import Any

from batchflow.errors import UsageError
from batchflow.extract.base import Extract
from batchflow.extract.code_fence import blocks
from batchflow.records import Item

NAME = "json_field"
ARGUMENT = "FIELD"


def bind(argument: str) -> Extract:
    """The step for this field. Raises UsageError without one."""
    if not argument:
        raise UsageError("extractor json_field needs the field's name", hint="write json_field:answer")

    def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
        return _shown(_object(text).get(argument))

    return extract


def _object(text: str) -> dict[str, Any]:
    """The object; empty where there is none, and where it names one field twice with two values."""
    fenced = [text] if text.lstrip().startswith("{") else blocks(text)
    if len(set(fenced)) != 1:
        return {}
    try:
        value = json.loads(fenced[0], object_pairs_hook=_single, parse_constant=_refused)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if any(value[name] != member for name, member in pairs):
        raise ValueError("one name with two values")
    return value


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _shown(value: Any) -> str | None:
    """The value as text: texts as they are, true, numbers, lists and objects as JSON; None for null."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
