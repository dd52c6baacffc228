"""Counts that never move, or never come: `get`, `show` and `watch` tell so instead of showing 0 % for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from helpers.commands import IMPATIENT
from helpers.rehearsed import rehearsed

from batchflow.ledger import jobs

PARTS = f"{IMPATIENT}[limits.openai]\nrequests = 3\n"


@pytest.fixture
def slow(tmp_path):
    """A vendor that takes four looks for a job; a batch of four requests has two."""
    with rehearsed(tmp_path, polls=4, toml=PARTS) as up:
        yield up


def looked(vendor, times=1):
    for _ in range(times):
        vendor.project.run("get", "b", "--refresh-after", 0)


def long_ago(vendor):
    """Set back by 20 minutes what was heard of the first job's counts."""
    with vendor.project.ledger() as ledger, ledger.write() as tx:
        job = jobs.get(tx, 1)
        back = timedelta(minutes=20)
        jobs.note(tx, 1, counted_at=job.counted_at - back, accepted_at=job.accepted_at - back)


def cards(vendor):
    """The cards of `get`, `show` and `watch`, each in one line."""
    return [" ".join(vendor.project.run(*words).out.split()) for words in (("get", "b"), ("show", "b"), ("watch", "b"))]


def test_counts_that_stand_still_are_said_and_those_of_rows_that_are_here_are_their_own(slow):
    slow.fault("still_counts", call="job")
    slow.started("b")
    looked(slow)
    assert not any("stand still" in card for card in cards(slow))  # it is early
    long_ago(slow)
    looked(slow)
    for card in cards(slow):
        assert "openai has counted 0 of 3 requests since " in card
        assert card.count("stand still") == 1  # the other job's counts move
    document = slow.project.run("watch", "b", "--json").json
    assert [job["counting"] for job in document["batches"][0]["jobs"]] == ["still", "moves"]
    problem = document["batches"][0]["jobs"][0]["problem"]
    assert (problem["kind"], problem["needs_you"]) == ("counts", False)
    with slow.project.ledger() as ledger, ledger.write() as tx:  # the other job takes a while longer
        jobs.note(tx, 2, next_check_at=jobs.get(tx, 2).checked_at + timedelta(hours=1))
    looked(slow, 2)
    assert slow.project.run("results", "b", "--json").json["outcomes"] == {"ok": 3}
    counts = slow.project.run("get", "b", "--json").json["counts"]
    assert counts["failed"] == 0
    assert counts["done"] >= 3


def test_a_vendor_that_sends_no_counts_is_not_shown_at_nothing_done(slow):
    slow.fault("no_counts", call="job", times=0)
    slow.started("b")
    looked(slow)
    got, shown, watched = cards(slow)
    for card in (got, shown):
        assert "Requests: 4: not counted by its vendor" in card
        assert (
            "job 1: openai counts nothing before the end: how many requests are done is known once the batch has ended"
            in card
        )
    assert "?/4" in watched
    document = slow.project.run("get", "b", "--json").json
    assert {job["counting"] for job in document["jobs"]} == {"none"}
    looked(slow, 4)
    assert slow.project.ok("results", "b")["outcomes"] == {"ok": 4}


def test_counts_that_move_are_said_to(slow):
    slow.started("b")
    looked(slow)
    long_ago(slow)
    looked(slow)  # a row more
    document = slow.project.run("get", "b", "--json").json
    assert [job["counting"] for job in document["jobs"]] == ["moves", "moves"]


def test_a_vendor_that_counts_at_the_end_alone_does_not_stand_still(tmp_path):
    """Anthropic's counts are zero until all of a batch has ended."""
    with rehearsed(tmp_path, polls=4, name="anthropic") as vendor:
        vendor.fault("still_counts", call="job", times=0)
        vendor.started("b")
        looked(vendor)
        long_ago(vendor)
        looked(vendor)
        for card in cards(vendor)[:2]:
            assert "stand still" not in card
            assert "anthropic counts nothing before the end" in card
