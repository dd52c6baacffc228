"""A project folder whose commands run in this process, and the rehearsed vendors, which child processes ask."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from batchflow import settings
from batchflow.cli.main import cli
from batchflow.rehearsal import server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.rehearsal.site import Pace
from batchflow.steps.rehearse import known_answers

JUDGES = "gemini,anthropic,mistral"

# Several commands in one child: the SDKs are imported once, and what they leave open dies with it.
CHILD = """
import json, sys
from click.testing import CliRunner
from batchflow.cli.main import cli
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    print(json.dumps([done.return_value or 0, done.stdout, done.stderr, repr(done.exception)]))
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """A folder with a ledger."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.environment = dict(environment or {})

    def run(self, *words: object) -> Said:
        """A command that asks no vendor."""
        done = CliRunner().invoke(cli, ["--project", str(self.folder), *map(str, words)], standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return Said(getattr(done.exception, "exit_code", 1), done.stdout, f"{done.stderr}{done.exception}")
        return Said(int(done.return_value or 0), done.stdout, done.stderr)

    def ok(self, *words: object) -> Any:
        """The JSON of a command that has to succeed."""
        said = self.run(*words, "--json")
        assert said.code == 0, said
        return said.json

    def refused(self, *words: object) -> str:
        """What a command that has to fail says, with what to do."""
        said = self.run(*words)
        assert said.code not in {0, 1}, said
        assert "Traceback" not in said.err
        return said.err

    def outside(self, *commands: str) -> list[Any]:
        """Commands against the vendors, in one child process: the JSON of each."""
        lines = [["--project", str(self.folder), *command.split(), "--json"] for command in commands]
        child = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CHILD, json.dumps(lines)],
            env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        said = [json.loads(line) for line in child.stdout.splitlines()]
        for command, (code, out, err, error) in zip(commands, said, strict=True):
            assert code == 0, (command, out, err, error)
        return [json.loads(out) for _, out, _, _ in said]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").splitlines()]


def to_results(name: str = "p", *, provider: str = "openai", limit: int = 24, more: str = "") -> list[str]:
    """The commands that end in a batch with results."""
    return [
        f"prepare --provider {provider} --name {name} --limit {limit} {more}",
        f"start {name}",
        f"get {name} --wait --refresh-after 0",
        f"results {name}",
    ]


def to_votes(name: str = "p", judges: str = JUDGES, more: str = "") -> list[str]:
    """The commands that end in a finished jury."""
    return [f"jury {name} --judges {judges} --wait --refresh-after 0 {more}"]


@contextlib.contextmanager
def rehearsed(folder: Path, *faults: Fault, right: float = 0.7, judge_error: float = 0.1) -> Iterator[server.Running]:
    """The rehearsed vendors, told the built-in riddles' answers."""
    known = oracle(known_answers(settings.load(folder, {})))
    rule = Rule(0, right, judge_error, known)
    with server.running(folder, rule=rule, faults=Faults(faults), pace=Pace(polls=1)) as running:
        yield running
