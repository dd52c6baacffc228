"""A command and all that it starts, which end together.

`python -m batchflow.local.process.process_group PARENT-PID COMMAND...`

A server of several processes leaves some of them behind when one is killed: vLLM 0.32's EngineCore and its workers live
on, with the memory of the GPU, when the API server is gone by `kill -9`. So the command runs in a process group of its
own with this process as the leader, and the whole group is killed as soon as the command ended or the parent is gone
(parent 0: there is none, it stays). SIGTERM and SIGINT are handed on, and the command has all the time it needs to end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

from batchflow.local.process.llama import die_with

LOOK_S = 0.1


def hold(parent: int, command: list[str]) -> None:
    """Run the command until it ends or the parent is gone, then kill the group, this process included."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    child = _start(command)

    def hand_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it ended a moment ago
            os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    while os.waitpid(child, os.WNOHANG) == (0, 0) and (not parent or os.getppid() == parent):
        time.sleep(LOOK_S)
    os.killpg(0, signal.SIGKILL)


def _start(command: list[str]) -> int:
    """Fork and exec; a command that cannot be run says why and ends with 127, as in a shell."""
    here = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        die_with(here)  # the wish survives exec (prctl(2), PR_SET_PDEATHSIG)
        os.execvp(command[0], command)  # noqa: S606 - a list, never a shell
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log file
    finally:
        os._exit(127)


if __name__ == "__main__":
    hold(int(sys.argv[1]), sys.argv[2:])
