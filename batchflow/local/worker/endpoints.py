"""Endpoints of one model: who takes the next request, and who is given a rest.

An endpoint that fails several times in a row rests, longer each time; then one request tries it (a circuit breaker,
M. Nygard, "Release It!", 2007). One that refuses our key, model or path is closed for good: after as many refusals in a
row, since it may have been started with another model or key; at once where it never answered and nothing is with it.

How many requests an endpoint holds is learnt: half as many when it has no room (429, 503, a time-out), once for all
that was sent before; then one more with each answer until it is nearly as full as it was, from there one more with each
window of answers (congestion avoidance, RFC 5681). A server that takes 64 at once stays near 64.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from batchflow.errors import EngineError
from batchflow.local.base.pace import Pace
from batchflow.local.base.transport import Client
from batchflow.local.job.prefix_affinity import Readers

TRIP = 5  # failures in a row that make an endpoint rest
REST_S = 0.5  # the first rest; each further one is twice as long
REST_CAP_S = 30.0
BUSY_S = 0.05  # the first rest of an endpoint that has no room for a single request, and names no time itself
CLOSE_TO = 15 / 16  # of where an endpoint was full: from here on its window grows slowly
DENIALS = (
    64  # 403 in a row that close an endpoint: firewalls refuse single rows with it, and these may lie side by side
)
LOOK_S = 1.0  # workers of other jobs correct their estimates meanwhile: a turn may come sooner than it seemed
LEFT = "removed from the pool"
REFUSED_HINT = "fix this, then start the batch again; if only the remaining requests are refused, cancel the batch"
SLACK = 2  # one that has read a prompt's beginning may be 1/SLACK busier than the least busy one (docs/performance.md)


@dataclass(slots=True, eq=False)
class Endpoint:
    """One base URL. Times are on the loop's clock."""

    client: Client
    limit: int  # requests in flight at most
    pace: Pace | None = None  # its limits of requests a second and tokens a minute
    window: float = field(init=False)  # requests in flight at most, as it has shown
    full_at: float = field(init=False)  # a little below where it was full last
    in_flight: int = 0
    taken: int = 0  # requests so far
    cut_at: int = 0  # how many these were when the window was halved
    answered: bool = False
    answers: int = 0
    closed: str | None = None  # why it is out for good
    failures: int = 0  # in a row
    refusals: int = 0  # of key, model or path, without an answer between them
    rests: int = 0  # in a row
    resting_since: float = 0.0  # when the first of these began
    rests_until: float = 0.0
    paced_until: float = 0.0  # before it, its limits leave no turn

    def __post_init__(self) -> None:
        self.window = self.full_at = float(self.limit)

    @property
    def sound(self) -> bool:
        """True when its last try, if there was one, did not fail."""
        return not self.failures and not self.rests

    def free(self, now: float) -> bool:
        """True when it may take a request now; while it is on trial, one at a time."""
        if self.closed is not None or now < self.rests_until or now < self.paced_until:
            return False
        if self.in_flight >= int(self.window):
            return False
        return self.rests == 0 or self.in_flight == 0

    def takes(self, tokens: float, now: float) -> bool:
        """Take a turn for a request. False where its limits leave none: it is not free until there may be one."""
        wait_s = self.pace.claim(tokens) if self.pace is not None else 0.0
        self.paced_until = now + min(wait_s, LOOK_S) if wait_s else 0.0
        return not wait_s

    def succeeded(self) -> None:
        """It gave a usable reply."""
        self.answered = True
        self.answers += 1
        self.failures = self.refusals = self.rests = 0
        if self.window < self.limit:
            self.window = min(self.limit, self.window + (1.0 if self.window < self.full_at else 1.0 / self.window))

    def crowded(self, number: int) -> None:
        """It had no room for a request, or no time. number: of the request; one from before the cut is old news."""
        if number <= self.cut_at:
            return
        self.cut_at = self.taken
        held = min(self.window, float(self.in_flight))
        self.full_at = max(1.0, held * CLOSE_TO)
        self.window = max(1.0, held / 2)

    def turned_away(self, number: int, now: float, wish_s: float | None) -> None:
        """It asked for patience (429, or 503 with Retry-After).

        While it works on others, room comes with their answers; else it rests: as long as it wishes, or longer each
        time.
        """
        self.crowded(number)
        if self.in_flight > 1 or now < self.rests_until:
            return
        self.resting_since = self.resting_since if self.rests else now
        rest = min(REST_CAP_S, BUSY_S * 2.0 ** min(self.rests, 30))
        self.rests_until = now + (rest if wish_s is None else max(wish_s, rest))
        self.rests += 1

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

    def forbids(self, status: int | None = None) -> bool:
        """It refused key, model or path; True when that is no single row's doing.

        A refusal takes no time, an answer does: before the first one, what is still with it may be answered.
        """
        self.refusals += 1
        if status == 403:
            return self.refusals >= DENIALS
        return self.refusals >= TRIP or not (self.answered or self.in_flight)


class Pool:
    """The endpoints of one job. `acquire` gives the free one with the fewest requests in flight, or one that is hardly
    busier and has read the beginning of this prompt before.
    """

    def __init__(self, endpoints: tuple[Endpoint, ...], outage_s: float, clock: Callable[[], float]) -> None:
        self.endpoints = list(endpoints)
        self.last_error = ""
        self._outage_s = outage_s
        self._clock = clock
        self._well_at = clock()
        self._bell = asyncio.Event()
        self._queue = asyncio.Lock()  # of who waits for room: the first one alone is woken by the bell
        self._readers = Readers()
        self._bits = {endpoint: 1 << place for place, endpoint in enumerate(endpoints)}
        self._emptied_at = self._well_at  # when the last endpoint left

    async def acquire(self, marks: tuple[int, ...] = (), tokens: float = 0) -> Endpoint:
        """Wait for a free endpoint, in the order of the calls. marks: of the prompt (`prefixes`); none: only the load.

        tokens: estimate of what the request uses.

        Raises EngineError when all are closed, or none has answered for too long.
        """
        async with self._queue:
            while (endpoint := self._take(marks, tokens)) is None:
                now = self._clock()
                self._give_up(now)
                await self._wait(now)
        return endpoint

    def take(self, marks: tuple[int, ...] = (), tokens: float = 0) -> Endpoint | None:
        """A free endpoint, now; None when there is none, or others wait for it already.

        Most rows find one, and waiting for nothing costs too.
        """
        return None if self._queue.locked() else self._take(marks, tokens)

    def take_other(self, refused: int, tokens: float) -> Endpoint | None:
        """A free endpoint, now, that has not refused a row. refused: as `mark` notes it."""
        return self._take((), tokens, refused)

    def has_other(self, refused: int) -> bool:
        """Tells whether any endpoint is left that has not refused a row."""
        return any(endpoint.closed is None and not self._bits[endpoint] & refused for endpoint in self.endpoints)

    def mark(self, endpoint: Endpoint) -> int:
        """The bit that stands for an endpoint in a row's `refused`."""
        return self._bits[endpoint]

    def _take(self, marks: tuple[int, ...], tokens: float, refused: int = 0) -> Endpoint | None:
        now = self._clock()
        free = [e for e in self.endpoints if e.free(now) and not (refused and self._bits[e] & refused)]
        while free:
            chosen = self._choose(free, marks) if marks or len(free) > 1 else free[0]
            if chosen.takes(tokens, now):
                self._readers.note(marks, self._bits[chosen])
                chosen.in_flight += 1
                chosen.taken += 1
                return chosen
            free.remove(chosen)
        return None

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
        return chosen

    def release(self, endpoint: Endpoint) -> None:
        """The request is over."""
        endpoint.in_flight -= 1
        self._ring()

    def settle(self, endpoint: Endpoint, difference: float) -> None:
        """Correct the estimate of a request: positive when it used more tokens than were taken for it."""
        if endpoint.pace is not None:
            endpoint.pace.settle(difference)
            endpoint.paced_until = 0.0  # the turn has moved: look again
            self._ring()

    def _ring(self) -> None:
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

    def busy(self, endpoint: Endpoint, number: int, why: str, wait_s: float | None) -> None:
        """It asked for patience: for how long, if it said so. number: of the request, as `Endpoint.taken` counts."""
        self.last_error = why
        endpoint.turned_away(number, self._clock(), wait_s)

    def close(self, endpoint: Endpoint, why: str) -> None:
        """Take an endpoint out for good."""
        endpoint.closed = self.last_error = why

    def add(self, endpoint: Endpoint) -> None:
        """An endpoint joins; whoever waits for room finds it."""
        self._bits[endpoint] = 1 << len(self._bits)
        self.endpoints.append(endpoint)
        self._well_at = max(self._well_at, self._clock())
        self._ring()

    def remove(self, endpoint: Endpoint) -> None:
        """An endpoint leaves: it gets no further request, and answers those that it has."""
        endpoint.closed = LEFT
        self._emptied_at = self._clock()
        self._ring()

    def _give_up(self, now: float) -> None:
        if all(endpoint.closed is not None for endpoint in self.endpoints):
            self._give_up_empty(now)
            return
        left = [endpoint for endpoint in self.endpoints if endpoint.closed is None]
        # from the failures on: long answers make no sign of life for an hour, and their server may just have gone;
        # or it is there, and other rows failed: then those that are still with it will be answered
        down_s = now - max(self._well_at, *(endpoint.resting_since for endpoint in left))
        if all(endpoint.rests and not endpoint.in_flight for endpoint in left) and down_s > self._outage_s:
            raise EngineError(
                f"no endpoint has answered for {now - self._well_at:.0f} s: {self.last_error}",
                hint="start the batch again when the server is back: it goes on with the rest",
            )

    def _give_up_empty(self, now: float) -> None:
        """Raise EngineError where nobody may join any more who accepts the requests."""
        reasons = sorted({endpoint.closed or "" for endpoint in self.endpoints} - {LEFT})
        if reasons:
            raise EngineError(f"no endpoint accepts the requests: {'; '.join(reasons)}", hint=REFUSED_HINT)
        if now - self._emptied_at > self._outage_s:
            raise EngineError(
                f"the pool has had no endpoint for {now - self._emptied_at:.0f} s",
                hint="batchflow pool add URL, then start the batch again: it goes on with the rest",
            )

    async def _wait(self, now: float) -> None:
        """Until a request ends, the next rest is over or the next turn comes, whichever is first."""
        ends = [at for e in self.endpoints if e.closed is None for at in (e.rests_until, e.paced_until) if at > now]
        try:
            async with asyncio.timeout(min(ends) - now + 0.001 if ends else 1.0):
                await self._bell.wait()
        except TimeoutError:
            return


def _load(endpoint: Endpoint) -> int:
    return endpoint.in_flight
