"""Runs the command line in forked children of a warm process: real processes that a real SIGKILL ends, without the
start-up time. Reads one JSON order a line on stdin, answers with two lines: the child's pid, then its exit code
(negative: the signal that ended it).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import cutter
from helpers.warm_up import learn, loaded, teach, warm_up

LIMIT_S = 120


def main() -> None:
    """Serve until stdin ends."""
    warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(order)
        _tell(child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        learn(Path(order["output"]).with_suffix(".modules"))
        _tell(code)


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _run(order: dict[str, Any]) -> None:
    """Become the command that was ordered; never returns."""
    code, known = 70, loaded()
    try:
        os.setsid()
        signal.alarm(LIMIT_S)  # a command that hangs fails its test instead of hanging it
        _redirect(order["output"])
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["batchflow", *order["arguments"]]
        cutter.from_environment()
        code = _exit_code()
    except BaseException:  # noqa: BLE001 - a child may not return into its parent's loop
        traceback.print_exc()
    teach(Path(order["output"]).with_suffix(".modules"), known)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _redirect(output: str) -> None:
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _exit_code() -> int:
    from batchflow.cli.main import main as command_line

    try:
        command_line()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


if __name__ == "__main__":
    main()
