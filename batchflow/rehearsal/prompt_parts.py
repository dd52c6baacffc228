"""Parts of a prompt, by the labels in front of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LABEL = re.compile(r"^([A-Z][^:\n]{2,80}):[ \t]*(.*)$")


def sections(texts: Iterable[str]) -> dict[str, str]:
    """The labelled parts of a prompt: label → text. A text between two equal fence lines is taken as it stands."""
    by_label: dict[str, str] = {}
    lines = iter("\n".join(texts).split("\n"))
    label = ""
    for line in lines:
        match = _LABEL.match(line)
        if match is None:
            by_label[label] = f"{by_label[label]}\n{line}" if label else ""
            continue
        label, text = match[1], match[2]
        by_label[label] = _fenced(lines) if "fence" in label.lower() else text
    by_label.pop("", None)
    return by_label


def _fenced(lines: Iterable[str]) -> str:
    rest = iter(lines)
    fence = next(rest, "")
    inside: list[str] = []
    for line in rest:
        if line == fence:
            break
        inside.append(line)
    return "\n".join(inside)
