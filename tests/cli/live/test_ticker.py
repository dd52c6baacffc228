"""What a wait writes into a log, line by line."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from helpers.rehearsed import rehearsed
from helpers.snapshots import batch, job, snapshot

from batchflow.cli.live.ticker import Ticker
from batchflow.states import Stage
from batchflow.steps.watching.problems import unreachable
from batchflow.steps.watching.snapshot import Problem, ProblemKind


@pytest.fixture
def at():
    """A clock that a test turns: `at.now`."""
    return SimpleNamespace(now=0.0)


def told(at, answers):
    """Lines that are written for (seconds, batch)."""
    stream, latest = io.StringIO(), []
    reader = SimpleNamespace(read_alone=lambda _name, _trouble: snapshot(latest[-1]))
    tell = Ticker(reader, lambda text: text, stream=stream, clock=lambda: at.now)
    for at.now, one in answers:
        latest.append(one)
        tell(SimpleNamespace(name=one.name, trouble=None))
    tell.close()
    return stream.getvalue().splitlines()


def test_the_same_is_written_once(at):
    assert told(at, [(2.0 * n, batch()) for n in range(9000)]) == ["b: running, 0 of 50 (free)"]


def test_counts_that_grow_are_written_ever_more_seldom_at_least_twice_a_minute(at):
    at.now = 0.0
    lines = told(at, [(2.0 * n, batch(done=n % 51)) for n in range(60)])
    assert [int(line.split()[2]) for line in lines[:8]] == [0, 3, 6, 9, 12, 15, 18, 22]
    lines = told(at, [(at.now + 1000 * (n > 0) + 2.0 * n, batch(done=n)) for n in range(40)])
    assert [int(line.split()[2]) for line in lines] == [0, 1, 16, 31]


def test_another_state_or_word_is_written_at_once(at):
    changes = [batch(), batch("b", job(word="loading")), *[batch(stage=Stage.ENDED, done=50)] * 2]
    assert told(at, [(0.1 * n, each) for n, each in enumerate(changes)]) == [
        "b: running, 0 of 50 (free)",
        "b: running (loading), 0 of 50 (free)",
        "b: ended, 50 of 50 (50 done; free)",
    ]


def test_what_holds_it_up_is_written_at_once_and_its_numbers_are_no_news(at):
    changes = [batch(), *(batch(problems=(unreachable(f"connection refused, tried {n} s"),)) for n in range(3))]
    refused = Problem(ProblemKind.REFUSED, "no such model \x1b[2J", "batchflow start b", needs_you=True)
    changes += [batch(stage=Stage.NEEDS_YOU, problems=(refused,)), batch()]
    again = "nothing: it is asked again; what it has is not lost"
    assert told(at, [(0.1 * n, each) for n, each in enumerate(changes)]) == [
        "b: running, 0 of 50 (free)",
        f"b: running, 0 of 50 (free); unreachable: connection refused, tried 0 s; what to do: {again}",
        "b: needs you, 0 of 50 (free); refused: no such model �[2J; what to do: batchflow start b",
        "b: running, 0 of 50 (free)",
    ]


def test_each_batch_has_its_own_lines(at):
    lines = told(at, [(0, batch("b")), (0, batch("c")), (1, batch("b"))])
    assert [line.partition(":")[0] for line in lines] == ["b", "c"]


def test_waiting_in_a_script_writes_each_state_once(tmp_path):
    with rehearsed(tmp_path, polls=8) as slow:
        slow.started("b")
        ran = slow.project.run("get", "b", "--wait", "--refresh-after", 0)
        assert ran.code == 0
        assert slow.calls("poll") >= 8
        lines = ran.err.splitlines()
        assert lines[-1].startswith("b: ended (completed), 4 of 4 (4 done; ")
        assert 2 <= len(lines) <= 4
        assert len(set(lines)) == len(lines)
