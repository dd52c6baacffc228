"""Cut a pipeline at any of its places, run the same command again, finish, and compare with a run that was never cut.

A place is numbered by the cutter inside the process (commits, calls, renames, syncs, removals). A call is cut at a
third moment as well, which only the vendor knows: it has taken effect and its answer was not sent.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crash.bench import ITEMS, KILLED, NAME, RETRY, Bench, expect
from crash.rehearsed import Vendors
from crash.runs import Ran, Runner

from batchflow import files
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.rehearsal.server import KEY

PART = 3  # requests a job: two jobs a batch
STAYS = {  # after `delete`
    "batchflow.toml",
    "processed_files/.locks/place",  # the folder's own mark
    *(f"batchflow.db{end}" for end in ("", "-wal", "-shm", ".lock")),
}
SAME = ("custom_id", "answer", "model", "outcome", "parsed", "error", "usage", "sample")  # of a row, in every run


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of the pipeline. codes: the exit codes that it may end with when it is run again.

    lap: what came before can be compared here with a run that was never cut.
    """

    verb: str
    arguments: tuple[str, ...]
    codes: frozenset[int] = frozenset({0})
    lap: bool = False
    fails: float = 0.0  # share of the rows that fail in the jobs that it creates

    def script(self) -> list[Fault]:
        """What the vendor does wrong meanwhile."""
        return [Fault("errors", call="job", times=0, fraction=self.fails)] if self.fails else []


def pipeline(vendor: str) -> tuple[Stage, ...]:
    """Every verb on one vendor: two parts a batch, rows that fail and are retried, judged by the vendor and two rules.

    `get` and `score` come twice because the first look finds the job at work; cut after that look, they may find it
    done.
    """
    late = frozenset({0, 7})
    judges = f"{vendor},rule:exact,rule:normalised"
    score = ("score", NAME, "--refresh-after", "0", "--resamples", "200", "--json")
    results = ("results", NAME, "--refresh-after", "0")
    get, get_again = (("get", name, "--refresh-after", "0") for name in (NAME, RETRY))
    return (
        Stage("prepare", ("prepare", "--provider", vendor, "--limit", str(ITEMS), "--name", NAME)),
        Stage("start", ("start", NAME), fails=0.5),
        Stage("get", get, late),
        Stage("get", get),
        Stage("results", results, lap=True),
        Stage("retry", ("retry", NAME)),
        Stage("start", ("start", RETRY)),
        Stage("get", get_again, late),
        Stage("get", get_again),
        Stage("results", results, lap=True),
        Stage("jury", ("jury", f"results/{NAME}.jsonl", "--judges", judges, "--start")),
        Stage("score", score, late),
        Stage("score", score, lap=True),
        Stage("delete", ("delete", NAME), frozenset({0, 4})),  # 4: cut behind its last effect, it has nothing to do
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a run is cut: at the nth place of a stage, or, for kind `effect`, behind the effect of its nth call."""

    stage: int
    verb: str
    kind: str  # commit, call, rename, sync, remove, store; effect
    n: int
    text: str

    @property
    def is_effect(self) -> bool:
        """Whether the vendor does it."""
        return self.kind == "effect"

    def __str__(self) -> str:
        return f"{self.stage}-{self.verb}, {self.n}: {self.text}"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a lap has to end with, whatever was cut. creates: requests of each create that took effect, sorted."""

    rows: tuple[str, ...]
    score: str
    creates: tuple[int, ...]


class Drill:
    """One vendor's pipeline in one folder: once uncut, with a copy before each stage, then cut as often as wanted."""

    def __init__(self, vendor: str, folder: Path, vendors: Vendors, run: Runner, *, has_store: bool = False) -> None:
        self.bench = Bench(vendor, folder, vendors, run, part=PART, has_store=has_store)
        self.stages = pipeline(vendor)
        self.cuts: list[Cut] = []
        self._score = ""
        self._truths: dict[int, Truth] = {}
        self._rehearse()

    def _rehearse(self) -> None:
        """Run the pipeline uncut: learn its places and what its laps end with."""
        for number, stage in enumerate(self.stages):
            self.bench.keep(f"before-{number}")
            self.bench.remember(stage.script())
            ran = self._run(stage)
            expect(ran.code in stage.codes, "an uncut command failed", ran)
            self.cuts += self._cuts_of(number, ran)
            if stage.lap:
                self._truths[number] = self._found()
        self._nothing_left("uncut")

    def _cuts_of(self, number: int, ran: Ran) -> Iterator[Cut]:
        verb = self.stages[number].verb
        for n, place in enumerate(ran.places, start=1):
            yield Cut(number, verb, place.partition(" ")[0], n, place)
        for n, (_, call) in enumerate(self.bench.vendors.site.calls, start=1):
            yield Cut(number, verb, "effect", n, f"behind the effect of call {call}")

    def places(self, number: int, run: Runner | None = None) -> list[str]:
        """The places of a stage, run uncut once more, without what is made up anew each time."""
        stage = self.stages[number]
        self.bench.restore(f"before-{number}")
        self.bench.remember(stage.script())
        return [re.sub(r"\w*[0-9a-f]{12}\w*", "ID", place) for place in self._run(stage, run=run).places]

    def cut(self, cut: Cut, run: Runner | None = None, *, whole_way: bool = True) -> None:
        """One cut: kill, run again, go on, compare, delete. Raises Failed.

        whole_way: to the end of the pipeline; else only to the end of the lap, where the same is compared.
        """
        stage, site = self.stages[cut.stage], self.bench.vendors
        self._score = ""
        self.bench.restore(f"before-{cut.stage}")
        deadly = [Fault("kill", nth=cut.n, when="after")] if cut.is_effect else []
        self.bench.remember([*stage.script(), *deadly])
        killed = self._run(stage, at=0 if cut.is_effect else cut.n, run=run)
        expect(killed.code == KILLED, f"{cut}: it was not killed there", killed)
        if self.bench.has_store or stage.verb == "delete":
            self._sound(killed)
        site.site.faults = Faults(stage.script())
        again = self._run(stage, run=run)
        expect(again.code in stage.codes, f"{cut}: run again, it failed", killed, again)
        site.site.pace = Pace(polls=0)  # from here on the vendor is quick
        for number in self._rest(cut.stage, whole_way=whole_way):
            self._go_on(cut, number, again)
        self._nothing_left(str(cut))

    def _sound(self, killed: Ran) -> None:
        """Whatever was cut, the ledger names nothing that is gone."""
        if (self.bench.project / "batchflow.db").exists():
            ran = self.bench.batchflow("ledger", "check", "--json")
            found = json.loads(ran.out)["problems"] if ran.out else [f"{ran}"]
            gone = [text for text in found if re.search(r"absent in the store|is gone:", text)]
            expect(bool(ran.out) and not gone, f"named, and gone: {gone}", killed, ran)

    def _rest(self, done: int, *, whole_way: bool) -> list[int]:
        """Numbers of the stages that follow a cut one, which is among them where its end is to be compared."""
        last = len(self.stages) - 1
        numbers = [n for n in range(done, last) if n == done or self._moves_on(n)]
        if not whole_way and (laps := [n for n in numbers if self.stages[n].lap]):
            numbers = numbers[: numbers.index(laps[0]) + 1]
        return [*numbers, *([last] if done < last else [])]

    def _moves_on(self, number: int) -> bool:
        """Whether a stage is needed: `results` and `score` ask for themselves, and a quick vendor is asked once."""
        stage, following = self.stages[number], self.stages[number + 1]
        return stage.verb != "get" and stage.arguments != following.arguments

    def _go_on(self, cut: Cut, number: int, again: Ran) -> None:
        """Run a later stage, and compare where a lap ends."""
        stage = self.stages[number]
        if number != cut.stage:
            self.bench.vendors.site.faults = Faults(stage.script())
            ran = self._run(stage)
            expect(ran.code in stage.codes, f"{cut}: later, {stage.verb} failed", again, ran)
        if stage.lap:
            found, truth = self._found(), self._truths[number]
            expect(found == truth, f"{cut}: another end of {number}-{stage.verb}\n{found}\n{truth}", again)

    def _run(self, stage: Stage, *, at: int = 0, run: Runner | None = None) -> Ran:
        if self.bench.has_store:  # as on a host that has nothing yet; verdicts of rules are an own engine's
            for path in (self.bench.project / "processed_files").glob("[!.]*"):
                if "_by_rule_" not in path.name:
                    path.unlink()
        ran = self.bench.batchflow(*stage.arguments, at=at, run=run)
        if stage.verb == "score":
            self._score = ran.out
        return ran

    def _found(self) -> Truth:
        """The end of a run. Raises Failed for a request sent or answered twice, a contradiction, or a key on disk."""
        rows = [row for _, row in files.objects(self.bench.project / "results" / f"{NAME}.jsonl")]
        made = self.bench.vendors.site.creates
        sent = Counter(custom_id for create in made for custom_id in create.custom_ids)
        answered = Counter(row["request"] for row in rows)
        expect(set(sent.values()) == {1}, f"requests were sent more than once: {sent}")
        expect(set(answered.values()) == {1}, f"requests are answered more than once: {answered}")
        expect(set(answered) <= set(sent), f"answers to what was never sent: {set(answered) - set(sent)}")
        self.bench.succeed("ledger", "check")
        for path in self.bench.files():
            expect(KEY.encode() not in path.read_bytes(), f"{path} holds a key")
        told = tuple(json.dumps([row[key] for key in SAME]) for row in rows)
        return Truth(told, self._score, tuple(sorted(len(create.custom_ids) for create in made)))

    def _nothing_left(self, where: str) -> None:
        """After `delete` nothing of the batch is on disk."""
        kept = set(self.bench.home.glob("prices/genai-prices-*.json"))  # looked up once for all projects
        left = {str(path.relative_to(self.bench.folder)) for path in self.bench.files() if path not in kept}
        left -= {f"work/project/{name}" for name in STAYS}
        expect(not left, f"{where}: left after delete: {sorted(left)}")


def sample(cuts: Sequence[Cut], most: int, seed: int) -> list[Cut]:
    """A seeded sample that goes round the verbs and kinds of place, so that none of them is left out for long."""
    draw = random.Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    ranked: list[tuple[int, Cut]] = []
    for cut in draw.sample(list(cuts), len(cuts)):
        ranked.append((seen[cut.verb, cut.kind], cut))
        seen[cut.verb, cut.kind] += 1
    ranked.sort(key=lambda pair: pair[0])  # the first of each verb and kind, then the second of each, ...
    return sorted((cut for _, cut in ranked[:most]), key=lambda cut: (cut.stage, cut.is_effect, cut.n))
