"""A batch over a vendor's limit: several jobs, one batch, one results file."""

from __future__ import annotations

import pytest
from helpers.commands import IMPATIENT
from helpers.rehearsed import rehearsed

LOWERED = f"{IMPATIENT}[limits.openai]\nrequests = 50\n"


@pytest.fixture
def lowered(tmp_path):
    """A rehearsed OpenAI that takes fifty requests a job."""
    with rehearsed(tmp_path, toml=LOWERED) as made:
        yield made


def test_a_split_batch_completes_and_merges(lowered):
    lowered.started(count=120)
    assert [len(made.custom_ids) for made in lowered.site.creates] == [50, 50, 20]
    lowered.project.ok("get", "b", "--wait", "--refresh-after", 0)
    report = lowered.project.ok("results", "b")
    assert report["finished"]
    assert report["outcomes"] == {"ok": 120}
    assert [row["custom_id"] for row in lowered.project.rows("results/b.jsonl")] == [f"r{n}" for n in range(1, 121)]


def test_a_part_that_fails_costs_its_own_rows_only(lowered):
    lowered.fault("errors", call="job", nth=2, fraction=1.0)
    lowered.started(count=120)
    lowered.project.ok("get", "b", "--wait", "--refresh-after", 0)
    assert lowered.project.ok("results", "b")["outcomes"] == {"error": 50, "ok": 70}
    rows = lowered.project.rows("results/b.jsonl")
    assert [row["outcome"] for row in rows] == ["ok"] * 50 + ["error"] * 50 + ["ok"] * 20
