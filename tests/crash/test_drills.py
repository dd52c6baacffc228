"""The vendor accepted a batch and the answer never came: it ends with exactly one batch there, and all its results."""

from __future__ import annotations

import json

import pytest
from crash.bench import ITEMS, KILLED, NAME, Bench
from helpers.crossed import crossed

from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault
from batchflow.settings import VENDORS

ACCIDENTS = ("kill", "reset", "status")  # `status` is a 500; tests/vendors/test_contract.py has every pair


@pytest.mark.parametrize(("vendor", "accident"), crossed(VENDORS, ACCIDENTS, each=1))
def test_one_batch_whatever_became_of_the_answer(vendor, accident, tmp_path, rehearsed, forked):
    bench = Bench(vendor, tmp_path / "bench", rehearsed, forked)
    bench.succeed("prepare", "--provider", bench.vendor, "--limit", str(ITEMS), "--name", NAME)
    bench.vendors.site.faults.add(Fault(accident, call="create", when="after"))
    first = bench.batchflow("start", NAME)
    assert first.code == (KILLED if accident == "kill" else 0), first
    bench.succeed("start", NAME)
    bench.vendors.site.pace = Pace(polls=0)
    bench.succeed("results", NAME, "--refresh-after", "0")
    assert [len(made.custom_ids) for made in bench.vendors.site.creates] == [ITEMS]
    rows = [json.loads(line) for line in (bench.project / "results" / f"{NAME}.jsonl").read_text("utf-8").splitlines()]
    assert [row["outcome"] for row in rows] == ["ok"] * ITEMS
    assert len({row["request"] for row in rows}) == ITEMS
