"""The protocol of an extractor: a named, pure step from a model's text to the part that is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from batchflow.errors import UsageError
from batchflow.records import Item

Extract = Callable[[str, Item], str | None]
"""Maps (text, item) to the part of the text that is meant, None where there is none or it is not certain.

It never raises, changes nothing, and gives the same result for the same text and item.
"""


class Extractor(Protocol):
    """One extractor. A module satisfies it."""

    @property
    def NAME(self) -> str:
        """The word that `--extract` takes."""

    @property
    def ARGUMENT(self) -> str:
        """Kind of the argument behind `NAME:`, in one word for error texts; empty where none is allowed."""

    def bind(self, argument: str) -> Extract:
        """The step for this argument (empty where none was given). Raises UsageError."""


def plain(name: str, extract: Extract) -> Callable[[str], Extract]:
    """`bind` of an extractor that takes no argument."""

    def bind(argument: str) -> Extract:
        if argument:
            raise UsageError(f"extractor {name} takes no argument", hint=f"write {name} alone, without {argument!r}")
        return extract

    return bind
