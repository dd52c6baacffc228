import asyncio

import pytest

from batchflow.errors import EngineError
from batchflow.local.base.transport import Client
from batchflow.local.worker.endpoints import BUSY_S, DENIALS, REST_CAP_S, REST_S, TRIP, Endpoint, Pool


def endpoint(limit=4):
    return Endpoint(Client("http://127.0.0.1:9/v1", None), limit)


def test_failures_in_a_row_give_it_a_rest_that_doubles_until_it_answers():
    one = endpoint()
    for _ in range(TRIP):
        assert one.free(10.0)
        one.failed(10.0)
    assert not one.free(10.0)
    now, rests = 10.0, []
    for _ in range(10):
        rests.append(one.rests_until - now)
        now = one.rests_until
        assert one.free(now)
        one.failed(now)
    assert rests == pytest.approx([min(REST_CAP_S, REST_S * 2**n) for n in range(10)])
    one.succeeded()
    one.failed(now + 100)
    assert one.free(now + 100)


def test_on_trial_it_gets_one_request_at_a_time():
    one = endpoint()
    for _ in range(TRIP):
        one.failed(0.0)
    assert one.free(1.0)
    one.in_flight = 1
    assert not one.free(1.0)


def test_failures_of_before_the_rest_do_not_lengthen_it():
    one = endpoint()
    for _ in range(TRIP + 50):
        one.failed(0.0)
    assert one.rests_until == REST_S


def test_the_least_busy_one_is_taken_within_its_limit():
    async def run():
        pair = (endpoint(2), endpoint(5))
        pool = Pool(pair, 10.0, asyncio.get_running_loop().time)
        for _ in range(7):
            await pool.acquire()
        assert [one.in_flight for one in pair] == [2, 5]
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
        pool.release(pair[0])
        assert await waiting is pair[0]

    asyncio.run(run())


def pool_of(*in_flight):
    pool = Pool(tuple(endpoint(100) for _ in in_flight), 10.0, lambda: 0.0)
    for one, count in zip(pool.endpoints, in_flight, strict=True):
        one.in_flight = count
    return pool


@pytest.mark.parametrize(
    ("before", "place"),
    [((8, 8), 0), ((12, 8), 0), ((13, 8), 1), ((1, 0), 1), ((2, 1), 1), ((0, 5), 0)],
)
def test_a_prompt_goes_where_its_beginning_was_read_unless_that_one_is_much_busier(before, place):
    async def run():
        pool = pool_of(0, 9)
        assert await pool.acquire((7, 5)) is pool.endpoints[0]
        for one, count in zip(pool.endpoints, before, strict=True):
            one.in_flight = count
        assert await pool.acquire((8, 5)) is pool.endpoints[place]

    asyncio.run(run())


def test_a_beginning_that_all_have_read_says_nothing():
    async def run():
        pool = pool_of(0, 0)
        assert [await pool.acquire((n, 5)) for n in range(6)] == list(pool.endpoints) * 3

    asyncio.run(run())


def test_a_failing_endpoint_is_not_preferred():
    async def run():
        pool = pool_of(8, 9)
        knowing, other = pool.endpoints
        assert await pool.acquire((7,)) is knowing
        knowing.in_flight = 10
        pool.ill(knowing, "HTTP 500")
        assert await pool.acquire((7,)) is other
        pool.well(knowing)
        other.in_flight = 9
        assert await pool.acquire((7,)) is other  # both have read it now
        assert await pool.acquire((6,)) is knowing

    asyncio.run(run())


def test_one_without_room_is_asked_for_half_as_much_once_for_all_that_was_sent_before():
    one = endpoint(256)
    one.taken = one.in_flight = 256
    for number in range(65, 257):  # the first 64 were let in
        one.turned_away(number, 0.0, 1.0)
        one.in_flight -= 1
    assert (one.window, one.in_flight) == (128.0, 64)
    assert one.free(0.0)  # no rest: room comes with the answers
    one.taken, one.in_flight = 257, 65
    one.turned_away(257, 0.0, 1.0)
    assert one.window == 32.5
    assert not one.free(0.0)


def test_a_window_grows_fast_to_where_it_was_nearly_full_and_slowly_from_there():
    one = endpoint(256)
    one.taken = one.in_flight = 64
    one.crowded(64)
    assert one.window == 32.0
    for _ in range(28):
        one.succeeded()
    assert one.window == 60.0
    for _ in range(60):
        one.succeeded()
    assert 60.9 < one.window < 61.0
    for _ in range(100_000):
        one.succeeded()
    assert one.window == 256.0


def test_one_that_takes_not_a_single_request_rests_longer_each_time_and_as_long_as_it_wishes():
    one, now, rests = endpoint(1), 10.0, []
    for wish in (None, None, None, 7.5, None):
        one.in_flight, one.taken = 1, one.taken + 1
        one.turned_away(one.taken, now, wish)
        one.in_flight = 0
        rests.append(one.rests_until - now)
        assert not one.free(now)
        now = one.rests_until
        assert one.free(now)
    assert rests == pytest.approx([BUSY_S, 2 * BUSY_S, 4 * BUSY_S, 7.5, 16 * BUSY_S])
    one.succeeded()
    assert one.rests == 0


def test_refusals_of_single_rows_close_an_endpoint_only_when_they_are_many():
    one = endpoint()
    assert [one.forbids(403) for _ in range(DENIALS)] == [False] * (DENIALS - 1) + [True]


def test_when_all_are_closed_it_says_why():
    async def run():
        pair = (endpoint(), endpoint())
        pool = Pool(pair, 10.0, asyncio.get_running_loop().time)
        pool.close(pair[0], "HTTP 401: no")
        assert await pool.acquire() is pair[1]
        pool.close(pair[1], "HTTP 404: what model")
        with pytest.raises(EngineError, match=r"HTTP 401: no; HTTP 404: what model"):
            await pool.acquire()

    asyncio.run(run())


def test_one_that_answered_is_closed_by_refusals_in_a_row_only():
    one = endpoint()
    assert one.forbids()  # it never answered: no row is to blame
    one.succeeded()
    for _ in range(3):
        assert [one.forbids() for _ in range(TRIP - 1)] == [False] * (TRIP - 1)
        one.succeeded()
    assert [one.forbids() for _ in range(TRIP)] == [False] * (TRIP - 1) + [True]


def test_one_that_has_not_spoken_yet_is_not_closed_by_one_row_while_others_are_with_it():
    one = endpoint()
    one.in_flight = 3
    assert [one.forbids() for _ in range(TRIP)] == [False] * (TRIP - 1) + [True]


def test_an_outage_is_counted_from_the_failures_and_not_from_the_last_answer():
    """Answers may take longer than an outage may: a server that has just gone is still waited for."""
    clock = [0.0]
    pool = Pool((endpoint(), endpoint()), 600.0, lambda: clock[0])
    pool.well(pool.endpoints[0])
    for began, one in zip((3000.0, 3100.0), pool.endpoints, strict=True):
        clock[0] = began
        for _ in range(TRIP):
            pool.ill(one, "connection refused")

    def trial(now):
        clock[0] = now
        taken = asyncio.run(pool.acquire())
        for one in pool.endpoints:
            pool.ill(one, "connection refused")
        pool.release(taken)

    trial(3150.0)
    trial(3700.0)
    with pytest.raises(EngineError, match=r"no endpoint has answered for 3701 s: connection refused"):
        trial(3701.0)


def test_what_is_still_with_a_failing_endpoint_may_be_answered_yet():
    """Five rows in a row that break the engine say nothing about those that it has worked on for an hour."""
    clock = [0.0]
    pool = Pool((endpoint(),), 600.0, lambda: clock[0])
    long_one = pool.take()
    for _ in range(TRIP):
        pool.ill(long_one, "HTTP 500")
    clock[0] = 3000.0
    pool._give_up(clock[0])
    pool.release(long_one)
    with pytest.raises(EngineError, match="no endpoint has answered for 3000 s"):
        pool._give_up(clock[0])


def test_an_empty_pool_is_waited_for_as_an_outage_is():
    clock = [0.0]
    one, two = endpoint(), endpoint()
    pool = Pool((one,), 600.0, lambda: clock[0])
    pool.remove(one)
    clock[0] = 600.0
    pool._give_up(clock[0])
    pool.add(two)
    assert pool.take() is two
    pool.remove(two)
    assert pool.take() is None
    clock[0] = 1201.0
    with pytest.raises(EngineError, match="the pool has had no endpoint for 601 s") as caught:
        pool._give_up(clock[0])
    assert "batchflow pool add" in caught.value.hint
