"""Snapshots of batches at a rehearsed vendor, read from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from helpers.commands import IMPATIENT
from helpers.rehearsed import rehearsed

from batchflow import settings
from batchflow.ledger import jobs
from batchflow.states import Stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.expected_end import Basis
from batchflow.steps.watching.reading import ProgressReader
from batchflow.steps.watching.snapshot import ProblemKind

PRICED = f'{IMPATIENT}[prices.openai."gpt-6-luna"]\ninput = 1.0\noutput = 2.0\n'


@pytest.fixture
def slow(tmp_path):
    """A vendor that takes ten looks for a batch, and whose price is known."""
    with rehearsed(tmp_path, polls=10, toml=PRICED) as made:
        yield made


def read(vendor, *names, troubles=None, clock=lambda: datetime.now(UTC)):
    with vendor.project.ledger() as ledger:
        context = Context(ledger, settings.load(vendor.project.folder), clock=clock)
        return ProgressReader(context).read(names or None, troubles)


def only(vendor, *names, **facts):
    return read(vendor, *names, **facts).batches[0]


def looked_at(vendor, times):
    for _ in range(times):
        vendor.project.run("get", "b", "--refresh-after", 0)


def test_from_not_sent_to_fetched(slow):
    slow.prepare("b", count=20)
    before = only(slow, "b")
    assert (before.stage, before.done, before.end, before.unknown_end) == (
        Stage.PREPARED,
        0,
        None,
        "a part is not sent yet",
    )
    assert before.spent.expected_low_usd < before.spent.expected_high_usd
    slow.project.ok("start", "b")
    looked_at(slow, 5)
    going = only(slow, "b")
    assert 0 < going.done < going.requests == 20
    assert going.end.basis is Basis.COUNTS
    assert going.rate > 0
    share = going.done / 20
    assert going.spent.estimated == going.done
    assert going.spent.low_usd == pytest.approx(share * before.spent.expected_low_usd)
    assert going.spent.high_usd == pytest.approx(share * before.spent.expected_high_usd)
    looked_at(slow, 6)
    slow.project.ok("results", "b")
    over = only(slow, "b")
    assert (over.stage, over.done, dict(over.outcomes), over.end, over.unknown_end) == (
        Stage.FINISHED, 20, {"answered": 20}, None, "",
    )  # fmt: skip
    assert (over.spent.billed, over.spent.estimated) == (20, 0)
    assert over.spent.low_usd == over.spent.high_usd > 0


def test_an_end_comes_from_earlier_batches_of_the_model_where_the_vendor_counts_nothing_yet(slow):
    slow.project.run("get", slow.finished("a"))
    slow.started("b")
    with slow.project.ledger() as ledger, ledger.write() as tx:
        first = jobs.get(tx, 1)
        jobs.note(tx, 1, ended_at=first.accepted_at + timedelta(minutes=30))
        jobs.note(tx, 2, done=0, failed=0)
        begun = jobs.get(tx, 2).accepted_at
    end = only(slow, "b").end
    assert (end.basis, end.jobs, end.likely) == (Basis.MODEL, 1, begun + timedelta(minutes=30))
    late = only(slow, "b", clock=lambda: begun + timedelta(hours=1))
    assert (late.end, late.unknown_end) == (None, "it takes longer than each of 1 earlier job")


def test_without_a_price_it_is_unknown(tmp_path):
    with rehearsed(tmp_path, toml=PRICED.replace("gpt-6-luna", "another")) as vendor:
        vendor.ended("b", "--model", "gpt-none-such")
        spent = only(vendor, "b").spent
        assert (spent.low_usd, spent.high_usd, spent.unpriced) == (None, None, 4)


class TestProblems:
    def test_a_refusal(self, slow):
        slow.fault("status", call="create", status=400, times=0, message="no such model: <b>x</b>")
        slow.prepare()
        slow.project.run("start", "b")
        batch = only(slow, "b")
        (problem,) = batch.problems
        assert (problem.kind, problem.needs_you, problem.advice) == (ProblemKind.REFUSED, True, "batchflow start b")
        assert "no such model: <b>x</b>" in problem.text

    def test_a_full_queue(self, slow):
        slow.fault("queue_full", call="job", times=0)
        slow.started()
        looked_at(slow, 2)
        (problem,) = only(slow, "b").problems
        assert (problem.kind, problem.needs_you) == (ProblemKind.NO_ROOM, False)
        assert problem.advice.startswith("nothing:")

    def test_a_dead_server_is_told_by_whoever_asked(self, slow):
        slow.started()
        batch = only(slow, "b", troubles={"b": "connection refused"})
        assert [(one.kind, one.text) for one in batch.problems] == [(ProblemKind.UNREACHABLE, "connection refused")]

    def test_rows_that_failed_are_counted_by_reason(self, tmp_path):
        with rehearsed(tmp_path) as vendor:
            vendor.fault("errors", fraction=0.5, status=500, message="overloaded")
            vendor.finished()
            batch = only(vendor, "b")
            assert batch.failed == batch.outcomes["error"] > 0
            assert batch.problems[0].kind is ProblemKind.ROWS
            assert "batchflow retry" in batch.problems[0].advice


def test_a_batch_is_followed_by_its_retries_and_judges(tmp_path):
    with rehearsed(tmp_path) as vendor:
        vendor.fault("errors", fraction=0.5, status=500)
        vendor.finished("b")
        vendor.finished("c")
        vendor.project.ok("retry", "b")
        vendor.project.ok("jury", "b", "--judges", "rule:exact", "--start")
        several = read(vendor).batches
        assert [(one.role, one.of) for one in several] == [
            (Role.ROOT, None), (Role.RETRY, "b"), (Role.JUDGE, "b"), (Role.ROOT, None),
        ]  # fmt: skip
        assert [one.name for one in read(vendor, "b").batches] == [one.name for one in several[:3]]
        assert read(vendor, "c", "b", "c").batches[0].name == "c"
        assert several[2].spent.is_free


def test_rows_are_counted_anew_only_when_something_was_fetched(slow, monkeypatch):
    slow.finished("b")
    with slow.project.ledger() as ledger:
        context = Context(ledger, settings.load(slow.project.folder))
        reader = ProgressReader(context)
        reader.read(["b"])
        counted = []
        monkeypatch.setattr("batchflow.ledger.request_rows.tally", lambda *words: counted.append(words))
        assert reader.read(["b"]).batches[0].done == 4
        assert counted == []
