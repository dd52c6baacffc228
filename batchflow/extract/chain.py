"""Chains of extractors: what `--extract` says, read once, and applied to one answer after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from batchflow.errors import UsageError
from batchflow.extract import registry
from batchflow.extract.base import Extract
from batchflow.records import Item

_MOST = 8


class Extracted(NamedTuple):
    """Result of a chain. value None: no certain value; `reason` names the step that found nothing."""

    value: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Extractors one behind the other. names: each as `--extract` takes it, which is what a batch's spec records."""

    names: tuple[str, ...]
    steps: tuple[Extract, ...]

    def read(self, text: str, item: Item) -> Extracted:
        """Applies each step to a text and strips white space around the result. Never raises."""
        value: str | None = text.strip()
        for name, step in zip(self.names, self.steps, strict=True):
            try:
                value = step(value or "", item)
            except Exception as error:  # noqa: BLE001 - somebody else's extractor; one answer must not stop the others
                return Extracted(None, f"{name} failed: {type(error).__name__}")
            value = value.strip() if isinstance(value, str) else None
            if not value or not _is_text(value):
                return Extracted(None, f"{name} found nothing")
        return Extracted(value) if value else Extracted(None, "the answer is empty")


def _is_text(value: str) -> bool:
    """Tells whether a value can be written to a file: a lone surrogate cannot."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def chain(specs: Iterable[str]) -> Chain:
    """The chain of some specifications, in order: `boxed,last_number`, `json_field:answer`, `regex:PATTERN`.

    A pattern goes on to the end of its specification, commas and all. Raises UsageError.
    """
    words = tuple(word for spec in specs for word in _words(spec))
    if len(words) > _MOST:
        raise UsageError(f"--extract names {len(words)} extractors", hint=f"at most {_MOST} stand in a chain")
    return Chain(words, tuple(_step(word) for word in words))


def _words(spec: str) -> list[str]:
    words: list[str] = []
    rest = spec
    while rest:
        rest = rest.lstrip()
        word, comma, rest = (rest, "", "") if rest.startswith("regex:") else rest.partition(",")
        if not word.strip() or (comma and not rest.strip()):
            raise UsageError(f"--extract {spec!r}: a name is missing", hint="write names with a comma between them")
        words.append(word if word.startswith("regex:") else word.strip())
    return words


def _step(word: str) -> Extract:
    name, _, argument = word.partition(":")
    return registry.get(name).bind(argument)
