"""Keys, which may stand in no file: a server may echo the one that it was sent."""

from __future__ import annotations

from collections.abc import Iterable

from batchflow.settings import SHORTEST_SECRET

STARS = "***"


class Hidden:
    """What puts stars in place of keys. Too short ones are let be: stars for every `1` would spoil the rows."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        known = {key for key in keys if key and len(key) >= SHORTEST_SECRET}
        self._texts = sorted(known, key=len, reverse=True)  # one may be a part of another
        self._data = [text.encode() for text in self._texts]

    def text(self, text: str) -> str:
        """A text without keys."""
        for key in self._texts:
            text = text.replace(key, STARS)
        return text

    def data(self, data: bytes) -> bytes:
        """A line of JSON without keys. Most have none, and looking is cheaper than copying."""
        for key in self._data:
            if key in data:
                data = data.replace(key, STARS.encode())
        return data
