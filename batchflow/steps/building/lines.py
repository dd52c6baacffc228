"""Lines of a batch: what the vendor's `encode` writes, pasted together from pieces of a line that it wrote.

Most requests of a batch differ in their id and their texts alone. So the pieces between these are taken from two
requests that the vendor encoded with stand-ins, and the texts of all others are put in between, a block of lines at a
time. The first lines of each shape and the last one of each block are compared with what `encode` writes; where one
differs, no further line is pasted, and those of its block are encoded instead. Lines that no shape fits are encoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

from orjson import dumps

from batchflow import batch_file, files
from batchflow.batch_file import CONTENT_LENGTH, Line
from batchflow.prices import sizes
from batchflow.prices.sizes import LEAST_PICTURE
from batchflow.records import Image, Json, Part, Request, Schema
from batchflow.steps.building.asks import Ask

_FIRST = 3  # lines of a shape that are compared at once
_MOST = 200  # shapes of a batch; beyond them, lines are encoded
_STAND_INS = ("3Za9Qk{}x", "m0Vy5RrT{}dEwH7")  # of two lengths, and without anything that JSON escapes
_BETWEEN, _BETWEEN_IN_JSON = "\x1f", b"\\u001f"  # stands between texts that are escaped together

Key = tuple[str, int, int, tuple[str | None, ...], tuple[str, ...] | None]
"""System text, identity of the schema, sample where it has a seed of its own, picture types by part, keys of data."""


class Block(NamedTuple):
    """Lines that were made together, by column as in `Line`."""

    custom_ids: Sequence[str]
    lines: Sequence[bytes]
    contents: Sequence[str]


@dataclass(slots=True)
class _Shape:
    """A line taken apart: what stands around the id, and the pieces behind it, with empty places for parts and data.

    begun: a hash that has read what stands around the id. schema: held, so that nothing else gets its identity.
    """

    key: Key
    before_id: bytes
    after_id: bytes
    pieces: list[bytes]
    parts_at: tuple[int, ...]
    data_at: tuple[tuple[int, str], ...]
    schema: Schema | None
    limit: int | None
    begun: Any = field(compare=False)
    compared: int = 0

    def paste(self, custom_ids: Sequence[str], asks: Sequence[Ask]) -> tuple[Block, list[list[bytes]]] | None:
        """Lines of requests of this shape, and their texts by place.

        None where a text is none that JSON can say, or that a vendor may leave out.
        """
        columns: list[Iterable[bytes]] = [repeat(piece) for piece in self.pieces]
        filled = list[list[bytes]]()
        for at, texts in [*self._parts(asks), *self._values(asks)]:
            if texts is None:
                return None
            columns[at] = texts
            filled.append(texts)
        rests = list(map(b"".join, zip(*columns))) if filled else [b"".join(self.pieces)] * len(asks)  # noqa: B905 - endless ones
        around = (
            repeat(self.before_id), "\n".join(custom_ids).encode().split(b"\n"), repeat(self.after_id), rests,
            repeat(b"\n"),
        )  # fmt: skip
        lines = list(map(b"".join, zip(*around)))  # noqa: B905 - as above
        return Block(custom_ids, lines, list(map(self._content, rests))), filled

    def _parts(self, asks: Sequence[Ask]) -> Iterator[tuple[int, list[bytes] | None]]:
        """Escaped parts by their place; None where one is empty or none that JSON can say."""
        for place, at in enumerate(self.parts_at):
            parts: list[Any] = [ask.parts[place] for ask in asks]
            texts = _escaped([part.data for part in parts] if self.key[3][place] else parts)
            yield at, None if texts is None or b"" in texts else texts

    def _values(self, asks: Sequence[Ask]) -> Iterator[tuple[int, list[bytes] | None]]:
        """Escaped values of data by their place; None where one is no text, or none that JSON can say."""
        for at, name in self.data_at:
            values = [(ask.data or {})[name] for ask in asks]
            yield at, _escaped(values) if set(map(type, values)) == {str} else None

    def _content(self, rest: bytes) -> str:
        """Hash of what is asked, from the part of its line behind the id."""
        digest = self.begun.copy()
        digest.update(rest)
        return digest.hexdigest()[:CONTENT_LENGTH]  # type: ignore[no-any-return]

    def takes(self, ask: Ask) -> bool:
        """Tells whether a request's line can be pasted."""
        return self.paste(("id",), (ask,)) is not None


def _escaped(texts: list[str]) -> list[bytes] | None:
    """Texts as JSON writes them, quotes left out; None for half a surrogate pair, which it cannot write."""
    try:
        together = dumps(_BETWEEN.join(texts))[1:-1].split(_BETWEEN_IN_JSON)
        return together if len(together) == len(texts) else [dumps(text)[1:-1] for text in texts]
    except TypeError:
        return None


def _may_be_pictures(columns: list[list[bytes]]) -> set[int]:
    """Places of the lines with a text that may be a picture."""
    return {
        place
        for texts in columns
        if max(map(len, texts)) >= LEAST_PICTURE
        for place, text in enumerate(texts)
        if len(text) >= LEAST_PICTURE and text.find(b" ", -LEAST_PICTURE) < 0
    }


def _are_alike(asks: Sequence[Ask], *, by_sample: bool) -> bool:
    """Tells whether requests have one shape, as far as that is told from their columns; without pictures."""
    first, count = asks[0], len(asks)
    _, systems, parts, schemas, samples, _, _, data, brought, _ = zip(*asks, strict=True)
    names = None if first.data is None else [*first.data]
    return (
        systems.count(first.system) == brought.count(None) == count
        and len(set(map(id, schemas))) == 1
        and (not by_sample or samples.count(first.sample) == count)
        and set(map(len, parts)) == {len(first.parts)}
        and all(set(map(type, column)) == {str} for column in zip(*parts, strict=True))
        and (data.count(None) == count if names is None else all(each and [*each] == names for each in data))
    )


class Lines:
    """Makes the lines of one batch. sizes: of all that were made.

    request_of: a request under an id. check: the vendor's, of each new kind of request. encode: the vendor's own.
    brought: the line of a request that was brought with it.
    """

    def __init__(
        self,
        request_of: Callable[[str, Ask], Request],
        check: Callable[[Request], None],
        encode: Callable[[Request], Json],
        brought: Callable[[str, Ask], Line],
        *,
        by_sample: bool,
    ) -> None:
        self.sizes = sizes.Sizes()
        self._request_of, self._check, self._encode, self._brought = request_of, check, encode, brought
        self._by_sample = by_sample
        self._shapes: dict[Key, _Shape | None] = {}
        self._gives_up = False

    def made(self, custom_ids: Sequence[str], asks: Sequence[Ask]) -> Block:
        """The lines of requests, a block of them."""
        shape = self._shape(custom_ids[0], asks[0]) if _are_alike(asks, by_sample=self._by_sample) else None
        if shape is not None and (block := self._pasted(shape, custom_ids, asks)) is not None:
            return block
        groups: dict[int, tuple[_Shape | None, list[int]]] = {}
        for place, ask in enumerate(asks):
            shape = None if ask.line is not None else self._shape(custom_ids[place], ask)
            if shape is not None and not shape.takes(ask):
                shape = None
            groups.setdefault(id(shape), (shape, []))[1].append(place)
        rows = dict[int, tuple[str, bytes, str]]()
        for shape, places in groups.values():
            ids, alike = [custom_ids[place] for place in places], [asks[place] for place in places]
            block = None if shape is None else self._pasted(shape, ids, alike)
            rows.update(zip(places, zip(*(block or self._all_encoded(ids, alike)), strict=True), strict=True))
        return Block(*zip(*(rows[place] for place in range(len(asks))), strict=True))

    def _pasted(self, shape: _Shape, custom_ids: Sequence[str], asks: Sequence[Ask]) -> Block | None:
        """Lines of one shape, once the first ones and the last one are compared; None where one differs."""
        pasted = None if self._gives_up else shape.paste(custom_ids, asks)
        if pasted is None:
            return None
        block, texts = pasted
        places = {*range(min(max(_FIRST - shape.compared, 0), len(asks))), len(asks) - 1}
        for place in places:
            if tuple(column[place] for column in block) != self._encoded(custom_ids[place], asks[place]):
                self._gives_up, self._shapes = True, dict.fromkeys(self._shapes)
                return None
        shape.compared += len(places)
        pictures = _may_be_pictures(texts) if shape.limit is not None else range(len(asks))
        for place in pictures:
            self.sizes.count(block.lines[place][:-1])
        if len(pictures) < len(asks):
            texts_only = [line for place, line in enumerate(block.lines) if place not in pictures]
            sizes_of = [len(line) - 1 for line in (texts_only if pictures else block.lines)]
            self.sizes.add_all(sizes_of, shape.limit or 0)
        return block

    def _all_encoded(self, custom_ids: Sequence[str], asks: Sequence[Ask]) -> Block:
        rows = list(map(self._encoded, custom_ids, asks))
        for row in rows:
            self.sizes.count(row.data[:-1])
        return Block(*zip(*rows, strict=True))

    def _encoded(self, custom_id: str, ask: Ask) -> Line:
        if ask.line is not None:
            return self._brought(custom_id, ask)
        request = self._request_of(custom_id, ask)
        return batch_file.line(request, self._encode(request))

    def _shape(self, custom_id: str, ask: Ask) -> _Shape | None:
        """The shape of a request's line; None where it has none."""
        kinds = tuple([part.mime if part.__class__ is Image else None for part in ask.parts])
        sample = ask.sample if self._by_sample else 0
        key = (ask.system, id(ask.schema), sample, kinds, None if ask.data is None else tuple(ask.data))
        try:
            return self._shapes[key]
        except KeyError:
            return self._new_shape(key, custom_id, ask)

    def _new_shape(self, key: Key, custom_id: str, ask: Ask) -> _Shape | None:
        self._check(self._request_of(custom_id, ask))
        if len(self._shapes) >= _MOST:
            return None
        shape = self._shapes[key] = None if self._gives_up else self._derived(key, ask)
        return shape

    def _derived(self, key: Key, ask: Ask) -> _Shape | None:
        """The shape of a request's line; None where `encode` does more with texts than to write them as they are."""
        one, two = (self._taken_apart(key, ask, word) for word in _STAND_INS)
        return one if one == two else None

    def _taken_apart(self, key: Key, ask: Ask, word: str) -> _Shape | None:
        parts = tuple(_part(part, word.format(place)) for place, part in enumerate(ask.parts))
        data = (
            None
            if ask.data is None
            else {name: _stand_in(value, word.format(name)) for name, value in ask.data.items()}
        )
        own = f"7-0badcafe-{word.format('id')}"
        request = self._request_of(own, ask._replace(parts=parts, data=data))
        text = files.dumps(self._encode(request))
        named: dict[str, bytes] = {"id": own.encode()}
        named |= {f"part {place}": word.format(place).encode() for place in range(len(parts))}
        for name, value in (data or {}).items():  # which vendors with a model behind them leave out
            text_of = word.format(name).encode()
            if text_of in text:
                named[f"data {name}"] = text_of if isinstance(value, str) else b""
        if any(text.count(value) != 1 for value in named.values()):
            return None
        start, *ends = sorted((text.index(value), len(value), name) for name, value in named.items())
        if start[2] != "id":
            return None
        at, pieces, where, is_whole = start[0] + start[1], list[bytes](), dict[str, int](), True
        for begin, length, name in ends:
            pieces += [text[at:begin], b""]
            where[name], at = len(pieces) - 1, begin + length
            is_whole = is_whole and text[begin - 1 : begin] == text[at : at + 1] == b'"'
        pieces.append(text[at:])
        before, after = text[: start[0]], pieces.pop(0)
        is_whole = is_whole and not sizes.has_picture(text)
        return _Shape(
            key,
            before,
            after,
            pieces,
            tuple(where[f"part {place}"] - 1 for place in range(len(parts))),
            tuple((where[f"data {name}"] - 1, name) for name in data or {} if f"data {name}" in where),
            ask.schema,
            sizes.limit_of(text) if is_whole else None,
            hashlib.sha256(before + after),
        )


def _part(part: Part, word: str) -> Part:
    return word if isinstance(part, str) else Image(part.mime, word)


def _stand_in(value: Any, word: str) -> Any:
    """A stand-in for a value of a request's data: of a text, a text; of anything else, something that shows it."""
    return word if isinstance(value, str) else [word]
