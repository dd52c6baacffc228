"""Texts from outside, made safe for a terminal."""

from __future__ import annotations

import unicodedata
from typing import Any

_KEEP = frozenset("\n\t")


def clean(text: str) -> str:
    """Without control, bidirectional and other invisible characters: model and vendor texts are hostile input."""
    return "".join(c if c in _KEEP or unicodedata.category(c)[0] != "C" else "�" for c in text)


def line(text: str, width: int = 200) -> str:
    """One clean line, cut to a width."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def shortened(text: str, width: int) -> str:
    """A line that is cut in its middle: names often differ at their ends.

    >>> shortened("openai_gpt-6-luna_llm_hints_2", 16)
    'openai_g…hints_2'
    """
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def counted(counts: dict[str, int]) -> str:
    """`3 ok, 1 error`; `none` where there is nothing."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "none"


def label(key: str) -> str:
    """A key of a report as a card's rows are named: `dataset_sha256` is `Data set sha256`."""
    return (key[:1].upper() + key[1:]).replace("_", " ").replace("Dataset", "Data set")


def written(value: Any) -> str:
    """A value of a report as a person would write it: no braces, brackets or quotes; empty where there is nothing."""
    if isinstance(value, dict):
        parts = [f"{key} {text}" for key, one in value.items() if (text := written(one))]
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(text for one in value if (text := written(one)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
