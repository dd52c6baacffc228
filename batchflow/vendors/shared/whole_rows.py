"""Rows read whole: every field of theirs is looked at, so that what passes may be spliced into a file as it stands.

The shapes of `row_shapes` skip what nobody reads, so a row that they take may still be no JSON. Here the fields that a
vendor's rows have besides are learned from rows that orjson read, and are typed as well: nothing is skipped then. A row
with a field that is not known yet is read by both libraries, as long as it takes to know all fields.
"""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from batchflow import files
from batchflow.vendors.shared.row_shapes import SHAPES, Plain, Read, either, reading

_LESSONS = 16  # rows that a reader learns from; where each row has fields of its own, there is nothing to know
_MOST_FIELDS = 100  # of one object


class _Seen:
    """One place of the rows, as far as it was seen: types, fields of its objects, members of its lists."""

    __slots__ = ("fields", "kinds", "members")

    def __init__(self) -> None:
        self.kinds: set[Any] = set()
        self.fields: dict[str, _Seen] = {}
        self.members: _Seen | None = None

    def add(self, value: Any) -> None:
        """Take a value as `files.loads` gives it."""
        self.kinds.add(None if value is None else type(value))
        if isinstance(value, dict):
            for name, member in value.items():
                self.fields.setdefault(name, _Seen()).add(member)
        elif isinstance(value, list):
            self.members = self.members or _Seen()
            for member in value:
                self.members.add(member)

    def kind(self) -> Any:
        """The type of all that was seen here."""
        kinds = [self._kind(kind) for kind in self.kinds] or [None]
        return Union[tuple(kinds)]  # noqa: UP007 - made of values

    def _kind(self, kind: Any) -> Any:
        if kind is dict:
            return self.shape(())
        if kind is list:
            return list[(self.members or _NOTHING).kind()]  # type: ignore[misc]
        return _INTEGER if kind is int else kind

    def widened(self, kind: Any) -> Any:
        """A type of `row_shapes` whose objects have the further fields that were seen in them."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.shape(msgspec.structs.fields(kind))
        origin, inside = get_origin(kind), get_args(kind)
        if origin is list:
            return list[(self.members or _NOTHING).widened(inside[0])]  # type: ignore[misc]
        if origin in {Union, UnionType}:
            return Union[tuple(map(self.widened, inside))]  # noqa: UP007
        return kind

    def shape(self, own: tuple[msgspec.structs.FieldInfo, ...]) -> type[Any]:
        """An object with its own fields, and all others that were seen. Raises ValueError for too many."""
        names = {field.encode_name for field in own}
        others = [name for name in self.fields if name not in names]
        if len(others) > _MOST_FIELDS:
            raise ValueError("too many fields")
        fields: list[Any] = []
        for field in own:
            kind = self.fields.get(field.encode_name, _NOTHING).widened(field.type)
            fields.append((field.name, kind) if field.required else (field.name, kind, field.default))
        for place, name in enumerate(others):
            member = msgspec.field(default=None, name=name)
            fields.append((f"_{place}", Union[self.fields[name].kind(), None], member))  # noqa: UP007
        return msgspec.defstruct("Row", fields, gc=False, kw_only=True, forbid_unknown_fields=True)


_NOTHING = _Seen()
_INTEGER = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]  # orjson refuses one of 400 digits


def _reader(shape: type[Any], plain: Callable[[Any], Plain | None]) -> Read:
    usual, seen, lessons = reading(shape, plain), _Seen(), _LESSONS
    decode: Callable[[bytes], Any] | None = None

    def learn(line: bytes) -> None:
        nonlocal decode, lessons
        lessons -= 1
        seen.add(files.loads(line))
        try:
            decode = msgspec.json.Decoder(seen.widened(shape)).decode
        except (ValueError, TypeError, RecursionError):  # of a type that msgspec has not
            decode, lessons = None, 0

    def read(line: bytes) -> Plain | None:
        if decode is not None:
            try:
                if not line.isascii():
                    str(line, "utf-8")
                row = plain(decode(line))
            except (ValueError, RecursionError):
                pass
            else:
                return row
        row = usual(line)
        if row is None or not files.is_plain(line):
            return None
        if lessons:
            learn(line)
        return row

    return read


def reader(vendor: str) -> Read | None:
    """A reader of a vendor's rows, which takes a line only if it is JSON throughout; None as `row_shapes.reader`."""
    shapes = [_reader(*shape) for shape in SHAPES.get(vendor, ())]
    return either(shapes) if shapes else None
