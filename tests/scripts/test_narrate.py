"""scripts/narrate: a person sees every second that something goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from helpers.terminals import Terminal

NARRATE = Path(__file__).parents[2] / "scripts" / "narrate"


def ran(*words):
    return subprocess.run(
        [sys.executable, NARRATE, *words], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def test_in_a_log_the_output_stands_as_it_is():
    done = ran("--title", "1/2 first", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "\n>> 1/2 first\nout\nerr\n")


def test_what_is_hidden_is_shown_when_it_fails():
    assert "done in 0 s" in ran("--hide", "sh", "-c", "echo fine").stdout
    assert "fine" not in ran("--hide", "sh", "-c", "echo fine").stdout
    done = ran("--hide", "sh", "-c", "echo why; exit 4")
    assert (done.returncode, done.stdout) == (4, "why\n")
    assert ran("no-such-program-here").returncode == 127


def test_on_a_terminal_a_silence_of_a_second_is_filled_and_the_line_goes(tmp_path):
    terminal = Terminal(
        SimpleNamespace(folder=tmp_path, environment={}), "sh", "-c", "test -t 1 && echo begun; sleep 2.5; echo over",
        program=(sys.executable, NARRATE),
    )  # fmt: skip
    terminal.until("begun")
    terminal.until(r"\.\.\. 1 s")
    terminal.until(r"\.\.\. 2 s")
    assert terminal.ended() == 0
    assert terminal.seen.rstrip().splitlines()[-1].endswith("over")


def test_a_process_that_is_left_behind_holds_nothing_up():
    done = ran("sh", "-c", "sleep 30 & echo away")
    assert (done.returncode, done.stdout) == (0, "away\n")
