"""Keeps as many replicas as were asked for: asks the cluster for each, and for another one in the place of a dead one.

Where they run, and whether nodes are added for them, is the cluster's business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol

from batchflow.errors import EngineError
from batchflow.local.cluster.replica import Served

TRIES = 3  # replicas that may fail before the first one serves: the reason is then not one node's
REST_S = 0.5  # after a failed start; each further one in a row waits twice as long
REST_CAP_S = 60.0
LOOK_S = 0.5
SHORT_S = 10.0  # without a place, after which people are told: Ray needs seconds to start an actor
HINT = "see worker.log, and the logs of Ray on that node; start the batch again: it goes on with the rest"


@dataclass(frozen=True, slots=True)
class News:
    """News of a replica: a place on a node, service, or its end with a reason."""

    handle: Hashable
    node: str = ""
    served: Served | None = None
    why: str = ""
    hint: str = ""


class Cluster(Protocol):
    """Places replicas."""

    def launch(self) -> Hashable:
        """Ask for a replica; it is placed when there is room."""

    def news(self, timeout_s: float) -> list[News]:
        """News of replicas, waited for as long as this. An end is told once."""

    def end(self, handle: Hashable) -> None:
        """End a replica at once."""

    def shortage(self) -> str:
        """Resources that a replica needs, and those that the cluster has."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A replica serves."""

    served: Served


@dataclass(frozen=True, slots=True)
class Left:
    """A replica that served has ended."""

    url: str
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for people."""

    text: str


class Placement:
    """The replicas of one worker. bounds: how many are to serve before the batch begins, and how many are wanted.

    patience_s: how long the first ones, and later any at all, may be without a place.
    """

    def __init__(
        self, cluster: Cluster, bounds: tuple[int, int], patience_s: float, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._fewest, self._wanted = bounds
        self._patience_s = patience_s
        self._clock = clock
        self._urls: dict[Hashable, str] = {}  # of each replica; empty before it serves
        self._placed: set[Hashable] = set()
        self._failures = 0  # starts in a row
        self._has_served = self._has_begun = False
        self._rests_until = self._enough_at = self._all_at = clock()
        self._is_short = False

    def step(self) -> Iterator[Joined | Left | Note]:
        """Ask for what is missing, and tell what has happened since.

        Raises EngineError where replicas do not start, or none is placed for too long.
        """
        if self._clock() >= self._rests_until:
            while len(self._urls) < self._wanted:
                self._urls[self._cluster.launch()] = ""
        for news in self._cluster.news(LOOK_S):
            yield from self._told(news)
        yield from self._looked()

    def _told(self, news: News) -> Iterator[Joined | Left | Note]:
        if news.handle not in self._urls:
            return
        if news.served is not None:
            self._urls[news.handle] = news.served.url
            self._failures, self._has_served = 0, True
            self._has_begun = self._has_begun or sum(map(bool, self._urls.values())) >= self._fewest
            yield Joined(news.served)
        elif news.node:
            self._placed.add(news.handle)
            yield Note(f"a replica has a place on {news.node} and loads its model")
        else:
            yield from self._over(news)

    def _over(self, news: News) -> Iterator[Left | Note]:
        self._cluster.end(news.handle)
        self._placed.discard(news.handle)
        self._enough_at = self._all_at = self._clock()
        if url := self._urls.pop(news.handle):
            self._rests_until = self._clock() + REST_S  # one that serves and ends, again and again
            yield Left(url, news.why)
            return
        self._failures += 1
        if not self._has_served and self._failures >= TRIES:
            raise EngineError(f"no replica could be started: {news.why}", hint=news.hint or HINT)
        rest_s = min(REST_CAP_S, REST_S * 2.0 ** (self._failures - 1))
        self._rests_until = self._clock() + rest_s
        yield Note(f"a replica did not start, another one is asked for in {rest_s:g} s: {news.why}")

    def _looked(self) -> Iterator[Note]:
        """Tell when replicas have no place; too few for longer than the patience are an error."""
        now, waiting = self._clock(), len(self._urls) - len(self._placed)
        if not waiting:
            self._enough_at = self._all_at = now
            self._is_short = False
            return
        if len(self._placed) >= (1 if self._has_begun else self._fewest):
            self._enough_at = now
        if now - self._enough_at > self._patience_s:
            why = f"{len(self._placed)} of {len(self._urls)} replicas have a place after {now - self._enough_at:.0f} s"
            raise EngineError(f"{why}: {self._cluster.shortage()}", hint=SHORT_HINT)
        if now - self._all_at > SHORT_S and not self._is_short:
            self._is_short = True
            yield Note(f"{waiting} of {len(self._urls)} replicas wait for a place: {self._cluster.shortage()}")


SHORT_HINT = "free these resources, add nodes, or start the batch again with other --replicas or --gpus"
