"""Verifier classes of somebody else's file, run in a process of their own with limits on time and memory.

The process sees no environment but PATH and the locale, so it holds no key. A class that loops, allocates, exits or
prints costs the verdict on one row: its process is killed, and another one takes the next row.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Json

CHILD = Path(__file__).with_name("child.py")
SCRIPT = "script"
"""Option of a judge batch, and key of its lines, that names the script."""
TIMEOUT_S, MEMORY_MB = 30.0, 4096
LOADING_S = 60.0  # a verifier may import numpy, sympy and the like
_KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "HOME")


def is_script(text: str) -> bool:
    """Tells whether a rule's name is `FILE.py` or `FILE.py:Class`."""
    return text.endswith(".py") or ".py:" in text


def absolute(judge: str) -> str:
    """A judge's name with the whole path of its script, where it is one: a run goes on from any folder."""
    word, colon, text = judge.partition(":")
    return f"{word}:{Path(text).absolute()}" if colon and is_script(text) else judge


class Ruling(NamedTuple):
    """A verifier's value of one answer, 0 to 1, and what it extracted of it: any JSON value, None for nothing."""

    value: float
    extracted: Any


class VerifierError(Exception):
    """A verifier gave no verdict. Its text says why."""


@dataclass(frozen=True, slots=True)
class Script:
    """A file with verifier classes. name: the class; empty where each row's `data_source` names it.

    sha256: of the file. timeout_s: for one answer. memory_mb: of its process.
    """

    path: str
    name: str
    sha256: str
    timeout_s: float = TIMEOUT_S
    memory_mb: int = MEMORY_MB

    @classmethod
    def of(cls, text: str, *, timeout_s: float = TIMEOUT_S, memory_mb: float = MEMORY_MB) -> Self:
        """The script that `FILE.py` or `FILE.py:Class` names. Raises UsageError for a file that cannot be read."""
        file, name = (text, "") if text.endswith(".py") else text.rsplit(":", 1)
        path = Path(file).absolute()
        if path.suffix != ".py" or not path.is_file():
            raise UsageError(f"--verifier {text}: there is no such Python file", hint="--verifier FILE.py:Class")
        return cls(str(path), name, files.sha256(path), float(timeout_s), int(memory_mb))

    @classmethod
    def recorded(cls, record: Json) -> Self:
        """The script that a line names. Raises TypeError for a record that is none."""
        return cls(**record)

    @property
    def label(self) -> str:
        """Its name as a judge: `FILE.py:Class`."""
        return Path(self.path).name + (f":{self.name}" if self.name else "")

    def record(self) -> Json:
        """Record of it in a line."""
        return asdict(self)

    def check(self) -> None:
        """Load it once. Raises UsageError where it cannot be loaded, or has no such class."""
        with contextlib.closing(Process(self)):
            return


class Process:
    """A process with one script. Raises UsageError where it cannot be loaded, DataError where it was changed."""

    def __init__(self, script: Script) -> None:
        path = Path(script.path)
        if not path.is_file() or files.sha256(path) != script.sha256:
            raise DataError(
                f"{path}: the verifier {'was changed' if path.exists() else 'is gone'} since it was named",
                hint="put the old file back, or ask the new one under another file name: batchflow jury --verifier",
            )
        self._script = script
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(CHILD), script.path, script.name, str(script.memory_mb)],
            cwd=path.parent,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            reply = self._reply(None, LOADING_S)
        except VerifierError as error:
            reply = {"error": str(error)}
        if "error" in reply:
            self.close()
            raise UsageError(f"verifier {script.label} cannot be loaded: {reply['error']}", hint=f"fix {script.path}")

    @property
    def alive(self) -> bool:
        """Tells whether it can take another row."""
        return self._process.poll() is None

    def ask(self, row: Mapping[str, Any]) -> Ruling:
        """The ruling on one answer. Raises VerifierError; after a time-out or an exit the process is gone."""
        reply = self._reply(files.dumps(row) + b"\n", self._script.timeout_s)
        if "error" in reply:
            raise VerifierError(str(reply["error"]))
        return Ruling(float(reply["value"]), reply.get("extracted"))

    def _reply(self, line: bytes | None, limit_s: float) -> Json:
        process, late = self._process, threading.Event()
        rows, answers = process.stdin, process.stdout
        if rows is None or answers is None:  # both are pipes: for mypy
            raise VerifierError("its process has no pipes")

        def stop() -> None:
            late.set()
            self._kill()

        watch = threading.Timer(limit_s, stop)
        watch.daemon = True
        watch.start()
        try:
            if line is not None:
                rows.write(line)
                rows.flush()
            reply = answers.readline()
        except OSError:
            reply = b""
        finally:
            watch.cancel()
        if reply.endswith(b"\n"):
            parsed: Json = files.loads(reply)
            return parsed
        self._kill()
        code = process.wait()
        raise VerifierError(f"no verdict within {limit_s:g} s" if late.is_set() else f"its process ended ({code})")

    def _kill(self) -> None:
        """Kill it with all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill it, and let go of its pipes."""
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Sandbox:
    """The processes of the scripts that a file of answers names, one each, started when first needed."""

    def __init__(self) -> None:
        self._running: dict[Script, Process] = {}

    def ask(self, script: Script, row: Mapping[str, Any]) -> Ruling:
        """The ruling on one answer. Raises VerifierError, UsageError, DataError."""
        process = self._running.get(script)
        if process is None or not process.alive:
            if process is not None:
                process.close()
            self._running[script] = process = Process(script)
        return process.ask(row)

    def close(self) -> None:
        """End all processes."""
        for process in self._running.values():
            process.close()
        self._running.clear()


@contextlib.contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A sandbox for as long as the block lasts."""
    running = Sandbox()
    try:
        yield running
    finally:
        running.close()
