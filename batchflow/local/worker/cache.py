"""Answers kept by the content of their request, so that a rerun with one more item asks one request.

Only requests that fix their answer are kept: those with a seed or with temperature 0. For any other one a second
answer is a second sample, and giving the first again would pretend an agreement that nobody measured.

One SQLite file, keyed by a hash of what is asked and of who answers (engine, model file, URLs). It is a convenience:
whatever goes wrong with it costs a call and never a row.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import suppress
from pathlib import Path

BUSY_S = 2.0


class Cache:
    """Answers of one scope. Writes are buffered until `flush`, which other threads may call."""

    def __init__(self, path: Path, scope: bytes) -> None:
        self._scope = scope
        self._new: list[tuple[bytes, bytes]] = []
        self._base: sqlite3.Connection | None = None
        with suppress(sqlite3.Error):
            self._base = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=OFF")
            self._base.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")

    def _key(self, request: bytes) -> bytes:
        return hashlib.blake2b(request, digest_size=20, key=self._scope[:64]).digest()

    def holds_any(self) -> bool:
        """False when a look is not worth the while."""
        return self._one("SELECT 1 FROM answers LIMIT 1", ()) is not None

    def get(self, request: bytes) -> bytes | None:
        """The kept body of the answer, or None."""
        return self._one("SELECT body FROM answers WHERE key = ?", (self._key(request),))

    def _one(self, query: str, values: tuple[bytes, ...]) -> bytes | None:
        if self._base is not None:
            with suppress(sqlite3.Error):
                row = self._base.execute(query, values).fetchone()
                return row[0] if row else None
        return None

    def put(self, request: bytes, body: bytes) -> None:
        """Keep an answer, at the next flush."""
        self._new.append((self._key(request), body))

    def flush(self) -> None:
        """Write what was put, in one transaction."""
        new, self._new = self._new, []
        if not new or self._base is None:
            return
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", new)
            self._base.execute("COMMIT")
        except sqlite3.Error:  # another worker writes, the disk is full, the file is broken
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._base is not None:
            self._base.close()
            self._base = None


def scope(*facts: object) -> bytes:
    """Hashes the identity of who answers, into 32 bytes."""
    return hashlib.blake2b("\0".join(map(str, facts)).encode(), digest_size=32).digest()
