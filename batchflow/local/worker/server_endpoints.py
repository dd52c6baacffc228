"""The endpoints of servers that a worker asks: their clients, keys, and limits that it keeps with other workers.

Endpoints come and go with the project's pool while the batch runs: one that is added joins as soon as it lists the
model, one that is removed gets no further request, and answers those that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from batchflow import settings
from batchflow.errors import BatchflowError
from batchflow.local.base.options import Options
from batchflow.local.base.pace import Own, Pace, Shared, Store, shared_file
from batchflow.local.base.transport import Client
from batchflow.local.job import pool_file
from batchflow.local.servers import serving
from batchflow.local.worker import server_probe
from batchflow.local.worker.endpoints import Endpoint, Pool
from batchflow.local.worker.lease import Lease
from batchflow.records import Json

LOOK_S = 1.0  # between two looks at the pool's file
JOIN_S = 5.0  # between two tries to join a server that does not list the model yet


class ServerEndpoints:
    """The endpoints of one job, by URL. say: writes a line of the worker's log. pool_path: of the project's pool."""

    def __init__(
        self,
        options: Options,
        model: str,
        context: settings.Settings,
        lease: Lease,
        say: Callable[[str], None],
        pool_path: Path,
    ) -> None:
        self._options = options
        self._model = model
        self._context = context
        self._lease = lease
        self._say = say
        self._path = pool_path
        self._by_url: dict[str, Endpoint] = {}
        self._left: list[Endpoint] = []
        self._told: dict[str, str] = {}
        self._tried_at: dict[str, float] = {}

    @property
    def all(self) -> tuple[Endpoint, ...]:
        """Every endpoint that is asked, in the order in which they came."""
        return tuple(self._by_url.values())

    @property
    def clients(self) -> tuple[Client, ...]:
        """Their clients."""
        return tuple(endpoint.client for endpoint in self.all)

    def asked(self) -> tuple[str, ...]:
        """The URLs that the job is to ask now. Raises DataError for a pool that cannot be read."""
        return pool_file.asked(self._options.base_urls, pool_file.read(self._path), self._model)

    def open_own(self) -> None:
        """Open the batch's own endpoints, but for those that were removed."""
        wanted = self.asked()
        for url in self._options.base_urls:
            if url in wanted:
                self._by_url[url] = self._open(url)

    def secrets(self, url: str) -> str | None:
        """The key of a server that this machine serves."""
        return serving.key_for(self._context.home, url)

    def _open(self, url: str) -> Endpoint:
        options = self._options
        key = self._context.key("local")
        client = Client(url, self.secrets(url) or (key.reveal() if key else None))
        return Endpoint(client, options.per_endpoint or options.window, self._pace(client.url))

    def _pace(self, url: str) -> Pace | None:
        options, hosts = self._options, self._lease.hosts()
        if not (options.rps or options.tpm):
            return None
        pace = Pace(options.rps, options.tpm, self._store(url), share=1 / hosts)
        pace.join(self._lease.notice_s() if hosts > 1 else 0.0)
        return pace

    def _store(self, url: str) -> Store:
        try:
            return Shared(shared_file(self._context.home, url, self._context.key_mark("local", url)))
        except OSError as error:
            self._say(f"--rps and --tpm are kept for this job alone, not with other jobs of this machine: {error}")
            return Own()

    async def follow(self, pool: Pool, changed: Callable[[], Awaitable[None]]) -> None:
        """Adds and removes endpoints as the pool's file says. changed: called after each change."""
        stamp: tuple[int, int, int] | None = None
        while True:
            seen = pool_file.stamp(self._path)
            if seen != stamp or self._told:
                try:
                    wanted = self.asked()
                except BatchflowError as error:
                    self._tell("", str(error))
                else:
                    self._told.pop("", None)
                    if await self._adjust(pool, wanted):
                        await changed()
                stamp = seen
            await asyncio.sleep(LOOK_S)

    async def _adjust(self, pool: Pool, wanted: tuple[str, ...]) -> bool:
        is_changed = False
        for url in [url for url in self._by_url if url not in wanted]:
            endpoint = self._by_url.pop(url)
            self._left.append(endpoint)
            pool.remove(endpoint)
            self._say(f"{url} has left the pool; it answers what it has")
            is_changed = True
        for gone in set(self._told) - {*wanted, ""}:
            del self._told[gone]
        for url in wanted:
            if url not in self._by_url and await self._joins(url):
                pool.add(self._by_url[url])
                is_changed = True
        return is_changed

    async def _joins(self, url: str) -> bool:
        """Open an endpoint of the pool where it lists the model; else it is tried again."""
        now = asyncio.get_running_loop().time()
        if now - self._tried_at.get(url, -JOIN_S) < JOIN_S:
            return False
        self._tried_at[url] = now
        endpoint = self._open(url)
        try:
            why = await server_probe.lack(endpoint.client, self._model)
        except BatchflowError as error:
            why = str(error)
        if why is not None:
            self._tell(url, f"{url} does not join yet: {why}")
            _close(endpoint)
            return False
        self._told.pop(url, None)
        del self._tried_at[url]
        self._by_url[url] = endpoint
        self._say(f"{url} has joined the pool")
        return True

    def _tell(self, url: str, text: str) -> None:
        if self._told.get(url) != text:
            self._told[url] = text
            self._say(text)

    def standing(self) -> tuple[Json, ...]:
        """Each endpoint's URL, window, requests in flight and answers."""
        return tuple(
            {
                "url": endpoint.client.url,
                "window": int(endpoint.window),
                "in_flight": endpoint.in_flight,
                "answers": endpoint.answers,
            }
            for endpoint in self.all
        )

    def divide(self) -> None:
        """Divide the limits by the hosts that share them now."""
        for endpoint in self.all:
            if endpoint.pace is not None:
                endpoint.pace.share = 1 / self._lease.hosts()

    def close(self) -> None:
        """Close connections and files."""
        for endpoint in (*self.all, *self._left):
            _close(endpoint)


def _close(endpoint: Endpoint) -> None:
    endpoint.client.close()
    if endpoint.pace is not None:
        endpoint.pace.close()
