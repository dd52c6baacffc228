"""Name under which this program was called, and the project that it is about. Imports little: `--help` needs it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path

NAME = "batchflow"
BEHIND = "batchflow.project"
"""Key of the --project that is typed behind a command, among a context's `meta`."""


def program() -> str:
    """Returns the name of this program where PATH finds it, else its path or `python -m batchflow` as typed."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == NAME:
        return f"{_python()} -m {NAME}"
    if called.stem != NAME or len(called.parts) == 1:
        return NAME
    if (on_path := shutil.which(NAME)) and Path(on_path).exists() and called.exists() and called.samefile(on_path):
        return NAME
    path = shlex.quote(sys.argv[0])
    return path if os.access(called, os.X_OK) else f"{_python()} {path}"


def _python() -> str:
    """The interpreter: its short name where that finds the same one."""
    here = Path(sys.executable)
    path = shutil.which("python")
    # not resolved: each virtual environment's interpreter is a link to the same file
    return "python" if path and Path(path).absolute() == here.absolute() else shlex.quote(str(here))


def project_above(folder: Path) -> Path:
    """The nearest folder from here upwards that is a project, else `folder` itself.

    One that belongs to somebody else is none: its batchflow.toml would decide where keys are sent.
    """
    for above in (folder, *folder.parents):
        for name in ("batchflow.toml", "batchflow.db"):
            with suppress(OSError):
                if {(above / name).stat().st_uid, above.stat().st_uid} == {os.getuid()} or above == folder:
                    return above
    return folder
