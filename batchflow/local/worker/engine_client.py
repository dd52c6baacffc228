"""Streams rows to an offline engine and records each answer on arrival."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from batchflow import files
from batchflow.errors import EngineError
from batchflow.local.base.transport import BODY_CAP, Reply
from batchflow.local.job.rows import Row, Verdict, judge
from batchflow.local.offline import child as engine_process
from batchflow.local.offline.base import Config
from batchflow.local.worker.dispatcher import Tally


@asynccontextmanager
async def child(config: Config) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """The engine's process with its model loaded, and its facts. Raises EngineError when it cannot be loaded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        engine_process.__name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=BODY_CAP,
    )
    assert process.stdin is not None  # noqa: S101 - pipes were asked for
    assert process.stdout is not None  # noqa: S101 - the same
    try:
        process.stdin.write(files.dumps(asdict(config) | {"parent": os.getpid()}) + b"\n")
        greeting = files.loads(await process.stdout.readline() or b"{}")
        if "facts" not in greeting:
            why = greeting.get("error") or f"it ended (exit {await process.wait()})"
            raise EngineError(
                f"the engine {config.engine} did not load {config.model}: {why}", hint=greeting.get("hint", "")
            )
        yield process, greeting["facts"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(slots=True)
class Feed:
    """Rows for one engine. seats: rows that it holds at once. finish: called once per row, with its verdict."""

    rows: Iterator[Row]
    process: asyncio.subprocess.Process
    seats: int
    finish: Callable[[Row, Verdict], None]
    retries: int = 0
    last_error: str = ""
    tally: Tally = field(default_factory=Tally)
    _held: dict[int, Row] = field(default_factory=dict)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _all_sent: bool = False

    async def run(self) -> None:
        """Until every row is finished. Raises EngineError when the engine dies, DataError for a broken input."""
        sending = asyncio.create_task(self._send())
        try:
            while not (self._all_sent and not self._held):
                line = await self._line(sending)
                if line is not None:
                    self._finish(files.loads(line))
            await sending
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending

    async def _send(self) -> None:
        assert self.process.stdin is not None  # noqa: S101 - a pipe was asked for
        for row in self.rows:
            while len(self._held) >= self.seats:
                self._room.clear()
                await self._room.wait()
            self._held[row.index] = row
            self.tally.in_flight = len(self._held)
            self.process.stdin.write(b'{"i":%d,"body":%b}\n' % (row.index, row.body))
            await self.process.stdin.drain()
        self._all_sent = True

    async def _line(self, sending: asyncio.Task[None]) -> bytes | None:
        """The next answer; None when only the sending ended. Raises what the sending raised, EngineError at the end."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        reading = asyncio.create_task(self.process.stdout.readline())
        try:
            waiting = {reading} if sending.done() else {reading, sending}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not isinstance(sending.exception(), ConnectionError | None):
                sending.result()
            if not self._held and self._all_sent:
                return None
            line = await reading
        finally:
            reading.cancel()
        if not line:
            code = await self.process.wait()
            raise EngineError(
                f"the engine ended in the middle (exit {code})", hint="see worker.log; start goes on with the rest"
            )
        return line

    def _finish(self, reply: dict[str, Any]) -> None:
        row = self._held.pop(reply["i"])
        self._room.set()
        row.tries += 1
        verdict = judge(Reply(reply["status"], b"", files.dumps(reply["body"])), thinks=row.thinks)
        self.tally.rows += 1
        self.tally.tokens += verdict.tokens
        self.tally.in_flight = len(self._held)
        self.last_error = verdict.trouble or self.last_error
        self.finish(row, verdict)
