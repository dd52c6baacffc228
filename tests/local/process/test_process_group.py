"""Real processes: nothing that a held command started outlives it, or the parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.until import until

FAMILY = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""
PARENT = """
import os, subprocess, sys
module = "batchflow.local.process.process_group"
subprocess.Popen([sys.executable, "-m", module, str(os.getpid()), *sys.argv[1:]]).wait()
"""
POLITE = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).write_text("ended well\\n")
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text("ready\\n")
time.sleep(600)
"""


def written(path):
    return until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text().split())


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def spawn():
    """Start a process; it does not outlive the test."""
    started = []

    def start(*words):
        started.append(subprocess.Popen([sys.executable, *map(str, words)], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_parent_takes_the_whole_family_along(spawn, tmp_path):
    parent = spawn("-c", PARENT, sys.executable, "-c", FAMILY, tmp_path / "pids")
    pids = written(tmp_path / "pids")
    assert not any(map(gone, pids))
    parent.kill()
    until(lambda: all(map(gone, pids)))


def test_a_killed_command_takes_its_children_along(spawn, tmp_path):
    held = spawn(
        "-m", "batchflow.local.process.process_group", os.getpid(), sys.executable, "-c", FAMILY, tmp_path / "pids"
    )
    command, child = written(tmp_path / "pids")
    os.kill(int(command), signal.SIGKILL)
    until(lambda: gone(child))
    held.wait(60)


def test_a_killed_holder_takes_the_command_along(spawn, tmp_path):
    held = spawn("-m", "batchflow.local.process.process_group", 0, sys.executable, "-c", FAMILY, tmp_path / "pids")
    command, child = written(tmp_path / "pids")
    held.kill()
    until(lambda: gone(command))
    os.kill(int(child), signal.SIGKILL)


def test_a_wish_to_end_is_handed_on_and_waited_for(spawn, tmp_path):
    held = spawn("-m", "batchflow.local.process.process_group", 0, sys.executable, "-c", POLITE, tmp_path / "said")
    assert written(tmp_path / "said") == ["ready"]
    held.terminate()
    held.wait(60)
    assert (tmp_path / "said").read_text() == "ended well\n"


def test_a_command_that_is_not_there_is_told():
    words = [sys.executable, "-m", "batchflow.local.process.process_group", "0", "no-such-command"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert "no-such-command: No such file" in done.stderr
