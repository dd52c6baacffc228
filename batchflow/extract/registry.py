"""The extractors by name. mypy checks each module against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.extractors`.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points

from batchflow.errors import UsageError
from batchflow.extract import (
    base_model_cut,
    boxed,
    code_fence,
    json_field,
    last_number,
    option_letter,
    regex,
    strip_thoughts,
)
from batchflow.extract.base import Extractor

EXTRACTORS: dict[str, Extractor] = {
    "base_model_cut": base_model_cut,
    "boxed": boxed,
    "code_fence": code_fence,
    "json_field": json_field,
    "last_number": last_number,
    "option_letter": option_letter,
    "regex": regex,
    "strip_thoughts": strip_thoughts,
}
GROUP = "batchflow.extractors"


def names() -> tuple[str, ...]:
    """All names, built-in ones first."""
    return tuple(dict.fromkeys((*EXTRACTORS, *sorted(point.name for point in entry_points(group=GROUP)))))


def get(name: str) -> Extractor:
    """The extractor of that name. Raises UsageError that names the nearest one, or says why one cannot be loaded."""
    if name in EXTRACTORS:
        return EXTRACTORS[name]
    for point in entry_points(group=GROUP, name=name):
        try:
            extractor: Extractor = point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's module
            raise UsageError(f"extractor {name} ({point.value}) cannot be loaded: {error}") from None
        return extractor
    near = get_close_matches(name, names(), n=1)
    meant = f"{near[0]} is the nearest; " if near else ""
    raise UsageError(f"no extractor is called {name!r}", hint=f"{meant}extractors: {', '.join(names())}")
