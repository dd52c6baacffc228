import asyncio

import pytest

from batchflow.errors import EngineError
from batchflow.local.endpoints import REST_CAP_S, REST_S, TRIP, Endpoint, Pool
from batchflow.local.transport import Client


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
