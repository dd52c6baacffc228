"""A rehearsed vendor for a test: the server, its memory, and a project that is pointed at it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.commands import IMPATIENT, Project, dataset

from batchflow.rehearsal import server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import ACCESS

KNOWN = Rule(right=1.0, judge_error=0.0, oracle=oracle((f"What is {n} and one?", str(n + 1)) for n in range(1, 40)))


class Rehearsed:
    """One vendor as far as the project can tell; the others have no key."""

    def __init__(self, up: server.Running, project: Project, name: str = "openai") -> None:
        self.up, self.site, self.project, self.name = up, up.site, project, name

    def calls(self, verb: str) -> int:
        return sum(1 for _, call in self.site.calls if call == verb)

    def fault(self, kind: str, **facts: Any) -> None:
        self.site.faults.add(Fault(kind, **facts))

    def output(self, job: int = 0) -> Path:
        """The output file of a job that has ended, as the vendor keeps it: a test may write anything into it."""
        return self.site.path(self.name, self.site.jobs(self.name)[job].outputs["output"])

    def prepare(self, name: str = "b", *flags: object, count: int = 4) -> str:
        path = dataset(self.project.folder / f"{name}-data.jsonl", count=count)
        model = ("--model", "gpt-6-luna") if self.name == "openai" else ()
        given = ("--provider", self.name, *model, "--name", name)
        self.project.ok("prepare", *given, "--dataset", path.name, *flags)
        return name

    def started(self, name: str = "b", *flags: object, count: int = 4) -> str:
        self.project.ok("start", self.prepare(name, *flags, count=count))
        return name

    def ended(self, name: str = "b", *flags: object, count: int = 4) -> str:
        self.started(name, *flags, count=count)
        for _ in range(self.site.pace.polls):
            self.project.run("get", name, "--refresh-after", 0)
        return name

    def finished(self, name: str = "b", *flags: object, count: int = 4) -> str:
        self.project.ok("results", self.ended(name, *flags, count=count))
        return name


@contextlib.contextmanager
def rehearsed(
    folder: Path, *, polls: int = 1, rule: Rule = KNOWN, toml: str = IMPATIENT, name: str = "openai"
) -> Iterator[Rehearsed]:
    """A vendor's protocol on loopback, and a project whose only key is for it."""
    with server.running(folder / "vendor", rule=rule, faults=Faults(), pace=Pace(polls)) as up:
        access = ACCESS[name]
        environment = {one: up.environment[one] for one in (*access.base_urls, *access.keys) if one in up.environment}
        yield Rehearsed(up, Project(folder / "project", environment, toml), name)
