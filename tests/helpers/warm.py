"""A Python whose modules are loaded: `python()` and `batchflow()` are programs that run what they are given in a fork.

Each is a process of its own, with the caller's folder, environment, streams and exit code, but without the second or
more that loading the SDKs takes. Tests of starting itself, of signals to it, or of `ulimit` take the real interpreter.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PARENT = Path(__file__).with_name("warm_parent.py")
ROOT = Path(__file__).parents[2]  # this checkout, whatever else is installed
CLIENT = """#!{python} -IS
import marshal, os, socket, sys

parent = socket.socket(socket.AF_UNIX)
parent.connect({socket!r})
order = marshal.dumps((sys.argv, dict(os.environ)))
streams = [0, 1, 2, os.open(".", os.O_RDONLY)]
socket.send_fds(parent, [len(order).to_bytes(8, "big")], streams)
parent.sendall(order)
code = int(parent.recv(16) or b"70")
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class _Warm:
    """The warm process; it ends with this one, or with `stop`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bf-warm-", dir="/tmp"))  # a socket's path is short
        at = self.folder / "socket"
        command = [sys.executable, "-W", "ignore", str(PARENT), str(at)]
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "OPENBLAS_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        for name in ("python", "batchflow"):
            program = self.folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(CLIENT.format(python=sys.executable, socket=str(at)))
            program.chmod(0o755)

    def end(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def _running() -> _Warm:
    return _Warm()


def python() -> Path:
    """Takes `-m MODULE`, `-c CODE` or a script, with arguments, as the interpreter does."""
    return _running().folder / "bin" / "python"


def batchflow() -> Path:
    """The command line under its own name."""
    return _running().folder / "bin" / "batchflow"


def stop() -> None:
    """End the warm process where there is one."""
    if _running.cache_info().currsize:
        _running().end()
        _running.cache_clear()
