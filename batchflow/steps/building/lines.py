"""Lines of a batch: what the vendor's `encode` writes, pasted together from pieces of a line that it wrote.

Most requests of a batch differ in their id and their texts alone. So the pieces between these are taken from two
requests that the vendor encoded with stand-ins, and the texts of all others are put in between. The first lines of each
shape and one of every thousand are compared with what `encode` writes; where one differs, no further line is pasted,
and those since the last comparison are encoded instead. Lines that no shape fits are encoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orjson import dumps

from batchflow import batch_file, files
from batchflow.batch_file import CONTENT_LENGTH, Line
from batchflow.prices import sizes
from batchflow.prices.sizes import LEAST_PICTURE
from batchflow.records import Image, Json, Part, Request, Schema

if TYPE_CHECKING:
    from batchflow.steps.building.batch_builder import Ask

CHUNK = 1_000  # lines that wait together for their comparison
CHUNK_BYTES = 4 << 20
_FIRST = 3  # lines of a shape that are compared as soon as they are pasted
_MOST = 200  # shapes of a batch; beyond them, lines are encoded
_STAND_INS = ("3Za9Qk{}x", "m0Vy5RrT{}dEwH7")  # of two lengths, and without anything that JSON escapes

Key = tuple[str, int, int, tuple[str | None, ...], tuple[str, ...] | None]
"""System text, identity of the schema, sample where it has a seed of its own, picture types by part, keys of data."""


NewLine = tuple[str, bytes, str, "Ask", int | None]
"""The three of `Line`, what is asked, and the token limit of a line without a picture; None where it is not known."""


@dataclass(slots=True)
class _Shape:
    """A line taken apart: what stands around the id, and the pieces behind it, with empty places for parts and data.

    texts: classes of its parts; None where one is a picture. begun: a hash that has read what stands around the
    id. schema: held, so that nothing else gets its identity.
    """

    key: Key
    texts: list[type] | None
    before_id: bytes
    after_id: bytes
    pieces: list[bytes]
    parts_at: tuple[int, ...]
    data_at: tuple[tuple[int, str], ...]
    schema: Schema | None
    limit: int | None
    begun: Any = field(compare=False)
    pasted: int = 0

    def fits(self, ask: Ask) -> bool:
        """Tells, of a request without pictures and without a seed of its own, whether this is its shape."""
        return (
            ask.system is self.key[0]
            and ask.schema is self.schema
            and [part.__class__ for part in ask.parts] == self.texts
            and (None if ask.data is None else tuple(ask.data)) == self.key[4]
        )

    def paste(self, custom_id: str, ask: Ask) -> NewLine | None:
        """The line of a request; None where a text is none that JSON can say, or that a vendor may leave out."""
        pieces, limit = self.pieces.copy(), self.limit
        try:
            for at, part in zip(self.parts_at, ask.parts, strict=True):
                pieces[at] = text = dumps(part.data if part.__class__ is Image else part)[1:-1]
                if len(text) < LEAST_PICTURE:
                    if not text:
                        return None
                elif text.find(b" ", -LEAST_PICTURE) < 0:  # it may be a picture
                    limit = None
            for at, name in self.data_at:
                value = (ask.data or {})[name]
                if value.__class__ is not str:
                    return None
                pieces[at] = text = dumps(value)[1:-1]
                if len(text) >= LEAST_PICTURE and text.find(b" ", -LEAST_PICTURE) < 0:
                    limit = None
        except TypeError:  # half a surrogate pair
            return None
        rest, digest = b"".join(pieces), self.begun.copy()
        digest.update(rest)
        data = b"".join((self.before_id, custom_id.encode(), self.after_id, rest, b"\n"))
        return custom_id, data, digest.hexdigest()[:CONTENT_LENGTH], ask, limit


class Lines:
    """Makes the lines of one batch. sizes: of all that were taken.

    request_of: a request under an id. check: the vendor's, of each new kind of request. encode: the vendor's own.
    """

    def __init__(
        self,
        request_of: Callable[[str, Ask], Request],
        check: Callable[[Request], None],
        encode: Callable[[Request], Json],
        *,
        by_sample: bool,
    ) -> None:
        self.sizes = sizes.Sizes()
        self._request_of, self._check, self._encode, self._by_sample = request_of, check, encode, by_sample
        self._shapes: dict[Key, _Shape | None] = {}
        self._last: dict[Key, NewLine] = {}  # by shape: the last line that was pasted
        self._latest: _Shape | None = None
        self._gives_up = False
        self._chunk: list[NewLine] = []
        self._waiting = 0  # bytes

    def add(self, custom_id: str, ask: Ask) -> bool:
        """Makes the line of a request; tells whether so many wait that they should be taken."""
        shape = self._latest
        if shape is None or not shape.fits(ask):
            shape = self._shape(custom_id, ask)
        one = None if shape is None else shape.paste(custom_id, ask)
        if shape is None or one is None:
            return self.put((*self._encoded(custom_id, ask), ask, None))
        if shape.pasted < _FIRST:
            shape.pasted += 1
            if one[:3] != (right := self._encoded(custom_id, ask)):
                self._give_up()
                return self.put((*right, ask, None))
        self._last[shape.key] = one
        return self.put(one)

    def put(self, one: NewLine) -> bool:
        """`add` for a line that was brought."""
        self._chunk.append(one)
        self._waiting += len(one[1])
        return self._waiting >= CHUNK_BYTES or len(self._chunk) >= CHUNK

    def take(self) -> list[NewLine]:
        """Lines since the last call, once one of each shape is compared; all of them encoded where it differs."""
        chunk, self._chunk, self._waiting = self._chunk, [], 0
        ends, self._last = self._last, {}
        if any(self._encoded(one[0], one[3]) != one[:3] for one in ends.values()):
            self._give_up()
            chunk = [
                one if one[3].line is not None else (*self._encoded(one[0], one[3]), one[3], None) for one in chunk
            ]
        add = self.sizes.add
        for _, data, _, _, limit in chunk:
            if limit is None:
                self.sizes.count(data[:-1])
            else:
                add(len(data) - 1, 0, limit)
        return chunk

    def _shape(self, custom_id: str, ask: Ask) -> _Shape | None:
        """The shape of a request's line; None where it has none."""
        kinds = tuple([part.mime if part.__class__ is Image else None for part in ask.parts])
        sample = ask.sample if self._by_sample else 0
        key = (ask.system, id(ask.schema), sample, kinds, None if ask.data is None else tuple(ask.data))
        try:
            shape = self._shapes[key]
        except KeyError:
            shape = self._new_shape(key, custom_id, ask)
        self._latest = None if self._by_sample else shape
        return shape

    def _encoded(self, custom_id: str, ask: Ask) -> Line:
        request = self._request_of(custom_id, ask)
        return batch_file.line(request, self._encode(request))

    def _new_shape(self, key: Key, custom_id: str, ask: Ask) -> _Shape | None:
        self._check(self._request_of(custom_id, ask))
        if len(self._shapes) >= _MOST:
            return None
        shape = self._shapes[key] = None if self._gives_up else self._derived(key, ask)
        return shape

    def _give_up(self) -> None:
        self._gives_up, self._latest, self._shapes = True, None, dict.fromkeys(self._shapes)

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
            [str] * len(parts) if not any(key[3]) else None,
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
