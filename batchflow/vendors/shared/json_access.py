"""Reading wire JSON without trusting it: every helper takes any value and never raises.

Result files come from outside and may hold anything, so no decoder indexes, casts or compares a raw value itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow import files
from batchflow.records import Json, Request

EXACT = 2**53
"""The first whole number that a float may hold wrongly; what is larger was never counted."""

LONGEST_ID = 256  # characters, as the ledger keeps it
TEXT_CAP = 2000  # characters of a vendor's own error text that are kept

_WORDS = ("message", "detail", "error", "msg", "text", "description", "reason")
_CODES = ("code", "type", "status")


def dig(value: Any, *path: str | int) -> Any:
    """The value under a path of keys and indexes, or None where the path ends early."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def text(value: Any) -> str | None:
    """A string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def identity(value: Any) -> str | None:
    """An id that can be stored and asked for as it is: printable, and not too long; else None."""
    name = text(value)
    return name if name and name.isprintable() and len(name) <= LONGEST_ID else None


def table(value: Any) -> Json:
    """A JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def whole(value: Any) -> int | None:
    """A count: a number, or digits in a string (Google writes int64 so); None for anything else or below zero."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else None
    if isinstance(value, float):
        value = int(value) if 0 <= value < EXACT else None
    return value if isinstance(value, int) and value >= 0 else None


def count(value: Any) -> int:
    """`whole`, with 0 for what is absent or is no count."""
    if type(value) is int and value >= 0:  # no bool; nearly always so
        return value
    return whole(value) or 0


def error_text(value: Any, depth: int = 0) -> str | None:
    """A vendor's own words from whatever shape its error has: text, object, list, nested; None when it says nothing.

    A code that the message does not repeat is put in front.
    """
    if depth > 4:  # hostile nesting says nothing that a person would read
        return None
    if isinstance(value, list):
        parts = [part for item in value[:3] if (part := error_text(item, depth + 1))]
        return "; ".join(parts)[:TEXT_CAP] or None
    if not isinstance(value, Mapping):
        return str(value).strip()[:TEXT_CAP] or None if isinstance(value, (str, int, float)) else None
    text = next((words for key in _WORDS if (words := error_text(value.get(key), depth + 1))), None)
    code = next((str(value[key]) for key in _CODES if isinstance(value.get(key), (str, int)) and value[key]), None)
    if text and code and code.lower() not in text.lower() and code != "error":
        return f"{code}: {text}"[:TEXT_CAP]
    return text or code


def told(request: Request) -> str:
    """The system text with the answer's schema told in words as well.

    Vendors are known to ignore a schema field in batch mode and to bill for it (Gemini: forum thread 201536,
    ruby_llm#894), so the prompt always says it too.
    """
    if request.schema is None:
        return request.system
    schema = files.dumps(request.schema.schema).decode()
    ask = f"Answer with one JSON object that matches this JSON schema, and with nothing else:\n{schema}"
    return f"{request.system}\n\n{ask}" if request.system else ask
