"""Texts and ids in the cells of a row; whatever is wrong with one is refused with its place and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.errors import DataError
from batchflow.tasks.datasets.place import Place


def identity(row: Mapping[str, Any], place: Place) -> str:
    """The id as text. Whole numbers become text; other numbers are not kept as they are written, so refused."""
    value = row.get("id")
    if isinstance(value, DataError):
        raise value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    item_id = needed(row, "id", place).strip()
    if not item_id.isprintable():
        raise place.error("id", f"{item_id!r} holds characters that cannot be printed")
    return item_id


def needed(row: Mapping[str, Any], field: str, place: Place) -> str:
    """The text of a field that every row has."""
    value = row.get(field)
    if value.__class__ is str and value and not value.isspace():  # nearly always so
        return str(value)
    value = text(row, field, place)
    if value is None:
        raise place.error(field, "missing or empty")
    return value


def text(row: Mapping[str, Any], field: str, place: Place) -> str | None:
    """The text of a field; absent, null and blank are all None."""
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise place.error(field, f"text is expected, not {kind(value)}")
    return None if not value or value.isspace() else value


def kind(value: Any) -> str:
    """A value as error texts show it: what it is, and its first characters where that helps."""
    if isinstance(value, str):
        return f"{value[:40]!r}"
    names = {bool: "true or false", dict: "an object", list: "a list", bytes: "bytes"}
    kinds = {int: "a number", float: "a number"}
    return names.get(type(value)) or f"{str(value)[:40]} ({kinds.get(type(value), type(value).__name__)})"
