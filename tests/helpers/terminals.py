"""A terminal of its own for a command: what a person sees who types it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from fcntl import ioctl
from typing import Any

from helpers import warm

_ESCAPE = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b[P\]][^\x1b\x07]*(?:\x07|\x1b\\)")


def hear_ctrl_c() -> None:
    """A suite that a script started in the background ignores SIGINT, and its children would, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command on a terminal of 80 columns; `seen`: what it has drawn so far, without escapes."""

    def __init__(self, project: Any, *words: str, program: Sequence[Any] = ()) -> None:
        self.ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        environment = {**os.environ, **project.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [*(program or [warm.batchflow()]), *words], cwd=project.folder, env=environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - one signal
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.ours, text.encode())

    def until(self, pattern: str, seconds: float = 60) -> None:
        """Read until something is seen. Fails after so many seconds."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, self.seen[-3000:]
            if not self._read():
                break
        assert re.search(pattern, self.seen), self.seen[-3000:]

    def ended(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        os.close(self.ours)
        return self.process.wait(60)

    def _read(self) -> bool:
        if not select.select([self.ours], [], [], 1)[0]:
            return True
        try:
            piece = os.read(self.ours, 65536)
        except OSError:  # Linux says so at the end of a terminal
            return False
        self.seen += _ESCAPE.sub("", piece.decode("utf-8", "replace"))
        return bool(piece)
