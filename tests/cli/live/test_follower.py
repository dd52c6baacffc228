"""Waits on a terminal of their own, with the program as a person starts it."""

from __future__ import annotations

import signal
import sys

import pytest
from helpers.rehearsed import rehearsed
from helpers.terminals import Terminal


@pytest.fixture
def vendor(tmp_path):
    """A vendor that takes three looks."""
    with rehearsed(tmp_path, polls=3) as made:
        yield made


def test_a_wait_draws_a_bar_and_what_holds_it_up_then_the_card(vendor):
    vendor.fault("status", call="poll", nth=2, times=1, status=503, message="down for repairs")
    vendor.started("b")
    terminal = Terminal(vendor.project, "get", "b", "--wait", "--refresh-after", "0.2")
    terminal.until(r"unreachable: .*down for repairs")
    terminal.until(r"━+─* +[1-4] of 4")
    assert terminal.ended() == 0
    assert "╭" in terminal.seen
    assert terminal.seen.rstrip().splitlines()[-1].startswith("next: ")


def test_a_run_shows_a_refusal_at_once_with_what_to_do(vendor):
    vendor.fault("status", call="create", status=400, times=0, message="no such model")
    vendor.prepare("b")
    terminal = Terminal(
        vendor.project, "run", "--model", "openai:gpt-6-luna", "--dataset", "b-data.jsonl", "--judges", "rule:exact",
        "--refresh-after", "0.3",
    )  # fmt: skip
    terminal.until("at work, ")
    terminal.until("no such model")
    assert terminal.ended() != 0
    assert "Traceback" not in terminal.seen


def test_a_full_queue_is_seen_and_ctrl_c_says_that_nothing_is_lost_and_what_to_type(vendor):
    vendor.fault("queue_full", call="job", times=0)
    vendor.started("b")
    program = sys.executable, "-m", "batchflow"  # a signal goes to the process itself
    terminal = Terminal(vendor.project, "get", "b", "--wait", "--refresh-after", "0.3", program=program)
    terminal.until("no room: ")
    terminal.until("what to do: nothing")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 130
    told = terminal.seen[terminal.seen.index("batchflow: interrupted") :]
    assert "nothing is lost, and nothing will be sent twice" in told
    assert "to go on, type again: batchflow get b --wait --refresh-after 0.3" in told


def test_json_gets_lines(vendor):
    vendor.started("b")
    ran = vendor.project.run("get", "b", "--wait", "--refresh-after", "0", "--json")
    assert ran.json["name"] == "b"
    assert all(line.startswith("b: ") for line in ran.err.splitlines())
