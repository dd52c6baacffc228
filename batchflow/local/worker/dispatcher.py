"""The sliding window: as many requests in flight as allowed, always, with no barrier anywhere.

Each of `concurrency` slots takes the next row as soon as its last one is over. A row that has to wait before its next
try is parked, and its slot goes on with another row, so that retries do not empty the window. A row for which there was
no room is the next to be let in. A row that every endpoint denies (key, money, permission) is left undone, and the job
stops for it when all others are over.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from batchflow.errors import DataError, EngineError
from batchflow.local.base import rate_limits
from batchflow.local.base.options import Options
from batchflow.local.base.transport import TransportError
from batchflow.local.job.rows import Fate, Row, Verdict, judge
from batchflow.local.worker.endpoints import REFUSED_HINT, Endpoint, Pool

PARKED_PER_SLOT = 4  # rows that wait for their next try; beyond it no new row is begun, so that memory stays flat
PATIENT_WAITS = 8  # times that a row finds no room, after which it waits longer each time: it may be too large for any
WAIT_CAP_S = 10.0

_FINAL = frozenset({Fate.ANSWERED, Fate.REFUSED})
_TURNED_AWAY = frozenset({Fate.BUSY, Fate.REFUSED, Fate.DENIED, Fate.FORBIDDEN})


@dataclass(slots=True)
class Tally:
    """Counts of this run so far."""

    retries: int = 0
    tokens: int = 0
    rows: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class Window:
    """Works off rows. path: the URL path of a call, by endpoint root. finish: called once per row, with its verdict.

    Raises (from `run`) EngineError when no endpoint is left, DataError for a broken input.
    """

    rows: Iterator[Row]
    pool: Pool
    options: Options
    path: str
    finish: Callable[[Row, Verdict], None]
    clock: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    tally: Tally = field(default_factory=Tally)
    _parked: list[tuple[float, int, Row]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _held: dict[Endpoint, list[tuple[Row, Verdict]]] = field(default_factory=dict)  # refused, by whose fault is open
    _undone: int = 0  # rows that every endpoint denied

    @property
    def retries(self) -> int:
        """Calls beyond the first of their row, those that the transport repeated included."""
        return self.tally.retries + sum(endpoint.client.resent for endpoint in self.pool.endpoints)

    @property
    def last_error(self) -> str:
        """Last error of an endpoint: a failure, or the refusal of a row."""
        return self.pool.last_error

    async def run(self) -> None:
        """Until every row is finished."""
        try:
            async with asyncio.TaskGroup() as slots:
                for _ in range(self.options.window):
                    slots.create_task(self._slot())
        except ExceptionGroup as group:  # one failed slot ends all; its own error is what counts
            raise _first(group) from None
        if self._undone:
            rows = "row is" if self._undone == 1 else "rows are"
            why = f"{self._undone} {rows} denied by every endpoint, all others are done: {self.pool.last_error}"
            raise EngineError(why, hint=REFUSED_HINT)

    async def _slot(self) -> None:
        while (row := await self._next()) is not None:
            await self._try(row)

    async def _next(self) -> Row | None:
        """A parked row whose time has come, else a new one; None when nothing is left for this slot.

        A slot may leave while others are busy: a row that one of them parks is taken up by that slot itself.
        """
        while True:
            now = self.clock()
            if self._parked and self._parked[0][0] <= now:
                return heapq.heappop(self._parked)[2]
            if len(self._parked) < PARKED_PER_SLOT * self.options.window and (row := next(self.rows, None)) is not None:
                return row
            if not self._parked:
                return None
            await asyncio.sleep(self._parked[0][0] - now)

    async def _try(self, row: Row) -> None:
        endpoint = await self._endpoint(row)
        if endpoint is None:
            return
        self.tally.in_flight += 1
        try:
            verdict = await self._ask(endpoint, row, endpoint.taken)
        finally:
            self.tally.in_flight -= 1
            self.pool.release(endpoint)
        if endpoint.pace is not None:
            self._settle(endpoint, row, verdict)
        if verdict.fate is Fate.FORBIDDEN:
            self._hold(endpoint, row, verdict)
        elif verdict.fate is Fate.DENIED:
            self._deny(endpoint, row, verdict)
        elif verdict.fate is Fate.BUSY:
            self._wait_for_room(row)
        elif verdict.fate in _FINAL or row.tries > self.options.retries:
            self._finish(row, verdict)
        else:
            self.tally.retries += 1
            self._park(row, verdict.wait_s)
        if self._held:
            self._free_held(endpoint)

    async def _endpoint(self, row: Row) -> Endpoint | None:
        """An endpoint for a row; None when it was denied by some and the others are not free, or there are none."""
        if not row.refused:
            marks = () if row.tries or row.waits else row.marks  # a second try goes where there is room
            return self.pool.take(marks, row.tokens) or await self.pool.acquire(marks, row.tokens)
        if not self.pool.has_other(row.refused):
            self._undone += 1
            return None
        endpoint = self.pool.take_other(row.refused, row.tokens)
        if endpoint is None:
            self._park(row, self.options.backoff_s)
        return endpoint

    async def _ask(self, endpoint: Endpoint, row: Row, number: int) -> Verdict:
        client = endpoint.client
        try:
            reply = await client.post(client.root + self.path, row.body, self.options.timeout_s)
        except TransportError as error:
            if not error.sent:  # a server that is not there has not refused the row, and used nothing
                self.pool.settle(endpoint, -row.tokens)
            row.tries += error.sent
            if error.late:
                endpoint.crowded(number)
            self.pool.ill(endpoint, str(error))
            return Verdict(Fate.TRY_AGAIN, why=str(error))
        verdict = judge(reply, thinks=row.thinks)
        if verdict.fate is Fate.BUSY:
            self.pool.busy(endpoint, number, verdict.why, verdict.wait_s)
        elif verdict.fate is not Fate.DENIED and verdict.fate is not Fate.FORBIDDEN:
            row.tries += 1
            self._note(endpoint, number, verdict)
        return verdict

    def _note(self, endpoint: Endpoint, number: int, verdict: Verdict) -> None:
        """Draws the consequences of a try for its endpoint."""
        if verdict.fate is not Fate.TRY_AGAIN:
            self.pool.well(endpoint)
            return
        if verdict.status == 503:
            endpoint.crowded(number)
        self.pool.ill(endpoint, verdict.why)

    def _wait_for_room(self, row: Row) -> None:
        """Takes a waiting row in as soon as there is room for it."""
        self.tally.retries += 1
        row.waits += 1
        over, options = row.waits - PATIENT_WAITS, self.options
        cap = min(options.backoff_cap_s, WAIT_CAP_S)
        wait = rate_limits.backoff(over, options.backoff_s, cap, self.rng) if over > 0 else 0.0
        heapq.heappush(self._parked, (self.clock() + wait, next(self._order), row))

    def _deny(self, endpoint: Endpoint, row: Row, verdict: Verdict) -> None:
        """Ask a row that was refused for key, money or permission elsewhere, at once; where all refuse it, leave it."""
        self.pool.last_error = why = f"{endpoint.client.url}: {verdict.why}"
        row.refused |= self.pool.mark(endpoint)
        if endpoint.forbids(verdict.status):
            self.pool.close(endpoint, why)
        if self.pool.has_other(row.refused):
            self.tally.retries += 1
            heapq.heappush(self._parked, (self.clock(), next(self._order), row))
        else:
            self._undone += 1

    def _hold(self, endpoint: Endpoint, row: Row, verdict: Verdict) -> None:
        """Keep a row until it is known whose fault the refusal of model or path is. At most `TRIP` are kept."""
        self._held.setdefault(endpoint, []).append((row, verdict))
        if endpoint.forbids():
            self.pool.close(endpoint, f"{endpoint.client.url}: {verdict.why}")

    def _free_held(self, endpoint: Endpoint) -> None:
        """Release the held rows of an endpoint once it is clear whose fault the refusal was.

        A closed endpoint's rows go elsewhere. If it answered another row, or has none left that could tell, the held
        rows are to blame; an endpoint that never answered has proved nothing against them.
        """
        if endpoint.closed is None and endpoint.refusals and endpoint.in_flight:
            return
        for row, verdict in self._held.pop(endpoint, ()):
            if endpoint.closed is None and endpoint.answered:
                self._finish(row, verdict)
            else:
                self.tally.retries += 1
                self._park(row, None)

    def _park(self, row: Row, wish_s: float | None) -> None:
        options = self.options
        wait = rate_limits.backoff(max(row.tries, 1), options.backoff_s, options.backoff_cap_s, self.rng)
        heapq.heappush(self._parked, (self.clock() + max(wait, wish_s or 0.0), next(self._order), row))

    def _finish(self, row: Row, verdict: Verdict) -> None:
        self.tally.rows += 1
        self.tally.tokens += verdict.tokens
        self.pool.last_error = verdict.trouble or self.pool.last_error
        self.finish(row, verdict)

    def _settle(self, endpoint: Endpoint, row: Row, verdict: Verdict) -> None:
        """Correct the estimate of a try: one turned away used nothing, one broken off perhaps all of it."""
        if verdict.fate in _TURNED_AWAY:
            self.pool.settle(endpoint, -row.tokens)
        elif (used := verdict.all_tokens) is not None:
            self.pool.settle(endpoint, used - row.tokens)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The error that ended the run: what the user can mend before anything else."""
    flat = [_first(error) if isinstance(error, ExceptionGroup) else error for error in group.exceptions]
    return next((error for error in flat if isinstance(error, DataError)), flat[0])
