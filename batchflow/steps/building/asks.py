"""Requests of a batch before they have ids, and the blocks in which they get them together with their lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from batchflow.records import Json, Part, Schema

CHUNK = 250  # requests whose lines are made together, few enough for a processor's cache
CHUNK_BYTES = 4 << 20

Places = tuple[int, ...]
"""Places of the batches that ask the same."""


class Ask(NamedTuple):
    """One request before it has an id. line: a whole line in the vendor's form that was brought; else it is encoded.

    columns: as JSON text, where that is known. shared: leading parts that are the same in all requests of the batch, as
    far as the prompt's maker knows.
    """

    item_id: str
    system: str
    parts: tuple[Part, ...]
    schema: Schema | None
    sample: int = 0
    columns: Mapping[str, Any] | str = MappingProxyType({})
    subject_id: int | None = None
    data: Json | None = None
    line: Json | None = None
    shared: int = 0


def blocks(asks: Iterable[Ask]) -> Iterator[list[Ask]]:
    """Requests a block at a time, in their order."""
    block, size = list[Ask](), 0
    for ask in asks:
        block.append(ask)
        for part in ask.parts:
            size += len(part) if part.__class__ is str else len(part.data)  # type: ignore[union-attr]
        if ask.data is not None or ask.line is not None:
            size += _size(ask)
        if len(block) >= CHUNK or size >= CHUNK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def blocks_together(asks: Iterable[tuple[Places, Ask]]) -> Iterator[tuple[Places, list[Ask]]]:
    """`blocks` of requests for several batches: those of the same places stand in one."""
    waiting, sizes = dict[Places, list[Ask]](), dict[Places, int]()
    for places, ask in asks:
        block = waiting.setdefault(places, [])
        block.append(ask)
        size = sizes[places] = sizes.get(places, 0) + _size(ask)
        if len(block) >= CHUNK or size >= CHUNK_BYTES:
            del waiting[places], sizes[places]
            yield places, block
    yield from waiting.items()


def _size(ask: Ask) -> int:
    """The length of a request's texts, about."""
    size = sum(len(part) if isinstance(part, str) else len(part.data) for part in ask.parts)
    for values in (ask.data, ask.line):
        for value in () if values is None else values.values():
            size += len(value) if value.__class__ is str else len(str(value))
    return size
