"""Waits on a terminal of their own, with the program as a person starts it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest
from helpers import warm
from helpers.rehearsed import rehearsed

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command on a terminal of 80 columns; `seen`: what it has drawn so far, without escapes."""

    def __init__(self, project, *words, program=None):
        self.ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        environment = {**os.environ, **project.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [*(program or [warm.batchflow()]), *words], cwd=project.folder, env=environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def until(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, self.seen[-3000:]
            if not self._read():
                break
        assert re.search(pattern, self.seen), self.seen[-3000:]

    def _read(self):
        if not select.select([self.ours], [], [], 1)[0]:
            return True
        try:
            piece = os.read(self.ours, 65536)
        except OSError:  # Linux says so at the end of a terminal
            return False
        self.seen += _ESCAPE.sub("", piece.decode("utf-8", "replace"))
        return bool(piece)

    def ended(self):
        while self._read():
            pass
        os.close(self.ours)
        return self.process.wait(60)


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
