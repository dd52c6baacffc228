"""The warm process of warm.py: `python warm_parent.py SOCKET`. It forks a child for each caller, until stdin ends."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import marshal
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from helpers.warm_up import learn, loaded, teach, warm_up


class Parent:
    """Callers by their child's pid; a caller that goes away takes its child with it, as if it were the child itself."""

    def __init__(self, listener: socket.socket, modules: Path) -> None:
        self.listener = listener
        self.callers: dict[int, socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        self.modules = modules
        ends, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.ends = ends

    def serve(self) -> None:
        for source, do in ((sys.stdin, self.leave), (self.listener, self.begin), (self.ends, self.reap)):
            self.selector.register(source, selectors.EVENT_READ, do)
        while True:
            for key, _ in self.selector.select():
                key.data()

    def leave(self) -> None:
        for pid in self.callers:
            os.kill(pid, signal.SIGKILL)
        sys.exit(0)

    def begin(self) -> None:
        caller, _ = self.listener.accept()
        size, streams, _, _ = socket.recv_fds(caller, 8, 4)
        order = _all_of(caller, int.from_bytes(size, "big"))
        if not order:  # a caller that was killed before it had said what it wants
            for stream in streams:
                os.close(stream)
            caller.close()
            return
        words, environment = marshal.loads(order)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.listener.close()
            self.selector.close()
            known = loaded()
            code = become(words, environment, streams)
            teach(self.modules / str(os.getpid()), known)
            os._exit(code)
        for stream in streams:
            os.close(stream)
        self.callers[pid] = caller
        self.selector.register(caller, selectors.EVENT_READ, lambda: self.gone(pid))

    def gone(self, pid: int) -> None:
        """A caller was killed: nobody waits for the child any longer."""
        if pid in self.callers:  # else its child ended at the same moment
            self.selector.unregister(self.callers[pid])
            os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        os.read(self.ends, 1 << 10)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                caller = self.callers.pop(pid)
                with contextlib.suppress(KeyError):
                    self.selector.unregister(caller)
                with contextlib.suppress(OSError):
                    caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                caller.close()
                learn(self.modules / str(pid))


def _all_of(caller: socket.socket, size: int) -> bytes:
    """So many bytes; nothing where the caller has gone away before."""
    data = b""
    while len(data) < size:
        if not (piece := caller.recv(1 << 20)):
            return b""
        data += piece
    return data


def become(words: list[str], environment: dict[str, str], streams: list[int]) -> int:
    """Run what a caller asked for as the interpreter would; returns the exit code."""
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    os.fchdir(streams[3])
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    try:
        run(words)
        code: object = 0
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - a child may not return into its parent's loop
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    with contextlib.suppress(Exception):
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def run(words: list[str]) -> None:
    called, *rest = words
    sys.executable = str(Path(called).with_name("python"))
    if Path(called).name != "python":
        sys.argv = words
        importlib.import_module("batchflow.__main__").main()
        return
    while rest[0] == "-W":
        rest = rest[2:]
    kind, *arguments = rest
    if kind == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *arguments[1:]]
        exec(compile(arguments[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = rest
        sys.path.insert(0, str(Path(kind).resolve().parent))
        runpy.run_path(kind, run_name="__main__")


def main() -> None:
    warm_up()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        (modules := Path(sys.argv[1]).with_name("modules")).mkdir()
        parent = Parent(listener, modules)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        parent.serve()


if __name__ == "__main__":
    main()
