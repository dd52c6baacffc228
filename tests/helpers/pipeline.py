"""The whole pipeline against the rehearsed vendors: their server, and the commands to run outside this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from batchflow import settings
from batchflow.rehearsal import server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.steps.workers.rehearse import known_answers

JUDGES = "gemini,anthropic,mistral"


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
