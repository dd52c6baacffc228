"""--max-cost: nothing is sent that could pass it."""

from __future__ import annotations

import os
import threading

import pytest
from helpers.rehearsed import rehearsed

from batchflow.errors import NeedsYou
from batchflow.settings import load
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.caps import CAP
from batchflow.steps.verbs.submission.start import StartOptions, start_all

ABOVE = 6


@pytest.fixture
def vendor(tmp_path):
    with rehearsed(tmp_path) as made:
        yield made


def high(project, name):
    return project.ok("estimate", name, "--no-jury")["high_usd"]


def test_what_could_pass_the_cap_is_refused_before_anything_is_sent(vendor):
    project = vendor.project
    vendor.prepare("b", "--max-tokens", 3_000)
    most = high(project, "b")
    said = project.refused(ABOVE, "start", "b", "--max-cost", most * 0.99)
    assert "nothing was sent" in said
    assert vendor.calls("create") == 0
    project.refused(ABOVE, "start", "b")  # the cap stands
    project.ok("start", "b", "--max-cost", most * 1.01)
    assert vendor.calls("create") == 1


def test_a_run_counts_its_retries_and_its_jury(vendor):
    project = vendor.project
    vendor.prepare("b", "--max-tokens", 3_000)
    most = high(project, "b")
    project.ok("start", "b", "--max-cost", most * 1.5)
    project.run("get", "b", "--refresh-after", 0)
    project.ok("results", "b")
    judges = ("--judges", "openai:gpt-6-luna", "--start")
    assert "nothing was sent" in project.refused(ABOVE, "jury", "b", *judges)  # 128,000 tokens a verdict
    assert vendor.calls("create") == 1
    project.ok("jury", "b", *judges, "--max-cost", 5)
    shown = project.ok("show", "b")
    assert shown["made"][CAP] == 5
    assert shown["run_cost"]["jury"]["open"] == 4


def test_experience_lets_more_through(vendor):
    """The limit alone is the upper end until five answers were seen; then it is what they were like."""
    project = vendor.project
    vendor.prepare("b", count=8)
    project.refused(ABOVE, "start", "b", "--max-cost", 0.2)  # without a limit: 128,000 tokens an answer
    project.ok("start", "b", "--canary", 5, "--max-cost", 0.2)
    project.run("get", "b", "--refresh-after", 0)
    project.ok("start", "b")
    assert vendor.calls("create") == 2
    assert high(project, "b") < 0.01


def test_an_unknown_price_under_a_cap_is_refused_with_what_to_do(tmp_path):
    with rehearsed(tmp_path, name="gemini") as vendor:
        vendor.prepare("b", "--model", "gemini-4-carbon")
        said = vendor.project.refused(ABOVE, "start", "b", "--max-cost", 100)
        assert "its price is not known" in said
        assert "[prices.gemini.'gemini-4-carbon'] in batchflow.toml" in said
        assert vendor.calls("create") == 0


def test_a_cap_without_anything_to_send_is_a_slip(vendor):
    vendor.prepare("b")
    assert "--start or --wait" in vendor.project.refused(2, "jury", "b", "--max-cost", 1)
    assert vendor.project.run("start", "b", "--max-cost", "nan").code == 2


def test_of_two_that_start_at_once_one_is_refused(vendor):
    """Each fits alone: the reservation of one is seen by the other, however their steps interleave."""
    project = vendor.project
    vendor.finished("b", "--max-tokens", 3_000)
    for judge in ("gpt-6-luna", "gpt-5.4-mini"):
        project.ok("jury", "b", "--judges", f"openai:{judge}")
    names = [row["name"] for row in project.ok("list")["batches"] if row["kind"] == "judge"]
    mosts = [high_of_judge(project, name) for name in names]
    cap, barrier, ended = max(mosts) * 1.05, threading.Barrier(2), []
    settings = load(project.folder, {**os.environ, **project.environment})

    def begin(name):
        with project.ledger() as ledger:
            barrier.wait()
            try:
                start_all(Context(ledger, settings), [name], StartOptions(max_cost=cap))
                ended.append(name)
            except NeedsYou as error:
                ended.append(error)

    threads = [threading.Thread(target=begin, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    refused = [one for one in ended if isinstance(one, NeedsYou)]
    assert len(ended) == 2
    assert len(refused) == 1
    assert vendor.calls("create") == 2  # the batch itself, and one judge


def high_of_judge(project, name):
    rows = project.ok("estimate", "b")["batches"]
    return next(row["estimate"]["high_usd"] for row in rows if row["name"] == name)
