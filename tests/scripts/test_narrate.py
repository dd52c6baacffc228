"""scripts/narrate: a person sees every second what goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.terminals import Terminal

NARRATE = Path(__file__).parents[2] / "scripts" / "narrate"
STEPS = "echo '>> 1/2 first'; echo '$ sleep'; sleep 2.2; echo over; echo '>> 2/2 second'; sleep 1.2; exit 3"
"""Two steps of 2.2 and 1.2 s."""


def ran(*words):
    return subprocess.run(
        [sys.executable, NARRATE, *words], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def test_what_is_hidden_is_shown_when_it_fails():
    assert "done in 0 s" in ran("--hide", "sh", "-c", "echo fine").stdout
    assert "fine" not in ran("--hide", "sh", "-c", "echo fine").stdout
    done = ran("--hide", "sh", "-c", "echo why; exit 4")
    assert (done.returncode, done.stdout) == (4, "why\n")
    assert ran("no-such-program-here").returncode == 127


def test_in_a_log_the_output_stands_as_it_is_and_a_line_grows_in_its_silences():
    done = ran("--title", "0/2 begun", "sh", "-c", f"echo out; echo err >&2; {STEPS}")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    kept = ["", ">> 0/2 begun", "out", "err", ">> 1/2 first", "$ sleep", "over", ">> 2/2 second"]
    assert [line for line in lines if not line.startswith("   ... ")] == kept
    first, second = (line for line in lines if line.startswith("   ... "))
    assert re.fullmatch(r"   \.\.\. 1/2 sleep:\. 1\. 2 s", first)
    assert re.fullmatch(r"   \.\.\. 2/2 second:\. 1 s", second)


@pytest.mark.parametrize(("words", "what"), [((), r"1/2 sleep"), (("--hide",), r"\$ sleep")])
def test_on_a_terminal_a_line_that_changes_fills_each_second(words, what, tmp_path):
    project = SimpleNamespace(folder=tmp_path, environment={})
    terminal = Terminal(project, *words, "sh", "-c", f"test -t 1; {STEPS}", program=(sys.executable, NARRATE))
    assert terminal.ended() == 3
    times = [float(each) for each in re.findall(rf"\.\.\. (\S+) s[^\r]*{what}", terminal.seen)]
    assert {int(each) for each in times} >= {0, 1, 2}
    assert times == sorted(times)
    assert terminal.seen.index("over" if not words else "2/2 second") > terminal.seen.rindex(f"{times[-1]} s")


def test_a_process_that_is_left_behind_holds_nothing_up():
    done = ran("sh", "-c", "sleep 30 & echo away")
    assert (done.returncode, done.stdout) == (0, "away\n")
