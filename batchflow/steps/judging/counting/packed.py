"""Texts of a million answers in a few bytes each: names, contents and columns of a ballot."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Any, TypeVar, overload

from batchflow import files

Value_co = TypeVar("Value_co", covariant=True)
_BLOCK = 1_000  # texts that are taken out together
_HEX = 16  # bytes of a hash of 32 digits
_MOST_COLUMNS = 10_000  # different columns that are kept to be handed out again


class _Packed(Sequence[Value_co]):
    """Values that are unpacked when they are asked for."""

    __slots__ = ()

    @overload
    def __getitem__(self, place: int) -> Value_co: ...
    @overload
    def __getitem__(self, place: slice) -> list[Value_co]: ...
    def __getitem__(self, place: int | slice) -> Value_co | list[Value_co]:
        places = range(len(self))[place]
        if isinstance(places, int):
            return self._between(places, places + 1)[0]
        if places.step == 1:
            return self._between(places.start, places.stop) if places else []
        return [self._between(at, at + 1)[0] for at in places]

    def __iter__(self) -> Iterator[Value_co]:
        for start in range(0, len(self), _BLOCK):
            yield from self._between(start, min(start + _BLOCK, len(self)))

    @abstractmethod
    def _between(self, start: int, end: int) -> list[Value_co]:
        """The values from a place to below another, later one."""


class Texts(_Packed[str]):
    """Any texts, in UTF-8."""

    __slots__ = ("_data", "_ends")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._data, self._ends = bytearray(), array("Q", [0])
        self.extend(list(texts))

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts."""
        pieces = [text.encode(errors="surrogatepass") for text in texts]
        lengths = accumulate(map(len, pieces), initial=len(self._data))
        next(lengths)
        self._ends.extend(lengths)
        self._data += b"".join(pieces)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _between(self, start: int, end: int) -> list[str]:
        ends = self._ends[start : end + 1]
        data = bytes(self._data[ends[0] : ends[-1]])
        text, first = data.decode(errors="surrogatepass"), ends[0]
        if len(text) == len(data):
            return [text[low - first : high - first] for low, high in pairwise(ends)]
        pairs = pairwise(ends)
        return [data[low - first : high - first].decode(errors="surrogatepass") for low, high in pairs]


class Digests(_Packed[str]):
    """Hashes of 32 hexadecimal digits; other texts are kept beside them."""

    __slots__ = ("_data", "_others")

    def __init__(self) -> None:
        self._data, self._others = bytearray(), dict[int, str]()

    def extend(self, texts: Sequence[str]) -> None:
        """Add hashes, or texts."""
        together, data = "".join(texts), b""
        with suppress(ValueError):
            data = bytes.fromhex(together)
        if data.hex() != together or set(map(len, texts)) != {2 * _HEX}:
            self._others.update(enumerate(texts, len(self)))
            data = bytes(_HEX * len(texts))
        self._data += data

    def __len__(self) -> int:
        return len(self._data) // _HEX

    def _between(self, start: int, end: int) -> list[str]:
        together = self._data[_HEX * start : _HEX * end].hex()
        texts = [together[at : at + 2 * _HEX] for at in range(0, len(together), 2 * _HEX)]
        if self._others:
            return [self._others.get(at, text) for at, text in enumerate(texts, start)]
        return texts


class Columns(_Packed[Mapping[str, Any]]):
    """Columns of answers, many of which have the same; `read` makes them of their JSON text."""

    __slots__ = ("_codes", "_known", "_read", "_texts")

    def __init__(self, read: Callable[[str], Mapping[str, Any]] = files.loads) -> None:
        self._read, self._texts, self._codes = read, Texts(), array("L")
        self._known = dict[str, int]()

    def extend(self, texts: Sequence[str]) -> None:
        """Add columns by their text. Raises what `read` raises."""
        known = self._known
        if len(known) >= _MOST_COLUMNS:
            known.clear()
        for text in dict.fromkeys(texts):
            if text not in known:
                self._read(text)
                known[text] = len(self._texts)
                self._texts.extend([text])
        self._codes.extend(map(known.__getitem__, texts))

    def __len__(self) -> int:
        return len(self._codes)

    def _between(self, start: int, end: int) -> list[Mapping[str, Any]]:
        codes = self._codes[start:end]
        values = {code: self._read(self._texts[code]) for code in set(codes)}
        return [values[code] for code in codes]


class _Joined(_Packed[Value_co]):
    """Values with further ones behind them."""

    __slots__ = ("_first", "_more")

    def __init__(self, first: Sequence[Value_co], more: Sequence[Value_co]) -> None:
        self._first, self._more = first, more

    def __len__(self) -> int:
        return len(self._first) + len(self._more)

    def _between(self, start: int, end: int) -> list[Value_co]:
        n = len(self._first)
        return [*self._first[min(start, n) : min(end, n)], *self._more[max(start - n, 0) : max(end - n, 0)]]


def joined(first: Sequence[Value_co], more: Sequence[Value_co]) -> Sequence[Value_co]:
    """The values of both."""
    return _Joined(first, more) if more else first
