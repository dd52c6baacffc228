"""Machines of a test: the same commands on one project folder and ledger, under host names of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from helpers.commands import Project

HOSTNAME = "import os, socket\nsocket.gethostname = lambda: os.environ['HOST_OF_TEST']\n"


class Host:
    """A machine that shares ledger and project folder with others."""

    def __init__(self, project: Project, name: str, folder: Path) -> None:
        self.project, self.name = project, name
        (folder / "sitecustomize.py").write_text(HOSTNAME)
        root = Path(__file__).parents[2]
        self._environment = {**os.environ, **project.environment, "HOST_OF_TEST": name}
        self._environment["PYTHONPATH"] = f"{folder}{os.pathsep}{root}"

    def begin(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "batchflow", *map(str, words)]
        return subprocess.Popen(
            command, cwd=self.project.folder, env=self._environment, text=True, stdout=-1, stderr=-1
        )

    def ok(self, *words: object) -> str:
        """The output of a command that has to succeed."""
        child = self.begin(*words)
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, (out, err)
        return out
