"""Chaos: processes on one ledger do seeded random commands on many batches while vendors fail and processes are killed.

Afterwards the faults end, every batch is brought to its end, and all is counted against the vendors' own memory. What a
process does is drawn from the seed; how the processes meet is up to the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from crash.runs import bare
from helpers import warm
from helpers.certificate import one_certificate
from helpers.commands import dataset

from batchflow.ledger import Ledger, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.rehearsal import server
from batchflow.rehearsal.fake_state import Pace, RemoteJob, Site
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import VENDORS
from batchflow.states import FINAL, NOT_OUT, UNSENT, Event, State

SETTINGS = "[calls]\ntries = 2\nbase_s = 0.05\ncap_s = 0.2\nfind_grace_s = 0.3\ncreate_s = 3\nlate_s = 1\n" + "".join(
    f"[limits.{vendor}]\nrequests = 3\nenqueued_jobs = 40\n" for vendor in VENDORS
)
COMMANDS = {  # how often each is drawn; `@` stands for a batch
    ("start", "@"): 5,
    ("get", "@", "--refresh-after", "0"): 5,
    ("results", "@"): 4,
    ("start", "@_retry_1"): 1,
    ("retry", "@"): 1,
    ("jury", "@", "--judges", "rule:exact"): 1,
    ("show", "@"): 1,
    ("list",): 1,
    ("ledger", "check"): 0.3,
    ("cancel", "@"): 0.2,
    ("delete", "@"): 0.2,
}
FAULTS = (
    {"call": "create", "kind": "status", "when": "after"},
    {"call": "create", "kind": "reset", "when": "after"},
    {"call": "create", "kind": "reset"},
    {"call": "create", "kind": "hang", "seconds": 0.4},
    {"call": "create", "kind": "status", "status": 429, "code": "token_limit_exceeded"},
    {"call": "upload", "kind": "status", "status": 503},
    {"call": "list", "kind": "status", "status": 500},
    {"call": "poll", "kind": "status", "status": 503},
    {"call": "poll", "kind": "html"},
    {"call": "download", "kind": "reset"},
    {"call": "job", "kind": "errors", "fraction": 0.4},
    {"call": "job", "kind": "missing", "fraction": 0.3},
    {"call": "job", "kind": "expire", "fraction": 0.5},
    {"call": "job", "kind": "queue_full", "vendor": "openai"},
    {"call": "job", "kind": "late_list", "polls": 1},
    {"call": "job", "kind": "late_file", "polls": 1},
    {"call": "job", "kind": "dirty"},
)
DATA = "d.jsonl"
KILLED = 0.3  # share of the commands that are killed
LONGEST_S = 1.5  # from a command's beginning to its kill
CODES = frozenset(range(8)) - {1}  # 1 is an error that nobody foresaw
ROUNDS = 8  # of every command for every batch, until all have ended


@dataclass(slots=True)
class Counts:
    """Findings of one run; all lists have to be empty."""

    commands: int = 0
    killed: int = 0
    jobs: int = 0
    creates: int = 0  # that took effect at the vendors, those of deleted batches included
    unsure: int = 0  # of which a person is told
    unforeseen: list[str] = field(default_factory=list)  # commands that ended with a traceback
    created_twice: list[str] = field(default_factory=list)  # parts with more creates than the vendor let go again
    unknown: list[str] = field(default_factory=list)  # batches at a vendor that no part knows of
    rows_lost: list[str] = field(default_factory=list)
    rows_doubled: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)  # states that contradict the vendor's memory
    open: list[str] = field(default_factory=list)  # parts that did not come to an end
    damage: list[str] = field(default_factory=list)  # findings of `ledger check`

    @property
    def wrong(self) -> dict[str, list[str]]:
        """All that should not have happened."""
        lists = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in lists.items() if isinstance(value, list) and value}


class Chaos:
    """One ledger, its project folder, and the rehearsed vendors behind it."""

    def __init__(
        self, folder: Path, up: server.Running, url: str | None, *, size: int, seed: int, has_store: bool = False
    ) -> None:
        self.folder, self.site, self.seed = folder, up.site, seed
        self.url = url or f"sqlite:///{folder / 'batchflow.db'}"
        self.store = folder / "store"
        self.names = [f"c{number:02}" for number in range(size)]
        self.counts = Counts()
        folder.mkdir()
        (folder / "batchflow.toml").write_text(SETTINGS)
        dataset(folder / DATA, count=8)
        self._environment = bare() | dict(up.environment) | {
            "HOME": str(folder), "BATCHFLOW_HOME": str(folder / "home"), "BATCHFLOW_TASK": "riddles",
            "BATCHFLOW_DATABASE_URL": self.url, "SSL_CERT_FILE": str(one_certificate(folder)),
        }  # fmt: skip
        if has_store:
            self.store.mkdir()
            self._environment["BATCHFLOW_STORE"] = f"file://{self.store}"
        self._lock = threading.Lock()

    def run(self, *, processes: int, seconds: float) -> Counts:
        """Let them loose for a while, bring every batch to its end, and count."""
        self.batchflow("ledger", "upgrade")
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(processes + 1) as crowd:
            crowd.submit(self._spoil, until)
            for done in [crowd.submit(self._act, number, until) for number in range(processes)]:
                done.result()
        self.site.faults = Faults()
        self._settle(processes)
        self._count()
        return self.counts

    def batchflow(self, *words: str, kill_after_s: float | None = None) -> subprocess.CompletedProcess[str]:
        """One command in a process of its own, killed where that is asked for and it lasts so long."""
        child = subprocess.Popen(
            [warm.batchflow(), *words], cwd=self.folder, env=self._environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = child.communicate(timeout=kill_after_s or 120)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            out, err = child.communicate()
        ran = subprocess.CompletedProcess(words, child.returncode, out, err)
        with self._lock:
            self.counts.commands += 1
            self.counts.killed += ran.returncode == -signal.SIGKILL
            if ran.returncode not in CODES | {-signal.SIGKILL} or "Traceback" in err:
                self.counts.unforeseen.append(f"{' '.join(words)} -> {ran.returncode}: {err[-2000:]}")
        return ran

    def _act(self, number: int, until: float) -> None:
        """One of the processes' lives: a random command after the other."""
        dice = random.Random(f"{self.seed}-{number}")
        while time.monotonic() < until:
            name = dice.choice(self.names)
            (words,) = dice.choices(list(COMMANDS), list(COMMANDS.values()))
            kill_after_s = dice.uniform(0.0, LONGEST_S) if dice.random() < KILLED else None
            if not (self.folder / "processed_files" / f"{name}.jsonl").exists() and dice.random() < 0.7:
                words = self._prepared(name)
            self.batchflow(*(word.replace("@", name) for word in words), kill_after_s=kill_after_s)

    def _prepared(self, name: str) -> tuple[str, ...]:
        number = self.names.index(name)
        vendor, rows = VENDORS[number % len(VENDORS)], 4 + number % 4
        return "prepare", "--provider", vendor, "--dataset", DATA, "--limit", str(rows), "--name", name

    def _spoil(self, until: float) -> None:
        """Something goes wrong at the vendors again and again."""
        dice = random.Random(f"{self.seed}-faults")
        while time.monotonic() < until:
            self.site.faults = Faults([Fault(**fault) for fault in dice.sample(FAULTS, 4)])
            time.sleep(dice.uniform(0.2, 1.0))

    def _settle(self, processes: int) -> None:
        """Bring every batch to its end, as its user would."""
        for _ in range(ROUNDS):
            names = [name for name in self._listed() if not self._is_over(name)]
            with ThreadPoolExecutor(processes) as crowd:
                list(crowd.map(self._finish, names))
            if not names:
                return
            time.sleep(0.5)  # until a killed create counts as ended, and late rows as missing

    def _finish(self, name: str) -> None:
        self.batchflow("start", name)
        for _ in range(2):
            self.batchflow("get", name, "--refresh-after", "0")
        self.batchflow("results", name)

    def _listed(self) -> list[str]:
        ran = self.batchflow("list", "--json")
        return [row["name"] for row in json.loads(ran.stdout)["batches"] if row["provider"] in VENDORS]

    def _is_over(self, name: str) -> bool:
        with self.ledger() as ledger, ledger.read() as tx:
            return all(job.state in FINAL | {State.UNSURE} for job in jobs.of_batch(tx, batches.get(tx, name).id))

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        ledger = Ledger.open(self.url)
        try:
            yield ledger
        finally:
            ledger.close()

    def recounted(self) -> Counts:
        """The counts of everything as it is now."""
        self.counts = Counts()
        self._count()
        return self.counts

    def _count(self) -> None:
        counts = self.counts
        with self.ledger() as ledger:
            counts.creates = len(self.site.creates)
            counts.damage += self._damage()
            with ledger.read() as tx:
                for batch in batches.listing(tx):
                    if batch.provider not in VENDORS:
                        continue
                    parts = jobs.of_batch(tx, batch.id)
                    for job in parts:
                        ids = frozenset(request_rows.custom_ids(tx, job.id))
                        bounced = {
                            str(event.detail["was"])
                            for event in jobs.history(tx, batch.id)
                            if event.job_id == job.id and event.event is Event.BOUNCE
                        }
                        self._compare(
                            batch, job, ids, bounced, stopped=any(each.state is State.UNSURE for each in parts)
                        )
                    tally = request_rows.tally(tx, batch.id)
                    if all(job.state is State.FETCHED for job in parts):
                        self._compare_rows(batch, tally.outcomes)

    def _damage(self) -> list[str]:
        """Findings of `ledger check`, which looks at the files and at the store as well."""
        ran = self.batchflow("ledger", "check", "--json")
        return list(json.loads(ran.stdout)["problems"]) if ran.stdout else [ran.stderr]

    def _compare(
        self, batch: BatchRecord, job: JobRecord, ids: frozenset[str], bounced: set[str], *, stopped: bool
    ) -> None:
        """One part against the vendor's memory.

        bounced: those of its batches that found no room after all. stopped: another part waits for a person, and
        nothing more of its batch is sent until then.
        """
        counts, where = self.counts, f"{batch.name} ({batch.provider}), part {job.part}"
        created = [
            one.job_id for one in self.site.creates if one.vendor == batch.provider and ids == set(one.custom_ids)
        ]
        counts.jobs += 1
        counts.unsure += job.state is State.UNSURE
        if len(created) > 1 + len(bounced):
            counts.created_twice.append(f"{where}: {created}")
        if missed := set(created) - bounced - {job.remote_id}:
            if job.state is not State.UNSURE:
                counts.unknown.append(f"{where}: {missed}, state {job.state}")
        elif job.state not in FINAL | {State.UNSURE, State.REFUSED} and not (stopped and job.state in NOT_OUT):
            counts.open.append(f"{where}: {job.state}, {job.error}")
        if job.remote_id and (why := _contradiction(job, self.site, batch.provider)):
            counts.untrue.append(f"{where}: {why}")
        if job.state in UNSENT | {State.CANCELLED} and set(created) - bounced:
            counts.untrue.append(f"{where}: {job.state}, and the vendor has {created}")

    def _compare_rows(self, batch: BatchRecord, outcomes: Mapping[str, int]) -> None:
        if batch.retries_id is not None:
            return  # its answers stand in the batch that it retries
        path = self.folder / (batch.results_path or f"results/{batch.name}.jsonl")
        rows = (
            Counter(json.loads(line)["request"] for line in path.read_text("utf-8").splitlines())
            if path.exists()
            else None
        )
        if rows is None or len(rows) < batch.n_requests or sum(outcomes.values()) < batch.n_requests:
            self.counts.rows_lost.append(
                f"{batch.name}: {len(rows or ())} rows of {batch.n_requests}, {dict(outcomes)}"
            )
        if rows is not None and rows.total() > len(rows):
            self.counts.rows_doubled.append(f"{batch.name}: {rows.total()} rows, {len(rows)} requests")


def _contradiction(job: JobRecord, site: Site, vendor: str) -> str:
    """How a part's state contradicts what the vendor holds; empty where it does not."""
    remote: RemoteJob | None = next((one for one in site.jobs(vendor) if one.id == job.remote_id), None)
    if remote is None:
        return f"{job.state}, and the vendor has no {job.remote_id}"
    if job.state in {State.ENDED, State.FETCHED} and not remote.ended:
        return f"{job.state}, and at the vendor {remote.stand}"
    return ""


@contextlib.contextmanager
def vendors(folder: Path) -> Iterator[server.Running]:
    """The rehearsed vendors, whose batches are done after two looks."""
    with server.running(folder, pace=Pace(polls=2)) as up:
        yield up


def let_loose(
    folder: Path, url: str | None = None, *, processes: int = 8, size: int = 50, seconds: float = 300.0, seed: int = 0,
    has_store: bool = False,
) -> Counts:  # fmt: skip
    """One run in a new folder. url: of the ledger, None for a SQLite file in that folder."""
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - a folder that a test may have made
    with vendors(folder / "vendors") as up:
        chaos = Chaos(folder / "project", up, url, size=size, seed=seed, has_store=has_store)
        return chaos.run(processes=processes, seconds=seconds)
