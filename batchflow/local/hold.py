"""`python -m batchflow.local.hold PARENT-PID COMMAND...`: the command, which the kernel kills when its parent dies."""

from __future__ import annotations

import os
import sys

from batchflow.local.llama import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))  # the wish survives exec (prctl(2), PR_SET_PDEATHSIG)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - a list, never a shell
