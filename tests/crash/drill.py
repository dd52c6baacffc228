"""Cut a pipeline at any of its places, run the same command again, finish, and compare with a run that was never cut.

A place is numbered by the cutter inside the process (commits, calls, renames, syncs, removals). A call is cut at a
third moment as well, which only the vendor knows: it has taken effect and its answer was not sent.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsed import Vendors
from runs import Order, Ran, Runner, bare

from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.server import KEY
from batchflow.rehearsal.site import Pace

ITEMS = 5
NAME = "b"
SETTINGS = """
[calls]
find_grace_s = 0
base_s = 0
cap_s = 0

[limits.{vendor}]
requests = 3
"""
KILLED = -9
LEDGER = {"batchflow.db", "batchflow.db-wal", "batchflow.db-shm", "batchflow.db.lock", "batchflow.toml"}
SAME = ("custom_id", "answer", "model", "outcome", "parsed", "error", "usage", "sample")  # of a row, in every run


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of the pipeline. codes: the exit codes that it may end with when it is run again."""

    verb: str
    arguments: tuple[str, ...]
    codes: frozenset[int] = frozenset({0})


def pipeline(vendor: str) -> tuple[Stage, ...]:
    """Every verb on one vendor, two parts a batch, judged by the vendor and by two rules.

    `get` and `score` come twice because the first look finds the job at work; cut after that look, they may find it
    done.
    """
    late = frozenset({0, 7})
    judges = f"{vendor},rule:exact,rule:normalised"
    score = ("score", NAME, "--refresh-after", "0", "--resamples", "200", "--json")
    get = ("get", NAME, "--refresh-after", "0")
    return (
        Stage("prepare", ("prepare", "--provider", vendor, "--limit", str(ITEMS), "--name", NAME)),
        Stage("start", ("start", NAME)),
        Stage("get", get, late),
        Stage("get", get),
        Stage("results", ("results", NAME)),
        Stage("jury", ("jury", f"results/{NAME}.jsonl", "--judges", judges, "--start")),
        Stage("score", score, late),
        Stage("score", score),
        Stage("delete", ("delete", NAME), frozenset({0, 4})),  # 4: cut behind its last effect, it finds nothing to do
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a run is cut: at the nth place of a stage, or, as `effect`, behind the effect of its nth call."""

    stage: int
    n: int
    effect: bool
    label: str

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Truth:
    """What a run has to end with, whatever was cut. creates: requests of each create that took effect, sorted."""

    rows: tuple[str, ...]
    score: str
    creates: tuple[int, ...]


class Failed(AssertionError):
    """A cut left something behind that it must not."""


@dataclass(slots=True)
class Drill:
    """One vendor's pipeline in one folder. The folder holds `work` (project, home, vendor) and a copy before each stage."""

    vendor: str
    folder: Path
    vendors: Vendors
    run: Runner
    stages: tuple[Stage, ...] = ()
    truth: Truth | None = None
    cuts: list[Cut] = field(default_factory=list)
    _score: str = ""

    # -- the run that is never cut

    def rehearse(self) -> None:
        """Run the pipeline once uncut: learn its places and what it ends with."""
        self.stages = self.stages or pipeline(self.vendor)
        (self.work / "project").mkdir(parents=True)
        (self.work / "home").mkdir()
        (self.work / "vendor").mkdir()
        self.scratch.mkdir()
        (self.work / "project" / "batchflow.toml").write_text(SETTINGS.format(vendor=self.vendor))
        for number, stage in enumerate(self.stages):
            if stage.verb == "delete":
                self.truth = self._found()
            shutil.copytree(self.work, self._copy(number))
            self.vendors.remember(self.work / "vendor")
            ran = self._ordered(stage)
            _expect(ran.code in stage.codes, "an uncut command failed", ran)
            self.cuts += self._cuts_of(number, ran)
        self._nothing_left("uncut")

    def _cuts_of(self, number: int, ran: Ran) -> Iterator[Cut]:
        verb = self.stages[number].verb
        for n, place in enumerate(ran.places, start=1):
            yield Cut(number, n, effect=False, label=f"{self.vendor} {number}-{verb} #{n} {place}")
        for n, (_, call) in enumerate(self.vendors.site.calls, start=1):
            yield Cut(number, n, effect=True, label=f"{self.vendor} {number}-{verb} call {n} {call} effect")

    # -- the runs that are cut

    def cut(self, cut: Cut) -> None:
        """One cut: kill, run again, finish, compare, delete. Raises Failed."""
        stage = self.stages[cut.stage]
        shutil.rmtree(self.work)
        shutil.copytree(self._copy(cut.stage), self.work)
        self.vendors.remember(self.work / "vendor", [_KILL_AFTER(cut.n)] if cut.effect else [])
        killed = self._ordered(stage, at=0 if cut.effect else cut.n)
        _expect(killed.code == KILLED, f"{cut}: it was not killed there", killed)
        again = self._ordered(stage)
        _expect(again.code in stage.codes, f"{cut}: run again, it failed", killed, again)
        self._finish(cut, again)

    def _finish(self, cut: Cut, again: Ran) -> None:
        """The rest of the pipeline, each verb once: from here on the vendor is quick."""
        self.vendors.site.pace = Pace(polls=0)
        rest = self.stages[cut.stage + 1 :]
        for number, stage in enumerate(rest):
            if stage.arguments in [later.arguments for later in rest[number + 1 :]]:
                continue
            if stage.verb == "delete":
                found = self._found()
                _expect(found == self.truth, f"{cut}: another end\n{found}\n{self.truth}", again)
            ran = self._ordered(stage)
            _expect(ran.code in stage.codes, f"{cut}: later, {stage.verb} failed", again, ran)
        self._nothing_left(str(cut))

    # -- what is looked at

    def _found(self) -> Truth:
        """The end of a run: rows of the results, the score, what the vendor accepted. Raises Failed for a request twice."""
        lines = (self.project / "results" / f"{NAME}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        made = [made for made in self.vendors.site.creates if made.vendor == self.vendor]
        sent = Counter(custom_id for create in made for custom_id in create.custom_ids)
        _expect(set(sent.values()) == {1}, f"requests were sent more than once: {sent}")
        answered = Counter(row["request"] for row in rows)
        _expect(set(answered.values()) == {1}, f"requests are answered more than once: {answered}")
        _expect(set(answered) <= set(sent), f"answers to what was never sent: {set(answered) - set(sent)}")
        check = self._ordered(Stage("check", ("ledger", "check")))
        _expect(check.code == 0, "the ledger contradicts itself", check)
        self._no_key()
        told = [json.dumps([row[key] for key in SAME]) for row in rows]
        return Truth(tuple(told), self._score, tuple(sorted(len(create.custom_ids) for create in made)))

    def _no_key(self) -> None:
        for path in (*self.project.rglob("*"), *(self.work / "home").rglob("*")):
            _expect(not path.is_file() or KEY.encode() not in path.read_bytes(), f"{path} holds a key")

    def _nothing_left(self, where: str) -> None:
        """After `delete` nothing of the batch is on disk."""
        found = {str(path.relative_to(self.project)) for path in self.project.rglob("*") if path.is_file()} - LEDGER
        _expect(not found, f"{where}: left after delete: {sorted(found)}")

    # -- running

    @property
    def work(self) -> Path:
        """The folder that is cut in."""
        return self.folder / "work"

    @property
    def project(self) -> Path:
        """The user's folder."""
        return self.work / "project"

    @property
    def scratch(self) -> Path:
        """Where runs leave their output and places."""
        return self.folder / "scratch"

    def order(self, stage: Stage, at: int = 0) -> Order:
        """A stage as an order to a runner."""
        home = str(self.work / "home")
        environment = bare() | self.vendors.environment | {"HOME": home, "BATCHFLOW_HOME": home}
        return Order(stage.arguments, self.project, environment, self.work, self.scratch, at)

    def _ordered(self, stage: Stage, at: int = 0) -> Ran:
        ran = self.run(self.order(stage, at), self.vendors.aim)
        _expect(KEY not in ran.out + ran.err, "a key was told", ran)
        if stage.verb == "score":
            self._score = ran.out
        return ran

    def _copy(self, number: int) -> Path:
        return self.folder / f"before-{number}"


def _KILL_AFTER(n: int) -> Fault:  # noqa: N802
    return Fault("kill", call="*", nth=n, when="after")


def _expect(holds: bool, what: str, *runs: Ran) -> None:
    if not holds:
        raise Failed("\n".join([what, *map(str, runs)]))


def sample(cuts: Sequence[Cut], most: int, seed: int) -> list[Cut]:
    """A seeded sample, in order, that holds at least one cut of every stage and kind of place."""
    draw = random.Random(seed)
    shuffled = draw.sample(list(cuts), len(cuts))
    first: dict[Any, Cut] = {}
    for cut in shuffled:
        first.setdefault((cut.stage, cut.label.partition(" ")[2].split("#")[-1].lstrip("0123456789 ")), cut)
    chosen = [*first.values(), *(cut for cut in shuffled if cut not in first.values())][:most]
    return sorted(chosen, key=lambda cut: (cut.stage, cut.effect, cut.n))
