"""Two ways to run the command line as a process of its own that can be cut: forked from a warm parent, or whole."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHILD = Path(__file__).with_name("child")
ROOT = Path(__file__).parents[2]  # this checkout, whatever else is installed
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Order:
    """One command. at: the place to die at, 0 for none. inside: only renames and removals below it are places."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    inside: Path
    scratch: Path
    at: int = 0

    def variables(self) -> dict[str, str]:
        """The environment with the cutter's own variables; the list of places starts empty."""
        places = self.scratch / "places"
        places.unlink(missing_ok=True)
        cut = {"CRASH_CUT_AT": str(self.at), "CRASH_PLACES": str(places), "CRASH_INSIDE": str(self.inside)}
        return {**self.environment, **cut}

    def ran(self, code: int, out: str, err: str) -> Ran:
        """What became of it."""
        places = self.scratch / "places"
        passed = places.read_text().splitlines() if places.exists() else []
        return Ran(self.arguments, code, out, err, tuple(passed))


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended. code: its exit code, or the negative signal. places: those it passed, in order."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        return f"batchflow {' '.join(self.arguments)} -> {self.code}\n{self.out}{self.err}"


class Runner(Protocol):
    """Runs one command to its end. on_pid is told the process group once it exists."""

    def __call__(self, order: Order, on_pid: Callable[[int], None] = ...) -> Ran: ...


def _nobody(_: int) -> None:
    return None


def whole(order: Order, on_pid: Callable[[int], None] = _nobody) -> Ran:
    """`python -m batchflow ...`, from the interpreter's first instruction."""
    child = begin(order)
    on_pid(child.pid)
    out, err = child.communicate(timeout=TIMEOUT_S)
    return order.ran(child.returncode, out, err)


def begin(order: Order) -> subprocess.Popen[str]:
    """Start `python -m batchflow ...` in a process group of its own."""
    environment = {**order.variables(), "PYTHONPATH": f"{CHILD}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-m", "batchflow", *order.arguments],
        cwd=order.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


class Nursery:
    """A warm parent; see child/nursery.py."""

    def __init__(self, parent: subprocess.Popen[str]) -> None:
        self._parent = parent

    def __call__(self, order: Order, on_pid: Callable[[int], None] = _nobody) -> Ran:
        """Run one command in a forked child."""
        output = order.scratch / "output"
        self._order(
            {
                "arguments": order.arguments,
                "folder": str(order.folder),
                "environment": order.variables(),
                "output": str(output),
            }
        )
        on_pid(self._answer())
        code = self._answer()
        out, err = (output.with_suffix(end).read_text() for end in (".out", ".err"))
        return order.ran(code, out, err)

    def _order(self, order: Mapping[str, object]) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()

    def _answer(self) -> int:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        if not line:
            raise RuntimeError("the nursery died")
        return int(line)


@contextlib.contextmanager
def nursery(environment: Mapping[str, str]) -> Iterator[Nursery]:
    """A warm parent for as long as the block lasts."""
    command: Sequence[str] = [sys.executable, str(CHILD / "nursery.py")]
    with subprocess.Popen(
        command,
        env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        try:
            yield Nursery(parent)
        finally:
            assert parent.stdin is not None
            parent.stdin.close()
            parent.wait(TIMEOUT_S)


def bare() -> dict[str, str]:
    """The least environment that a command needs."""
    kept = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}
