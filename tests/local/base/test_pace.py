"""The limits that workers of a host keep together: turns follow one another, whoever takes them."""

import multiprocessing
import os
import time

import pytest

from batchflow.local.base.pace import BUSY_S, INHERITED_S, LATE_S, Pace, Shared, shared_file


class Clock:
    """A clock that a test moves."""

    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shared(tmp_path, clock):
    return lambda: Shared(tmp_path / "pace" / "one", clock)


def wait_and_take(pace, clock, tokens=1.0):
    """Move the clock to the next turn, take it, and return its time."""
    while wait := pace.claim(tokens):
        clock.now += wait
    return clock.now


def test_turns_of_several_jobs_follow_one_another(shared, clock):
    jobs = [Pace(10.0, None, shared(), clock) for _ in range(2)]
    turns = [wait_and_take(jobs[number % 2], clock) for number in range(6)]
    assert turns == pytest.approx([100.0 + number / 10 for number in range(6)])


def test_tokens_are_estimated_and_corrected(shared, clock):
    one, other = (Pace(None, 600.0, shared(), clock) for _ in range(2))
    assert one.claim(500) == 0.0  # 50 s of tokens
    assert other.claim(5) == pytest.approx(50.0)
    one.settle(-490)
    one.close()  # hands it on
    assert other.claim(5) == pytest.approx(1.0)


def test_a_late_waker_counts_from_its_turn_and_a_rest_gives_no_burst(clock):
    pace = Pace(10.0, None, clock=clock)
    assert pace.claim(1) == 0.0
    clock.now += pace.claim(1) + LATE_S / 2
    assert pace.claim(1) == 0.0
    assert pace.claim(1) == pytest.approx(0.1 - LATE_S / 2)
    clock.now += 100
    assert [pace.claim(1) == 0.0 for _ in range(3)] == [True, False, False]


def test_hosts_divide_the_limits(clock):
    pace = Pace(10.0, 600.0, clock=clock, share=0.5)
    assert pace.claim(10) == 0.0
    assert pace.claim(10) == pytest.approx(2.0)
    pace.share = 1.0
    clock.now += 2.0
    assert pace.claim(10) == 0.0
    assert pace.claim(10) == pytest.approx(1.0)


def test_who_joins_waits_until_others_know_and_never_long_for_what_the_dead_took(shared, clock):
    dead = Pace(None, 60.0, shared(), clock)
    assert dead.claim(100_000) == 0.0
    new = Pace(10.0, 60.0, shared(), clock)
    new.join(after_s=5.0)
    assert new.claim(1) == pytest.approx(INHERITED_S)
    clock.now += INHERITED_S
    assert new.claim(1) == 0.0
    fresh = Pace(10.0, None, clock=clock)
    fresh.join(after_s=5.0)
    assert fresh.claim(1) == pytest.approx(5.0)


def test_a_restart_of_the_machine_forgets_the_turns_and_a_spoiled_file_too(shared, clock):
    pace = Pace(None, 60.0, shared(), clock)
    assert pace.claim(1000) == 0.0
    clock.now = 3.0
    assert pace.claim(1) == 0.0
    os.truncate(pace.store._file, 5)
    assert pace.claim(1) == 0.0


def test_another_process_at_the_file_holds_nobody_up(shared, clock):
    one, other = (Pace(10.0, None, shared(), clock) for _ in range(2))
    waits = []
    one.store.change(lambda turns: (waits.append(other.claim(1)), turns)[1])
    assert waits == [BUSY_S]


def test_a_files_name_tells_neither_address_nor_key(tmp_path):
    paths = {shared_file(tmp_path, url, mark) for url in ("http://a/v1", "http://b/v1") for mark in ("k1", "k2")}
    assert len(paths) == 4
    assert not any("http" in str(path) for path in paths)


def _take_turns(path, count, times):
    pace = Pace(100.0, None, Shared(path))
    for _ in range(count):
        while wait := pace.claim(1):
            time.sleep(wait)
        times.put(time.monotonic())


def test_processes_share_one_rate(tmp_path):
    """Forty turns at 100 a second take 0.39 s however many processes take them; apart they took a quarter of it."""
    times = multiprocessing.Queue()
    crowd = [multiprocessing.Process(target=_take_turns, args=(tmp_path / "one", 10, times)) for _ in range(4)]
    for process in crowd:
        process.start()
    taken = sorted(times.get(timeout=60) for _ in range(40))
    for process in crowd:
        process.join()
    assert taken[-1] - taken[0] >= 0.39 - LATE_S
