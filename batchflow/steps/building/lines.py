"""Lines of a batch: what the vendor's `encode` writes, pasted together from pieces of a line that it wrote.

Most requests of a batch differ in their id and their texts alone. So the pieces between these are taken from two
requests that the vendor encoded with stand-ins, and the texts of all others are put in between. The first lines of each
shape and one of every thousand are compared with what `encode` writes; where one differs, no further line is pasted,
and those since the last comparison are encoded instead. Lines that no shape fits are encoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from batchflow import batch_file, files
from batchflow.batch_file import Line
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


@dataclass(slots=True)
class _Shape:
    """A line taken apart: its pieces, with empty places for the id, the parts and the data.

    schema: held, so that nothing else gets its identity.
    """

    pieces: list[bytes]
    id_at: int
    parts_at: tuple[int, ...]
    data_at: tuple[tuple[int, str], ...]
    schema: Schema | None
    pasted: int = 0

    def paste(self, custom_id: str, ask: Ask) -> Line | None:
        """The line of a request; None where a text is none that JSON can say, or that a vendor may leave out."""
        pieces, own = self.pieces.copy(), custom_id.encode()
        pieces[self.id_at] = own
        try:
            for at, part in zip(self.parts_at, ask.parts, strict=True):
                pieces[at] = orjson.dumps(part.data if part.__class__ is Image else part)[1:-1]
                if not pieces[at]:
                    return None
            for at, name in self.data_at:
                pieces[at] = orjson.dumps((ask.data or {})[name])[1:-1]
        except TypeError:  # half a surrogate pair
            return None
        data = b"".join(pieces)
        if self.id_at == 1:  # nothing that varies is in front of it
            start = len(pieces[0])
            content = data[:start] + data[start + len(own) : -1]
        else:
            content = data[:-1].replace(own, b"", 1)
        return Line(custom_id, data, hashlib.sha256(content).hexdigest()[: batch_file.CONTENT_LENGTH])


class Lines:
    """Makes the lines of one batch.

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
        self._request_of, self._check, self._encode, self._by_sample = request_of, check, encode, by_sample
        self._shapes: dict[Key, _Shape | None] = {}
        self._last: dict[int, tuple[Line, Ask]] = {}  # by shape: the last line that was pasted
        self._gives_up = False

    def line(self, custom_id: str, ask: Ask) -> Line:
        """The line of a request."""
        kinds = tuple([part.mime if part.__class__ is Image else None for part in ask.parts])
        sample = ask.sample if self._by_sample else 0
        key = (ask.system, id(ask.schema), sample, kinds, None if ask.data is None else tuple(ask.data))
        try:
            shape = self._shapes[key]
        except KeyError:
            shape = self._new_shape(key, custom_id, ask)
        line = None if shape is None else shape.paste(custom_id, ask)
        if shape is None or line is None:
            return self._encoded(custom_id, ask)
        if shape.pasted < _FIRST:
            shape.pasted += 1
            if line != (right := self._encoded(custom_id, ask)):
                self._give_up()
                return right
        self._last[id(shape)] = (line, ask)
        return line

    def checked(self, chunk: Sequence[tuple[Line, Ask]]) -> list[Line]:
        """Lines since the last call, once one of each shape is compared; all of them encoded where it differs."""
        ends, self._last = self._last, {}
        if all(self._encoded(line.custom_id, ask) == line for line, ask in ends.values()):
            return [line for line, _ in chunk]
        self._give_up()
        return [self._encoded(line.custom_id, ask) if ask.line is None else line for line, ask in chunk]

    def _encoded(self, custom_id: str, ask: Ask) -> Line:
        request = self._request_of(custom_id, ask)
        return batch_file.line(request, self._encode(request))

    def _new_shape(self, key: Key, custom_id: str, ask: Ask) -> _Shape | None:
        self._check(self._request_of(custom_id, ask))
        if len(self._shapes) >= _MOST:
            return None
        shape = self._shapes[key] = None if self._gives_up else self._derived(ask)
        return shape

    def _give_up(self) -> None:
        self._gives_up, self._shapes = True, dict.fromkeys(self._shapes)

    def _derived(self, ask: Ask) -> _Shape | None:
        """The shape of a request's line; None where `encode` does more with texts than to write them as they are."""
        one, two = (self._taken_apart(ask, word) for word in _STAND_INS)
        return one if one == two else None

    def _taken_apart(self, ask: Ask, word: str) -> _Shape | None:
        parts = tuple(_part(part, word.format(place)) for place, part in enumerate(ask.parts))
        data = (
            None
            if ask.data is None
            else {name: _stand_in(value, word.format(name)) for name, value in ask.data.items()}
        )
        own = f"7-0badcafe-{word.format('id')}"
        request = self._request_of(own, ask._replace(parts=parts, data=data))
        text = files.dumps(self._encode(request)) + b"\n"
        named: dict[str, bytes] = {"id": own.encode()}
        named |= {f"part {place}": word.format(place).encode() for place in range(len(parts))}
        for name, value in (data or {}).items():  # which vendors with a model behind them leave out
            text_of = word.format(name).encode()
            if text_of in text:
                named[f"data {name}"] = text_of if isinstance(value, str) else b""
        if any(text.count(value) != 1 for value in named.values()):
            return None
        pieces, at, where = list[bytes](), 0, dict[str, int]()
        for name, value in sorted(named.items(), key=lambda pair: text.index(pair[1])):
            start = text.index(value)
            where[name] = len(pieces) + 1
            pieces += [text[at:start], b""]
            at = start + len(value)
        pieces.append(text[at:])
        parts_at = tuple(where[f"part {place}"] for place in range(len(parts)))
        data_at = tuple((where[f"data {name}"], name) for name in data or {} if f"data {name}" in where)
        return _Shape(pieces, where["id"], parts_at, data_at, ask.schema)


def _part(part: Part, word: str) -> Part:
    return word if isinstance(part, str) else Image(part.mime, word)


def _stand_in(value: Any, word: str) -> Any:
    """A stand-in for a value of a request's data: of a text, a text; of anything else, something that shows it."""
    return word if isinstance(value, str) else [word]
