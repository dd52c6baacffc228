"""Counts the places where a run of the command line may be cut, and kills its process group at one of them.

A place is passed before or after something takes effect: a commit that changes the ledger, a call to a vendor, a
rename; or before a file is synced or removed, which is when half-written files lie about. The product knows nothing
of this: SQLAlchemy's commit, the SDKs' transports, three functions of `os` and three of the store's client are wrapped
from outside.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

CUT_AT, PLACES, INSIDE = "CRASH_CUT_AT", "CRASH_PLACES", "CRASH_INSIDE"
STORE = "BATCHFLOW_STORE"
TRANSPORTS = ("httpx", "httpx2")  # what the six SDKs send with


class Cutter:
    """at: the place to die at, from 1; 0: none. places: file that the places passed are appended to."""

    def __init__(self, at: int, places: Path, inside: Path) -> None:
        self._at = at
        self._inside = f"{inside}{os.sep}"
        self._log = os.open(places, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._passed = 0
        self._lock = threading.Lock()

    def place(self, kind: str, when: str, what: str) -> None:
        """Pass one place, or die at it."""
        with self._lock:
            self._passed += 1
            os.write(self._log, f"{kind} {when} {what}\n".encode())
            if self._passed == self._at:
                os.killpg(os.getpgrp(), signal.SIGKILL)

    def around(self, kind: str, what: str, do: Callable[[], Any]) -> Any:
        """Do something between two places. Where it raises, it took no effect that this process knows of."""
        self.place(kind, "before", what)
        made = do()
        self.place(kind, "after", what)
        return made

    def watch(self) -> None:
        """Begin: from here on every place is counted."""
        self._watch_commits()
        for transport in TRANSPORTS:
            self._watch_calls(transport)
        for name in ("rename", "replace"):
            self._watch_renames(name)
        self._watch_syncs()
        if STORE in os.environ:
            self._watch_store()
        sys.addaudithook(self._heard)

    def _watch_commits(self) -> None:
        from sqlalchemy.engine.default import DefaultDialect

        commit = DefaultDialect.do_commit

        def do_commit(dialect: Any, connection: Any) -> None:
            # a commit of nothing changes nothing; SQLite's driver counts the rows that a connection has changed
            count = getattr(connection.driver_connection, "total_changes", None)
            if count is not None and connection.info.get("seen_changes", 0) == count:
                commit(dialect, connection)
                return
            connection.info["seen_changes"] = count
            self.around("commit", "ledger", lambda: commit(dialect, connection))

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]

    def _watch_calls(self, transport: str) -> None:
        client = importlib.import_module(transport).Client
        send = client.send

        @functools.wraps(send)
        def watched(own: Any, request: Any, **options: Any) -> Any:
            what = f"{request.method} {request.url.path}"
            return self.around("call", what, lambda: send(own, request, **options))

        client.send = watched

    def _watch_renames(self, name: str) -> None:
        rename = getattr(os, name)

        @functools.wraps(rename)
        def watched(src: Any, dst: Any, **options: Any) -> None:
            if self._ours(dst):
                self.around("rename", self._short(dst), lambda: rename(src, dst, **options))
            else:
                rename(src, dst, **options)

        setattr(os, name, watched)

    def _watch_syncs(self) -> None:
        sync = os.fsync

        @functools.wraps(sync)
        def watched(handle: Any) -> None:
            self.place("sync", "before", "file")
            sync(handle)

        os.fsync = watched

    def _watch_store(self) -> None:
        import obstore

        for name in ("put", "get", "delete"):
            setattr(obstore, name, functools.partial(self._stored, name, getattr(obstore, name)))

    def _stored(self, name: str, do: Callable[..., Any], store: Any, key: str, *arguments: Any, **options: Any) -> Any:
        return self.around("store", f"{name} {key.partition('/')[2]}", lambda: do(store, key, *arguments, **options))

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.remove" and self._ours(arguments[0]) and os.path.exists(arguments[0]):  # noqa: PTH110 - no loop
            self.place("remove", "before", self._short(arguments[0]))

    def _ours(self, path: Any) -> bool:
        return not isinstance(path, int) and os.fsdecode(path).startswith(self._inside)

    def _short(self, path: Any) -> str:
        return os.fsdecode(path).removeprefix(self._inside)


def from_environment() -> None:
    """Begin where the environment asks for it; takes its variables away, so that child processes are left alone."""
    if PLACES in os.environ:
        at, places, inside = (os.environ.pop(name) for name in (CUT_AT, PLACES, INSIDE))
        Cutter(int(at), Path(places), Path(inside)).watch()
