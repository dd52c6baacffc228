"""Texts from outside, made safe for a terminal."""

from __future__ import annotations

import unicodedata

CLEAR = "\x1b[K"
"""Clears a terminal's line from the cursor on."""

_KEEP = frozenset("\n\t")


def clean(text: str) -> str:
    """Without control, bidirectional and other invisible characters: model and vendor texts are hostile input."""
    return "".join(c if c in _KEEP or unicodedata.category(c)[0] != "C" else "�" for c in text)


def line(text: str, width: int = 200) -> str:
    """One clean line, cut to a width."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def counted(counts: dict[str, int]) -> str:
    """`3 ok, 1 error`; `none` where there is nothing."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "none"


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
