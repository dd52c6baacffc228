"""A project folder and the real command line on it, in this process: as a stranger types it, only quicker."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import warm

from batchflow.cli.main import main
from batchflow.ledger import Ledger

IMPATIENT = "[calls]\ntries = 2\nbase_s = 0\ncap_s = 0\nfind_grace_s = 0\ncreate_s = 0\n"
"""batchflow.toml without waiting: a test's vendors answer at once or never."""

# Several commands in one child: what the SDKs leave open dies with it.
CHILD = """
import json, sys
from click.testing import CliRunner
from batchflow.cli.main import cli
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    print(json.dumps([done.return_value or 0, done.stdout, done.stderr, repr(done.exception)]))
"""


class Document(dict[str, Any]):
    """A command's document. A key that it lacks is looked up in its one batch, or its one jury: most tests ask one."""

    def __missing__(self, key: str) -> Any:
        for rows in (self.get("juries"), self.get("batches")):
            if rows and len(rows) == 1 and key in rows[0]:
                return rows[0][key]
        raise KeyError(key)


@dataclass(frozen=True)
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return documented(json.loads(self.out))


def documented(value: Any) -> Any:
    """What stands on stdout: a document, or the value of a command that prints something else."""
    return Document(value) if isinstance(value, dict) else value


@dataclass
class Project:
    """A folder with batchflow.toml, and the environment in which commands run."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    toml: str = IMPATIENT

    def __post_init__(self) -> None:
        self.environment.setdefault("BATCHFLOW_TASK", "riddles")  # the data sets of most tests hold riddles
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "batchflow.toml").write_text(self.toml)

    def run(self, *words: object) -> Ran:
        """`batchflow WORDS` in the project's folder."""
        out, err = io.StringIO(), io.StringIO()
        streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with _arguments(words), _set(self.environment), contextlib.chdir(self.folder), streams[0], streams[1]:
            try:
                main()
                code: Any = 0
            except SystemExit as left:
                code = left.code
        return Ran(int(code or 0), out.getvalue(), err.getvalue())

    def ok(self, *words: object) -> Any:
        """The document of a command that has to succeed."""
        ran = self.run(*words, "--json")
        assert ran.code == 0, ran
        return ran.json

    def refused(self, code: int, *words: object) -> str:
        """What stderr says when a command is refused with this exit code: a text, never a traceback."""
        ran = self.run(*words)
        assert ran.code == code, ran
        assert "Traceback" not in ran.err
        assert "please report it" not in ran.err
        assert ran.out == ""
        return ran.err

    def outside(self, *commands: str, within: bool = False) -> list[Any]:
        """Commands that ask vendors, in one child process; all have to succeed. Returns the document of each.

        within: the process stands in the project's folder, so that paths in the commands are relative to it.
        """
        lines = [["--project", str(self.folder), *command.split(), "--json"] for command in commands]
        child = subprocess.run(
            [warm.python(), "-c", CHILD, json.dumps(lines)],
            env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120, check=True,
            cwd=self.folder if within else None,
        )  # fmt: skip
        said = [json.loads(line) for line in child.stdout.splitlines()]
        for command, (code, out, err, error) in zip(commands, said, strict=True):
            assert code == 0, (command, out, err, error)
        return [documented(json.loads(out)) for _, out, _, _ in said]

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        url = self.environment.get("BATCHFLOW_DATABASE_URL", f"sqlite:///{self.folder / 'batchflow.db'}")
        opened = Ledger.open(url)
        try:
            yield opened
        finally:
            opened.close()

    def files(self) -> set[str]:
        """Every file of the project but the ledger's own, relative."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.folder))
            for path in found
            if not path.name.startswith("batchflow.") and ".locks" not in path.parts
        }

    def rows(self, relative: str) -> list[dict[str, Any]]:
        """The rows of a JSON Lines file."""
        return [json.loads(line) for line in (self.folder / relative).read_bytes().split(b"\n") if line]


@contextlib.contextmanager
def _arguments(words: tuple[object, ...]) -> Iterator[None]:
    before, sys.argv = sys.argv, ["batchflow", *map(str, words)]
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def riddle(number: int, **fields: Any) -> dict[str, Any]:
    """A row of a riddle data set."""
    filled = {"id": f"r{number}", "category": "arithmetic", "description": f"What is {number} and one?"}
    filled |= {"picarats": 10 * number, "first_hint": "Count.", "answer": str(number + 1), "split": "llm"}
    return filled | {"justification": f"{number} + 1 = {number + 1}"} | fields


def dataset(path: Path, rows: list[dict[str, Any]] | None = None, *, count: int = 4) -> Path:
    """A JSON Lines data set in a file."""
    rows = rows if rows is not None else [riddle(number) for number in range(1, count + 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
