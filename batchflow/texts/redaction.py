"""Redaction of keys: a server may echo the one that it was sent, and no file may hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from batchflow import files
from batchflow.settings import hideable

STARS = "***"


class Hidden:
    """Redacts known secrets that are long enough to be told from other text (`settings.hideable`)."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        self._texts = hideable(keys)
        self._data = list(dict.fromkeys(form for text in self._texts for form in _in_json(text)))

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

    def stream(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """A file without keys, piece by piece; a key that is cut by the end of a piece is seen as well."""
        if not self._data:
            yield from chunks
            return
        keep = max(map(len, self._data)) - 1  # bytes that may be the beginning of a key
        held = b""
        for chunk in chunks:
            held = self.data(held + chunk)
            if len(held) > keep:
                yield held[: len(held) - keep]
                held = held[len(held) - keep :]
        yield held


def _in_json(text: str) -> tuple[bytes, bytes, bytes]:
    """A text as it is, and as JSON may write it: with or without a backslash before each slash."""
    escaped = files.dumps(text)[1:-1]
    return text.encode(), escaped, escaped.replace(b"/", b"\\/")
