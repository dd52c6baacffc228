"""Typed values as the plain ones of a JSON document: the one encoder of `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """A report, or a part of one, as JSON takes it.

    A dataclass with a form of its own (`to_json`) is written in that; any other one by its fields.
    """
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if (form := getattr(value, "to_json", None)) is not None:
        return plain(form())
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    return value
