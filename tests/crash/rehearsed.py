"""The vendors' side of the crash tests: one loopback server whose memory can be exchanged between two cuts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from batchflow.rehearsal import fault_injection, server
from batchflow.rehearsal.fake_state import Pace, Site
from batchflow.rehearsal.faults import Fault, Faults

PACE = Pace(polls=2)  # the first look finds a job at work, the second finds it done


class Vendors:
    """All rehearsed vendors at one address. `site` is what they remember; `victim` is whom a `kill` fault kills."""

    def __init__(self, listener: socket.socket) -> None:
        self.environment = server.environment(f"http://127.0.0.1:{listener.getsockname()[1]}")
        self.site: Site
        self._app: Any = None
        self._victim = 0
        self._known = threading.Event()

    def remember(self, folder: Path, script: Sequence[Fault] = ()) -> None:
        """Go on from what a folder holds, nobody killed yet."""
        self._known.clear()
        self.site = server.site_at(folder, faults=Faults(script), pace=PACE, kill=self._kill)
        self._app = server.app(self.site)

    def aim(self, pid: int) -> None:
        """Tell whose process group a `kill` fault kills."""
        self._victim = pid
        self._known.set()

    def _kill(self) -> None:
        if not self._known.wait(30):
            raise RuntimeError("nobody said whom to kill")
        os.killpg(self._victim, signal.SIGKILL)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


@contextlib.contextmanager
def vendors() -> Iterator[Vendors]:
    """The server in a thread, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # see batchflow.rehearsal.server
        made = Vendors(listener)
        options: dict[str, Any] = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
        web = uvicorn.Server(uvicorn.Config(made, http=fault_injection.protocol(), log_level="critical", **options))
        thread = threading.Thread(target=web.run, args=([listener],), name="vendors", daemon=True)
        thread.start()
        while not web.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield made
        finally:
            web.should_exit = web.force_exit = True
            thread.join(10)
