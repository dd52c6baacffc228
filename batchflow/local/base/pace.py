"""The limits of one endpoint and key: requests a second and tokens a minute, kept by all workers of a host together.

Turns follow one another evenly, without bursts. When the next ones are lies in a small file that every worker of the
same endpoint and key locks for an instant; a killed worker leaves nothing behind but the turns that it took. Estimates
of tokens count a request's whole limit, so a turn is given only when it has come, and corrected by the actual usage.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

LATE_S = 0.1  # a turn that is taken up so late, because its process woke up late, still counts from its own time
INHERITED_S = 60.0  # tokens are counted by the minute: a worker that joins waits no longer for what others took
BUSY_S = 0.001  # another process is at the file


class Turns(NamedTuple):
    """Times at which the next request and the next token have their turn, in seconds of `clock`."""

    requests_at: float = 0.0
    tokens_at: float = 0.0


_NEVER = Turns()


class Store(Protocol):
    """Place of the turns."""

    def change(self, change: Callable[[Turns], Turns]) -> Turns | None:
        """Replace the turns; returns those that stood before, or None where another process is at them."""
        ...

    def close(self) -> None:
        """Release what it holds open."""
        ...


def clock() -> float:
    """Seconds that all processes of a host share, and that setting the time does not move."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class Own:
    """Turns of this process alone."""

    turns: Turns = _NEVER

    def change(self, change: Callable[[Turns], Turns]) -> Turns | None:
        """Replace the turns."""
        before, self.turns = self.turns, change(self.turns)
        return before

    def close(self) -> None:
        """Nothing is open."""


class Shared:
    """Turns in a file of this host, under a lock that the kernel frees however its holder dies."""

    _FORMAT = struct.Struct("<ddd")  # time of the write, and the turns

    def __init__(self, path: Path, clock: Callable[[], float] = clock) -> None:
        """Open the file. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._clock = clock

    def change(self, change: Callable[[Turns], Turns]) -> Turns | None:
        """Replace the turns; None where another process is at them. Turns of before a restart count for nothing."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        try:
            before, now = self._read(), self._clock()
            after = change(before)
            if after != before:
                os.pwrite(self._file, self._FORMAT.pack(now, *after), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return before

    def _read(self) -> Turns:
        data = os.pread(self._file, self._FORMAT.size, 0)
        if len(data) < self._FORMAT.size:
            return _NEVER
        written_at, *turns = self._FORMAT.unpack(data)
        return Turns(*turns) if written_at <= self._clock() else _NEVER  # else the clock began anew: a restart

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(slots=True)
class Pace:
    """Limits of one endpoint. rps, tpm: None for no limit.

    share: the part of them that this host has, where workers of several hosts ask the endpoint.
    """

    rps: float | None
    tpm: float | None
    store: Store = field(default_factory=Own)
    clock: Callable[[], float] = clock
    share: float = 1.0
    _promised_at: float | None = None  # the turn that somebody waits for
    _owed: float = 0.0  # seconds by which the next token's turn is to be corrected

    def join(self, after_s: float = 0.0) -> None:
        """Bound what was taken before this worker came. after_s: its first turn comes no sooner than this."""
        now = self.clock()

        def bounded(turns: Turns) -> Turns:
            requests_at, tokens_at = (min(turn, now + INHERITED_S) for turn in turns)
            return Turns(max(requests_at, now + after_s) if after_s else requests_at, tokens_at)

        self.store.change(bounded)

    def claim(self, tokens: float) -> float:
        """Take a turn for a request, and return 0.0; or return the seconds until there may be one."""
        now = self.clock()
        start = now
        if self._promised_at is not None and now - self._promised_at < LATE_S:
            start = min(now, self._promised_at)  # from the turn: waking up late would slow the rate down
        wait_s = 0.0

        def taken(turns: Turns) -> Turns:
            nonlocal wait_s
            requests_at, tokens_at = turns.requests_at, turns.tokens_at + self._owed
            next_at = max(requests_at if self.rps else 0.0, tokens_at if self.tpm else 0.0)
            wait_s = max(0.0, next_at - now)
            if not wait_s:
                requests_at = max(start, requests_at) + (1 / (self.rps * self.share) if self.rps else 0.0)
                tokens_at = max(start, tokens_at) + self._seconds(tokens)
            return Turns(requests_at, tokens_at)

        if self.store.change(taken) is None:
            return BUSY_S
        self._owed = 0.0
        self._promised_at = now + wait_s if wait_s else None
        return wait_s

    def settle(self, difference: float) -> None:
        """Correct an estimate afterwards, by the next claim: positive when more tokens were used than were taken."""
        self._owed += self._seconds(difference)

    def close(self) -> None:
        """Hand the corrections on that nobody has claimed after."""
        with suppress(OSError):
            if self._owed:
                self.store.change(lambda turns: turns._replace(tokens_at=turns.tokens_at + self._owed))
        self.store.close()

    def _seconds(self, tokens: float) -> float:
        return tokens * 60 / (self.tpm * self.share) if self.tpm else 0.0


def shared_file(home: Path, url: str, key_mark: str) -> Path:
    """The file of an endpoint's turns; its name tells neither URL nor key. Homes may be mounted on several hosts."""
    digest = hashlib.sha256(f"{socket.gethostname()}\n{url}\n{key_mark}".encode()).hexdigest()
    return home / "pace" / digest[:24]
