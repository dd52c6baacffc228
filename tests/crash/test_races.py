"""Two processes at once do what one does."""

from __future__ import annotations

import json
import os
import signal

import pytest
from crash.bench import NAME, Bench
from crash.runs import begin
from helpers.until import until

from batchflow.rehearsal.faults import Fault


@pytest.fixture
def bench(tmp_path, rehearsed, forked):
    return Bench("openai", tmp_path / "bench", rehearsed, forked)


def together(bench, *commands):
    """Run commands as whole processes at the same time; their exit codes, outputs and messages."""
    children = [begin(bench.order(command, scratch=f"child-{n}")) for n, command in enumerate(commands)]
    texts = [child.communicate(timeout=120) for child in children]
    return [(child.returncode, out, err) for child, (out, err) in zip(children, texts, strict=True)]


def beside_a_start(bench, *command):
    """Run a command while a `start` is at work; both exit codes, and the outputs and messages of both."""
    bench.vendors.site.faults.add(Fault("hang", call="upload", seconds=2.0))
    first = begin(bench.order(("start", NAME), scratch="first"))
    until(lambda: uploads(bench) == 1)
    os.kill(first.pid, signal.SIGSTOP)  # at work until the second has found it so, however slow the machine is
    second = begin(bench.order(command, scratch="second"))
    try:
        waits = next((line for line in second.stderr if "another `start`" in line), None)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    said = [child.communicate(timeout=120) for child in (first, second)]
    assert waits, said
    return [first.returncode, second.returncode], said


def test_two_starts_submit_once(bench):
    bench.succeed("prepare", "--provider", "openai", "--limit", "4", "--name", NAME)
    codes, said = beside_a_start(bench, "start", NAME)
    assert codes == [0, 0], said
    assert len(bench.vendors.site.creates) == 1
    assert uploads(bench) == 1


def test_a_cancel_waits_for_the_start_that_is_at_work_and_stops_what_it_sends(tmp_path, rehearsed, forked):
    bench = Bench("openai", tmp_path / "bench", rehearsed, forked, part=2)
    bench.succeed("prepare", "--provider", "openai", "--limit", "6", "--name", NAME)
    codes, said = beside_a_start(bench, "cancel", NAME, "--json")
    assert codes == [0, 0], said
    (told,) = json.loads(said[1][0])["batches"]
    assert (told["asked"], told["unsent"]) == (1, 2)
    assert bench.vendors.site.calls.count(("openai", "cancel")) == 1
    assert len(bench.vendors.site.creates) == 1


def uploads(bench):
    """How often the vendor was sent a file."""
    return bench.vendors.site.calls.count(("openai", "upload"))


@pytest.fixture(params=["sqlite", "postgresql"])
def on_both(bench, request):
    """The bench with an empty database of each kind."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        bench.more["BATCHFLOW_DATABASE_URL"] = server.url(server.create())
    return bench


def test_first_commands_at_once_create_one_ledger(on_both):
    bench = on_both
    names = [f"batch-{n}" for n in range(4)]
    ran = together(bench, *(("prepare", "--provider", "openai", "--limit", "2", "--name", name) for name in names))
    assert [code for code, _, _ in ran] == [0] * 4, ran
    bench.succeed("ledger", "check")
    listed = json.loads(bench.succeed("list", "--json").out)
    assert sorted(row["name"] for row in listed["batches"]) == names


def test_the_same_prepare_twice_at_once_makes_one_batch(on_both):
    bench = on_both
    command = ("prepare", "--provider", "openai", "--limit", "2", "--name", NAME, "--json")
    ran = together(bench, command, command)
    assert [code for code, _, _ in ran] == [0, 0], ran
    assert sorted(json.loads(out)["new"] for _, out, _ in ran) == [False, True]
    assert len(list((bench.project / "processed_files").glob("*.jsonl"))) == 1


def test_two_gets_ask_the_vendor_once(bench):
    bench.succeed("prepare", "--provider", "openai", "--limit", "2", "--name", NAME)
    bench.succeed("start", NAME)
    bench.vendors.site.faults.add(Fault("hang", call="poll", seconds=1.0))
    ran = together(bench, ("get", NAME), ("get", NAME))
    assert [code for code, _, _ in ran] == [7, 7], ran
    assert bench.vendors.site.calls.count(("openai", "poll")) == 1
