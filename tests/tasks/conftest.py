from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest


def whole_png(size: int) -> str:
    """Base64 of bytes with a PNG's beginning, one chunk of so many bytes, and a PNG's end."""
    chunks = size.to_bytes(4) + b"IDAT" + bytes(size + 4) + bytes(4) + b"IEND" + b"\xae\x42\x60\x82"
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def row(number: int = 1, **changes: object) -> dict[str, object]:
    """One whole row of the schema; a change to `...` leaves the field out."""
    whole: dict[str, object] = {
        "id": f"{number:03d}-1",
        "category": "logic",
        "description": f"What is {number} plus {number}?",
        "url": None,
        "picarats": 30,
        "first_hint": "Count on your fingers.",
        "second_hint": "",
        "third_hint": None,
        "special_hint": "It is even.",
        "solution": None,
        "answer": str(2 * number),
        "justification": "Adding a number to itself doubles it.",
        "img": None,
        "split": "llm",
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def jsonl(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in rows), "utf-8")
    return path


@pytest.fixture
def make():
    return row


@pytest.fixture
def write():
    return jsonl


@pytest.fixture
def png() -> str:
    return whole_png(24)


@pytest.fixture
def large_png() -> str:
    return whole_png(600_000)
