"""Seeded runs under a cap: a batch, its retries and its juries, killed anywhere, and the vendors' bill for it.

The bill is the rehearsed vendors' own, priced by genai-prices itself: what is tested has no part in it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crash.bench import KILLED, Bench, expect
from crash.rehearsed import Vendors
from crash.runs import Ran, Runner
from genai_prices import Usage, calc_price

from batchflow.prices.catalogue import NAMES
from batchflow.rehearsal.faults import Fault
from batchflow.settings import VENDORS

NAME = "b"
PLACES = 90  # a command passes about as many
DISCOUNTED = frozenset(VENDORS) - {"together"}


@dataclass
class Spending:
    """One run. cap: USD, once it is chosen. counted: what happened, so that a drill in which nothing does is seen."""

    vendor: str
    bench: Bench
    draw: random.Random
    cap: float | None = None
    counted: Counter[str] = field(default_factory=Counter)

    def bill(self) -> float:
        """USD of everything that the vendors have worked on."""
        seen = {(row["job"], row["custom_id"]): row for row in self.bench.vendors.site.bill()}
        return sum(map(price, seen.values()))

    def run(self, *arguments: str, codes: frozenset[int] = frozenset({0})) -> Ran:
        """Run a command, perhaps killed on its way, and again until it ends; the cap has to hold all the time."""
        for _ in range(4):
            at = self.draw.randrange(1, PLACES) if self.draw.random() < 0.5 else 0
            ran = self.bench.batchflow(*arguments, at=at)
            self._check(ran)
            if ran.code != KILLED:
                break
            self.counted["killed"] += 1
        else:
            ran = self.bench.batchflow(*arguments)
            self._check(ran)
        expect(ran.code in codes, f"seed's command ended with {ran.code}", ran)
        return ran

    def _check(self, ran: Ran) -> None:
        spent = self.bill()
        expect(self.cap is None or spent <= self.cap, f"the bill is ${spent:.6f}, the cap ${self.cap}", ran)

    def start(self, name: str, *flags: str) -> bool:
        """Send a batch; False where the cap forbids it."""
        ran = self.run("start", name, *flags, codes=frozenset({0, 5, 6, 7}))
        if ran.code == 6 and "unsure" in ran.err + ran.out:
            self.counted["resent"] += 1
            ran = self.run("start", name, "--resend", codes=frozenset({0, 5, 6, 7}))
        refused = "nothing was sent" in ran.err
        self.counted["refused" if refused else "sent"] += 1
        return not refused

    def collect(self, name: str) -> None:
        """Look until it is done, and fetch it."""
        late = frozenset({0, 5, 6, 7})
        for _ in range(4):
            if self.run("get", name, "--refresh-after", "0", codes=late).code == 0:
                break
        self.run("results", name, "--refresh-after", "0", codes=late)


def price(row: dict[str, Any]) -> float:
    """What one entry of the bill costs."""
    used = Usage(
        input_tokens=row["input_tokens"], cache_read_tokens=row["cached_tokens"],
        cache_write_tokens=row["written_tokens"], cache_write_1h_tokens=row["written_1h_tokens"],
        output_tokens=row["output_tokens"],
    )  # fmt: skip
    told = calc_price(
        used, row["model"].removeprefix("models/"), provider_id=NAMES.get(row["vendor"], row["vendor"]),
        genai_request_timestamp=datetime.now(UTC),
        price_context={"processing": "batch"} if row["vendor"] in DISCOUNTED else None,
    )  # fmt: skip
    return float(told.total_price)


def spend(seed: int, folder: Path, vendors: Vendors, run: Runner) -> Spending:
    """One seeded run to its end. Raises Failed where a cap is passed, or the ledger's bill is not the vendors'."""
    draw = random.Random(seed)
    vendor = VENDORS[seed % len(VENDORS)]
    made = Spending(vendor, Bench(vendor, folder, vendors, run, part=draw.choice((3, 1000))), draw)
    _remember(made)
    count, own = draw.randrange(5, 12), list[str]()
    if seed % 12 == 1:  # every second one of Anthropic's: its requests share a beginning that it is asked to keep
        count, own = 12, ["--template", _long_template(made.bench.project)]
    if seed % 3 == 2:
        _compare(made, *_one_command(made, count))
        return made
    told = made.bench.succeed(
        "prepare", "--provider", vendor, "--limit", str(count), "--name", NAME, "--max-tokens", "2100", "--json", *own
    )
    high = json.loads(told.out)["estimate"]["high_usd"]
    made.cap = high * draw.choice((0.6, 1.05, 1.5, 2.5, 6.0))
    flags = ["--max-cost", repr(made.cap), *(["--canary", "2"] if draw.random() < 0.3 else [])]
    if made.start(NAME, *flags):
        _go_on(made)
    _compare(made, NAME)
    return made


def _one_command(made: Spending, count: int) -> tuple[str, ...]:
    """Two batches of one `run` under one cap, again and again until it ends; returns their names."""
    (made.bench.project / "e.toml").write_text(
        f'models = ["{made.vendor}"]\nlimit = {count}\nhints = [0, 1]\nname = "{NAME}"\nmax_tokens = 2100\n'
        f'judges = ["{made.vendor}", "rule:exact"]\nretries = 1\n'
    )
    ran = made.bench.succeed("run", "e.toml", "--until", "prepare", "--json")
    told = json.loads(ran.out)
    made.cap = told["estimate"]["high_usd"] * made.draw.choice((0.6, 1.0, 1.05, 1.5, 2.5))
    words = ("run", "e.toml", "--detach", "--refresh-after", "0", "--until", "score")
    flags = ["--canary", "2"] if made.draw.random() < 0.3 else []
    for turn in range(12):
        cap = ("--max-cost", repr(made.cap)) if turn == 0 or made.draw.random() < 0.5 else ()  # it stands with the run
        ran = made.run(*words, *cap, *flags, codes=frozenset({0, 5, 6, 7}))
        if ran.code == 0 or "nothing was sent" in ran.err:
            break
        made.run("tick", "--refresh-after", "0", codes=frozenset({0, 5, 6, 7}))
    made.counted["one command" if ran.code == 0 else "one command, cut short"] += 1
    made.counted["refused" if "nothing was sent" in ran.err else "sent"] += 1
    return tuple(row["name"] for row in told["batches"])


def _long_template(folder: Path) -> str:
    """A prompt whose system text is long enough for any model's cache."""
    text = "You solve riddles. " + "Words may mislead, and a trap is often in one of them. " * 450
    (folder / "long.txt").write_text(f"{text}\n\n=== user turn ===\nQuestion: {{description}}\n")
    return "long.txt"


def _remember(made: Spending) -> None:
    """Let half the rows of some jobs fail, and answers be of any length."""
    script = [Fault("errors", call="job", times=2, fraction=0.4)] if made.draw.random() < 0.7 else []
    made.bench.remember(script)
    site = made.bench.vendors.site
    site.rule = replace(site.rule, rambling=0.5)


def _go_on(made: Spending) -> None:
    """What comes after the first start: the canary's rest, retries, a jury and its retry."""
    late = frozenset({0, 3, 5, 6, 7})
    made.collect(NAME)
    made.start(NAME)
    made.collect(NAME)
    for _ in range(2):
        ran = made.run("retry", NAME, "--json", codes=frozenset({0, 2, 3, 6, 7}))
        if ran.code:
            break
        (name,) = (row["name"] for row in json.loads(ran.out)["batches"])  # the standing one, if still to be fetched
        if made.start(name):
            made.collect(name)
    judges = f"{made.vendor},rule:exact"
    ran = made.run("jury", f"results/{NAME}.jsonl", "--judges", judges, codes=late)
    if ran.code == 0:
        made.run("jury", f"results/{NAME}.jsonl", "--judges", judges, "--start", codes=late)
        for name in _judges(made):
            made.collect(name)
        made.run("jury", NAME, "--retry", "--start", codes=frozenset({0, 2, 3, 5, 6, 7}))
        for name in _judges(made):
            made.collect(name)


def _judges(made: Spending) -> list[str]:
    listed = json.loads(made.bench.succeed("list", "--json").out)["batches"]
    return [row["name"] for row in listed if row["kind"] == "judge"]


def _compare(made: Spending, *names: str) -> None:
    """Where all that was sent came back, the ledger's bill is the vendors'."""
    shown = [made.bench.succeed("show", name, "--json") for name in names]
    ran, totals = shown[-1], [json.loads(one.out)["batches"][0]["run_cost"]["total"] for one in shown]
    if any(total["open"] for total in totals) or made.counted["resent"]:
        made.counted["open"] += 1
        return
    spent, told = made.bill(), sum(total["usd"] or 0.0 for total in totals)
    expect(abs(spent - told) < 1e-9 + 1e-6 * spent, f"the vendors bill ${spent:.8f}, the ledger ${told:.8f}", ran)
    made.counted["compared"] += 1
