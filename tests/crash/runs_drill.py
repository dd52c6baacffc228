"""`batchflow run` killed at any of its places and run again: on a vendor or an own engine, judged by rules too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crash.bench import ITEMS, KILLED, NAME, Bench, expect
from crash.drill import SAME, Cut
from crash.rehearsed import Vendors
from crash.runs import ROOT, Ran, Runner
from helpers.engine import Engine

from batchflow import files
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.rehearsal.server import KEY

PART = 3  # requests a job: two jobs a batch
STAGES = ("--precision", "1", "--first-stage", "2")
"""Flags of a run in stages that goes to its end: 2, 3 and 5 items."""
SCORED = ("answered", "retries", "judges", "lost_votes", "score", "ci_low", "ci_high", "due", "stages")


@dataclass(frozen=True, slots=True)
class End:
    """What a run ends with, whatever was cut. creates: requests of each create, sorted. asked: of an own engine."""

    rows: tuple[str, ...]
    scored: tuple[str, ...]
    creates: tuple[int, ...]
    asked: int


class RunsDrill:
    """One provider's run in one folder: once uncut, then cut as often as wanted. engine: for `local`. more: flags."""

    def __init__(
        self,
        provider: str,
        folder: Path,
        vendors: Vendors,
        run: Runner,
        engine: Engine | None = None,
        more: tuple[str, ...] = (),
    ) -> None:
        self.engine = engine
        self.bench = Bench(provider, folder, vendors, run, part=PART)
        self.arguments = (
            *("run", "--provider", provider, "--limit", str(ITEMS), "--name", NAME, "--retries", "1"),
            *("--refresh-after", "0", "--json", *self._judges(provider), *more),
        )
        if engine is not None:  # its worker is a process of its own, which has to find this checkout
            self.bench.more["PYTHONPATH"] = str(ROOT)
        self.bench.keep("before")
        self._begin()
        ran = self._run()
        expect(ran.code == 0, "an uncut run failed", ran)
        self.end = self._found(ran)
        self.cuts = list(self._cuts(ran))

    def _judges(self, provider: str) -> tuple[str, ...]:
        if self.engine is None:
            return ("--judges", f"{provider},rule:exact")
        more = ("--model", self.engine.model, "--base-url", self.engine.url)
        return ("--judges", "rule:exact,rule:normalised", *more)

    def _begin(self, deadly: tuple[Fault, ...] = ()) -> None:
        """A vendor whose first job has rows that fail for a passing reason, once."""
        self._faults = [Fault("errors", call="job")]
        self.bench.remember([*self._faults, *deadly])
        if self.engine is not None:
            self.engine.calls.clear()

    def _cuts(self, ran: Ran) -> Iterator[Cut]:
        for n, place in enumerate(ran.places, start=1):
            yield Cut(0, "run", place.partition(" ")[0], n, place)
        for n, (_, call) in enumerate(self.bench.vendors.site.calls, start=1):
            yield Cut(0, call, "effect", n, f"behind the effect of call {call}")

    def cut(self, cut: Cut) -> None:
        """One cut: kill, run again, compare. Raises Failed."""
        self.bench.restore("before")
        self._begin((Fault("kill", nth=cut.n, when="after"),) if cut.is_effect else ())
        killed = self._run(at=0 if cut.is_effect else cut.n)
        expect(killed.code == KILLED, f"{cut}: it was not killed there", killed)
        site = self.bench.vendors.site
        site.faults = Faults(self._faults)
        site.pace = Pace(polls=0)  # from here on the vendor is quick
        again = self._run()
        expect(again.code == 0, f"{cut}: run again, it failed", killed, again)
        found = self._found(again)
        expect(found == self.end, f"{cut}: another end\n{found}\n{self.end}", killed, again)

    def _run(self, *, at: int = 0) -> Ran:
        return self.bench.batchflow(*self.arguments, at=at)

    def _found(self, ran: Ran) -> End:
        """The end of a run. Raises Failed for a request sent or answered twice, a contradiction, or a key on disk."""
        (row,) = json.loads(ran.out)["batches"]
        rows = [found for _, found in files.objects(self.bench.project / "results" / f"{NAME}.jsonl")]
        made = self.bench.vendors.site.creates
        sent = Counter(custom_id for create in made for custom_id in create.custom_ids)
        expect(not sent or set(sent.values()) == {1}, f"requests were sent more than once: {sent}", ran)
        answered = Counter(found["request"] for found in rows)
        expect(set(answered.values()) == {1}, f"requests are answered more than once: {answered}", ran)
        self.bench.succeed("ledger", "check")
        for path in self.bench.files():
            expect(KEY.encode() not in path.read_bytes(), f"{path} holds a key")
        told = tuple(json.dumps([found[key] for key in SAME]) for found in rows)
        asked = len(self.engine.calls) if self.engine else 0
        sizes = tuple(sorted(len(create.custom_ids) for create in made))
        return End(told, tuple(json.dumps(row[key]) for key in SCORED), sizes, asked)
