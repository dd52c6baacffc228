"""Extractor `regex:PATTERN`: what a regular expression finds first."""

from __future__ import annotations

from batchflow.errors import UsageError
from batchflow.extract import linear
from batchflow.extract.base import Extract
from batchflow.records import Item

NAME = "regex"
ARGUMENT = "PATTERN"


def bind(argument: str) -> Extract:
    """The step for this pattern: its group `answer`, else its first group, else all that it matches.

    Raises UsageError for a pattern that cannot be read, or not be searched for in time linear in the text.
    """
    if not argument:
        raise UsageError("extractor regex needs a pattern", hint=r"write 'regex:Answer:\s*(\w+)'")
    try:
        pattern = linear.compiled(argument)
    except ValueError as error:
        raise UsageError(
            f"extractor regex: the pattern {argument[:60]!r} cannot be used: {error}",
            hint="look-around, back-references, atomic groups and possessive repeats are not allowed",
        ) from None

    def extract(text: str, item: Item) -> str | None:  # noqa: ARG001 - an extractor's signature
        return pattern.search(text)

    return extract
