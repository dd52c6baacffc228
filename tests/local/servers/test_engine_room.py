"""Room for engines: `start --all` runs as many as fit this host, and the rest wait."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from helpers.commands import Project
from helpers.until import until

from batchflow.errors import UsageError
from batchflow.local.base import options
from batchflow.local.servers import engine_room
from batchflow.local.servers.engine_room import PARTS, parts_of

HOLD = """
import fcntl, os, sys
room = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(room, fcntl.LOCK_EX, 1, 7)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path, tiny_gguf):
    """Three prepared batches with an engine each."""
    made = Project(tmp_path / "project", {"BATCHFLOW_HOME": str(tmp_path / "home")})
    rows = [{"id": f"r{n}", "question": f"Say {n}.", "answer": "x"} for n in range(12)]
    (made.folder / "d.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for name in ("a", "b", "c"):
        made.ok("prepare", "--provider", "local", "--task", "qa", "--dataset", "d.jsonl", "--model", tiny_gguf,
                "--max-tokens", 8, "--no-cache", "--engine-arg", "threads=1", "--engine", "embedded",
                "--name", name)  # fmt: skip
    return made


@contextlib.contextmanager
def held(path):
    """Another process that has a part of a room, as long as the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield
        other.stdin.close()


def logs(project):
    return [path.read_text() for path in project.folder.glob("processed_files/.local/*/worker.log")]


def moment(log, words):
    """The second of the one line of a log that has these words."""
    (line,) = [line for line in log.splitlines() if words in line]
    return datetime.fromisoformat(line.split()[0])


def waited(project):
    return sum("waits for room: other engines run on this host" in log for log in logs(project))


def test_start_all_runs_one_engine_after_another_and_each_row_is_answered(project):
    project.ok("start", "--all")
    project.ok("get", "a", "b", "c", "--wait")
    assert waited(project) >= 1
    spans = sorted((moment(log, " loading "), moment(log, " completed")) for log in logs(project))
    assert len(spans) == 3
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin >= end - timedelta(seconds=1)  # the room is free before its engine's worker says that it is done
    for name in ("a", "b", "c"):
        assert project.ok("results", name)["outcomes"] == {"ok": 12}


def test_as_many_run_at_once_as_the_user_says(project):
    project.environment["BATCHFLOW_ENGINES"] = "three"
    assert "BATCHFLOW_ENGINES has to be a whole number from 1 to 100" in project.refused(2, "start", "--all")
    assert logs(project) == []
    project.environment["BATCHFLOW_ENGINES"] = "3"
    project.ok("start", "--all")
    project.ok("get", "a", "b", "c", "--wait")
    assert (waited(project), len(logs(project))) == (0, 3)


def test_one_that_waits_says_so_and_can_be_cancelled(project, tmp_path):
    with held(engine_room.path_of(tmp_path / "home", {})):
        project.ok("start", "a")
        until(lambda: waited(project) == 1)
        until(lambda: "waits for room" in project.run("get", "a", "--refresh-after", 0).out)
        project.ok("cancel", "a")
        until(lambda: project.run("get", "a", "--refresh-after", 0, "--json").json["state"] != "running")


@pytest.mark.parametrize(
    ("given", "environment", "totals", "parts"),
    [
        ({"engine": "vllm"}, {}, [81_920], PARTS),
        ({"engine": "vllm", "max_gpu_memory": "20GiB"}, {}, [81_920, 40_960], 50),
        ({"engine": "hf", "max_gpu_memory": "20GiB"}, {}, [], PARTS),
        ({"engine": "hf", "max_gpu_memory": "200GiB"}, {}, [81_920], PARTS),
        ({"engine": "hf", "max_gpu_memory": "20GiB"}, {"BATCHFLOW_ENGINES": "3"}, [81_920], 33),
    ],
)
def test_the_share_of_an_engine(given, environment, totals, parts):
    assert parts_of(options.read(given), environment, lambda: totals) == parts


def test_without_a_home_engines_are_not_counted(tmp_path):
    (tmp_path / "home").write_text("a file")
    told = list[str]()

    async def entered():
        async with engine_room.taken(tmp_path / "home", options.read({}), {}, told.append):
            return "in"

    assert asyncio.run(entered()) == "in"
    assert "engines on this host are not counted" in told[0]


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.5", "²"])
def test_a_number_of_engines_that_is_none(text):
    with pytest.raises(UsageError, match="BATCHFLOW_ENGINES has to be"):
        engine_room.at_once({"BATCHFLOW_ENGINES": text})
