"""What batches cost, from the vendor's usage to `results`, `list`, `show` and `score`."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from helpers.rehearsed import rehearsed

from batchflow.ledger.models import JOBS, REQUESTS

LUNA_IN, LUNA_OUT = 0.05, 0.25  # USD per million tokens of gpt-6-luna in a batch


@pytest.fixture
def vendor(tmp_path):
    with rehearsed(tmp_path) as made:
        yield made


def price(rows):
    used = [row["usage"] for row in rows if row["usage"]]
    return sum(one["input_tokens"] * LUNA_IN + one["output_tokens"] * LUNA_OUT for one in used) / 1e6


def cost(project, name):
    listed = {row["name"]: row["cost"] for row in project.ok("list")["batches"]}
    shown = project.ok("show", name)
    assert shown["cost"] == listed[name]
    return shown["cost"]


def test_a_batch_costs_what_its_rows_used_and_every_command_says_the_same(vendor):
    project = vendor.project
    vendor.prepare()
    assert cost(project, "b")["usd"] is None
    assert (cost(project, "b")["requests"], cost(project, "b")["open"]) == (0, 0)
    project.ok("start", "b")
    assert cost(project, "b")["open"] == 4
    project.run("get", "b", "--refresh-after", 0)
    told = project.ok("results", "b")["cost"]
    assert told["usd"] == pytest.approx(price(project.rows("results/b.jsonl")))
    assert told["usd"] > 0
    assert cost(project, "b") == told
    project.ok("jury", "results/b.jsonl", "--judges", "rule:exact", "--wait")
    scored = project.ok("score", "b")
    assert scored["cost"]["total"]["usd"] == told["usd"]
    assert scored["cost"]["jury"]["is_free"]
    assert project.ok("show", "b")["run_cost"] == scored["cost"]
    for words in (("results", "b"), ("list",), ("show", "b"), ("score", "b")):
        assert "$0.00" in project.run(*words).out
    assert "nothing (a rule: computed on this machine)" in project.run("show", "judge_b_by_rule_exact").out


def test_what_a_retry_replaced_was_paid_for_all_the_same(vendor):
    """The root's usage is gone from its rows once a retry's answer stands there, and stays in its bill."""
    project = vendor.project
    vendor.started()
    project.run("get", "b", "--refresh-after", 0)
    lines = [json.loads(line) for line in vendor.output().read_bytes().splitlines()]
    lines[0]["response"]["body"]["choices"][0]["message"]["content"] = "no JSON"
    vendor.output().write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    first = project.ok("results", "b")["cost"]["usd"]
    retry = project.ok("retry", "b", "--also", "unparsed")["name"]
    project.ok("start", retry)
    project.run("get", retry, "--refresh-after", 0)
    again = project.ok("results", retry)["cost"]["usd"]
    assert project.ok("results", "b")["cost"]["usd"] == first
    run = project.ok("show", retry)["run_cost"]
    assert (run["batch"]["usd"], run["retries"]["usd"]) == (first, again)
    assert run["total"]["usd"] == pytest.approx(first + again)
    assert "Run cost" in project.run("show", "b").out


def test_prices_that_come_later_are_taken_by_results(tmp_path):
    with rehearsed(tmp_path, name="gemini") as vendor:
        project = vendor.project
        vendor.finished("b", "--model", "gemini-4-carbon")
        told = cost(project, "b")
        assert (told["low_usd"], told["high_usd"], told["unknown"]) == (None, None, 4)
        shown = project.run("results", "b").out
        assert "price unknown for 4 requests" in shown
        assert "does not know gemini-4-carbon" in shown
        own = '[prices.gemini."gemini-4-carbon"]\ninput = 1\noutput = 5\n'
        (project.folder / "batchflow.toml").write_text(project.toml + own)
        rows = [row["usage"] for row in project.rows("results/b.jsonl")]
        wanted = sum(one["input_tokens"] + 5 * one["output_tokens"] for one in rows) / 1e6
        assert project.ok("results", "b")["cost"]["usd"] == pytest.approx(wanted)
        (project.folder / "batchflow.toml").write_text(project.toml + "[prices.gemini]\n'gemini-4*' = 3\n")
        assert "[prices.gemini.'gemini-4*']" in project.refused(2, "results", "b")


def test_an_older_ledger_and_a_vendor_that_tells_no_usage(vendor):
    project = vendor.project
    vendor.finished()
    told = cost(project, "b")
    with project.ledger() as ledger, ledger.write() as tx:
        tx.execute(sa.update(JOBS).values(usage=None, cost=None))
    assert cost(project, "b")["requests"] == 0
    assert project.ok("results", "b")["cost"] == told
    with project.ledger() as ledger, ledger.write() as tx:
        tx.execute(sa.update(REQUESTS).where(REQUESTS.c.item_id == "r1").values(input_tokens=None))
        tx.execute(sa.update(JOBS).values(usage=None, cost=None))
    blind = project.ok("results", "b")["cost"]
    assert (blind["high_usd"], blind["unknown"], blind["requests"]) == (None, 1, 4)
    assert blind["why"] == ["the vendor reports no usage for 1 answers"]
    assert 0 < blind["low_usd"] < told["usd"]
    assert "or more" in project.run("results", "b").out
