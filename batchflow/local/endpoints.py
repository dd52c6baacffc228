"""Endpoints of one model: who takes the next request, and who is given a rest.

An endpoint that fails several times in a row rests, longer each time; then one request tries it (a circuit breaker,
M. Nygard, "Release It!", 2007). One that refuses our key, model or path is closed for good: after as many refusals in a
row, since it may have been started with another model or key; at once where it never answered and nothing is with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from batchflow.errors import EngineError
from batchflow.local.prefixes import Readers
from batchflow.local.transport import Client

TRIP = 5  # failures in a row that make an endpoint rest
REST_S = 0.5  # the first rest; each further one is twice as long
REST_CAP_S = 30.0
SLACK = 2  # one that has read a prompt's beginning may be 1/SLACK busier than the least busy one (docs/performance.md)


@dataclass(slots=True, eq=False)
class Endpoint:
    """One base URL. Times are on the loop's clock."""

    client: Client
    limit: int  # requests in flight at most
    in_flight: int = 0
    answered: bool = False
    closed: str | None = None  # why it is out for good
    failures: int = 0  # in a row
    refusals: int = 0  # of key, model or path, without an answer between them
    rests: int = 0  # in a row
    resting_since: float = 0.0  # when the first of these began
    rests_until: float = 0.0

    @property
    def sound(self) -> bool:
        """True when its last try, if there was one, did not fail."""
        return not self.failures and not self.rests

    def free(self, now: float) -> bool:
        """True when it may take a request now; while it is on trial, one at a time."""
        if self.closed is not None or now < self.rests_until or self.in_flight >= self.limit:
            return False
        return self.rests == 0 or self.in_flight == 0

    def succeeded(self) -> None:
        """It gave a usable reply."""
        self.answered = True
        self.failures = self.refusals = self.rests = 0

    def failed(self, now: float) -> None:
        """It could not be reached, broke off, or had an error of its own."""
        if now < self.rests_until:
            return  # a request from before the rest: it says nothing new
        self.failures += 1
        if self.failures >= TRIP or self.rests:
            self.resting_since = self.resting_since if self.rests else now
            self.rests_until = now + min(REST_CAP_S, REST_S * 2.0 ** min(self.rests, 30))
            self.rests += 1
            self.failures = 0

    def forbids(self) -> bool:
        """It refused key, model or path; True when that is no single row's doing.

        A refusal takes no time, an answer does: before the first one, what is still with it may be answered.
        """
        self.refusals += 1
        return self.refusals >= TRIP or not (self.answered or self.in_flight)

    def pause(self, until: float) -> None:
        """It asked for a break (429 or 503 with Retry-After): that is no failure."""
        self.rests_until = max(self.rests_until, until)


class Pool:
    """The endpoints of one job. `acquire` gives the free one with the fewest requests in flight, or one that is hardly
    busier and has read the beginning of this prompt before.
    """

    def __init__(self, endpoints: tuple[Endpoint, ...], outage_s: float, clock: Callable[[], float]) -> None:
        self.endpoints = endpoints
        self.last_error = ""
        self._outage_s = outage_s
        self._clock = clock
        self._well_at = clock()
        self._bell = asyncio.Event()
        self._readers = Readers()
        self._bits = {endpoint: 1 << place for place, endpoint in enumerate(endpoints)}

    async def acquire(self, marks: tuple[int, ...] = ()) -> Endpoint:
        """Wait for a free endpoint. marks: of the prompt, see `prefixes`; none: only the load counts.

        Raises EngineError when all are closed, or none has answered for too long.
        """
        while (endpoint := self.take(marks)) is None:
            now = self._clock()
            self._give_up(now)
            await self._wait(now)
        return endpoint

    def take(self, marks: tuple[int, ...] = ()) -> Endpoint | None:
        """A free endpoint, now; None when there is none. Most rows find one, and waiting for nothing costs too."""
        now = self._clock()
        free = [endpoint for endpoint in self.endpoints if endpoint.free(now)]
        if not free:
            return None
        chosen = self._choose(free, marks) if marks or len(free) > 1 else free[0]
        chosen.in_flight += 1
        return chosen

    def _choose(self, free: list[Endpoint], marks: tuple[int, ...]) -> Endpoint:
        """The least busy one, unless one that has read the beginning is within the slack and does not fail.

        The slack is a share of the load and nothing at low loads, so that no endpoint goes idle for it.
        """
        chosen = min(free, key=_load)
        if marks:
            most = chosen.in_flight + chosen.in_flight // SLACK
            knowing = self._readers.of(marks)
            near = [e for e in free if self._bits[e] & knowing and e.in_flight <= most and e.sound]
            chosen = min(near, key=_load, default=chosen)
            self._readers.note(marks, self._bits[chosen])
        return chosen

    def release(self, endpoint: Endpoint) -> None:
        """The request is over."""
        endpoint.in_flight -= 1
        self._bell.set()
        self._bell.clear()

    def well(self, endpoint: Endpoint) -> None:
        """A usable reply came."""
        self._well_at = self._clock()
        endpoint.succeeded()

    def ill(self, endpoint: Endpoint, why: str) -> None:
        """A try failed by the endpoint's fault."""
        self.last_error = why
        endpoint.failed(self._clock())

    def busy(self, endpoint: Endpoint, why: str, wait_s: float | None) -> None:
        """It asked for patience: for how long, if it said so.

        Where there are others, one that says nothing else rests as a failing one does: it is always the least busy,
        and would use up the tries of every row.
        """
        self.last_error = why
        now = self._clock()
        if len(self.endpoints) > 1:
            endpoint.failed(now)
        if wait_s is not None:
            endpoint.pause(now + wait_s)

    def close(self, endpoint: Endpoint, why: str) -> None:
        """Take an endpoint out for good."""
        endpoint.closed = self.last_error = why

    def _give_up(self, now: float) -> None:
        if all(endpoint.closed is not None for endpoint in self.endpoints):
            said = "; ".join(sorted({endpoint.closed or "" for endpoint in self.endpoints}))
            hint = "mend it, then start the batch again; if just the rows that are left are refused, cancel it"
            raise EngineError(f"no endpoint takes our requests: {said}", hint=hint)
        left = [endpoint for endpoint in self.endpoints if endpoint.closed is None]
        # from the failures on: long answers make no sign of life for an hour, and their server may just have gone;
        # or it is there, and other rows failed: then those that are still with it will be answered
        down_s = now - max(self._well_at, *(endpoint.resting_since for endpoint in left))
        if all(endpoint.rests and not endpoint.in_flight for endpoint in left) and down_s > self._outage_s:
            raise EngineError(
                f"no endpoint has answered for {now - self._well_at:.0f} s: {self.last_error}",
                hint="start the batch again when the server is back: it goes on with the rest",
            )

    async def _wait(self, now: float) -> None:
        """Until a request ends or the next rest is over, whichever is first."""
        ends = [e.rests_until for e in self.endpoints if e.closed is None and e.rests_until > now]
        try:
            async with asyncio.timeout(min(ends) - now + 0.001 if ends else 1.0):
                await self._bell.wait()
        except TimeoutError:
            return


def _load(endpoint: Endpoint) -> int:
    return endpoint.in_flight
