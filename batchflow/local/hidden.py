"""Keys, which may stand in no file: a server may echo the one that it was sent."""

from __future__ import annotations

from collections.abc import Iterable

from batchflow.settings import hideable

STARS = "***"


class Hidden:
    """What puts stars in place of keys, those that are long enough to be told from other text."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        self._texts = hideable(keys)
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
