"""What a wait says, in a log and on a terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from helpers.rehearsed import rehearsed

from batchflow.cli.cards.ticker import COUNTS_S, SILENCE_S, Ticker


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at():
    """A clock that a test turns: `at.now`."""
    return SimpleNamespace(now=0.0)


def report(state="running", done=0, name="b", word=None, error=None, trouble=None):
    counts = {"requests": 50, "pending": 50 - done, "done": done, "failed": 0}
    jobs = [SimpleNamespace(word=word, error=error)]
    return SimpleNamespace(name=name, state=state, counts=counts, jobs=jobs, trouble=trouble)


class TestInALog:
    def told(self, at, answers):
        """Lines that are written for (seconds, report)."""
        stream = io.StringIO()
        tell = Ticker(stream, lambda: at.now)
        for at.now, answer in answers:
            tell(answer)
        tell.close()
        return stream.getvalue().splitlines()

    def test_the_same_is_said_once_and_then_once_a_minute(self, at):
        told = self.told(at, [(2.0 * n, report()) for n in range(90)])  # three minutes, asked every 2 s
        assert told == ["b: running, 50 pending of 50"] * 3

    def test_counts_that_grow_are_told_twice_a_minute(self, at):
        told = self.told(at, [(2.0 * n, report(done=n)) for n in range(46)])
        assert told == [f"b: running, {50 - n} pending{f', {n} done' * (n > 0)} of 50" for n in (0, 15, 30, 45)]
        assert SILENCE_S > COUNTS_S

    def test_another_state_or_word_is_told_at_once(self, at):
        changes = [report(), report(word="loading"), report("ended", 50), report("ended", 50)]
        assert self.told(at, [(0.1 * n, each) for n, each in enumerate(changes)]) == [
            "b: running, 50 pending of 50",
            "b: running (loading), 50 pending of 50",
            "b: ended, 50 done of 50",
        ]

    def test_what_holds_it_up_is_told_at_once_and_its_numbers_are_no_news(self, at):
        changes = [report(), *(report(trouble=f"connection refused, tried {n} s") for n in range(3))]
        changes += [report(error="the queue is full"), report()]
        assert self.told(at, [(0.1 * n, each) for n, each in enumerate(changes)]) == [
            "b: running, 50 pending of 50",
            "b: running, 50 pending of 50; connection refused, tried 0 s",
            "b: running, 50 pending of 50; the queue is full",
            "b: running, 50 pending of 50",
        ]

    def test_each_batch_has_its_own_line(self, at):
        told = self.told(at, [(0, report(name="b")), (0, report(name="c")), (1, report(name="b"))])
        assert [line.partition(":")[0] for line in told] == ["b", "c"]


def test_a_terminal_has_one_line_that_changes_and_goes():
    stream = Terminal()
    tell = Ticker(stream)
    for done in (0, 1, 2):
        tell(report(done=done))
    tell(report(name="c\x1b[2J" + "x" * 500))
    painted = stream.getvalue().split("\r")
    assert painted[0] == "\x1b[Kb: running, 50 pending of 50"
    assert painted[2] == "\x1b[Kb: running, 48 pending, 2 done of 50"
    assert painted[3].startswith("\x1b[Kb: running, 48 pending, 2 done of 50; c")
    assert len(painted[3]) < 200  # never longer than a line, which could not be painted over
    assert "\x1b[2J" not in stream.getvalue()
    assert "\n" not in stream.getvalue()
    tell.close()
    assert stream.getvalue().endswith("\r\x1b[K\r")


def test_waiting_in_a_script_says_each_state_once(tmp_path):
    with rehearsed(tmp_path, polls=8) as slow:
        slow.started("b")
        told = slow.project.run("get", "b", "--wait", "--refresh-after", 0)
        assert told.code == 0
        assert slow.calls("poll") >= 8
        lines = told.err.splitlines()
        assert lines[-1] == "b: ended (completed), 4 done of 4"
        assert 2 <= len(lines) <= 4
