"""The endpoints of servers that a worker asks: their clients, keys, and limits that it keeps with other workers.

Endpoints come and go with the project's pool while the batch runs: one that is added joins as soon as it lists the
model, one that is removed gets no further request, and answers those that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from batchflow import files, settings
from batchflow.errors import BatchflowError
from batchflow.local.base import replicas
from batchflow.local.base.options import Options
from batchflow.local.base.pace import Own, Pace, Shared, Store, shared_file
from batchflow.local.base.transport import Client
from batchflow.local.job import pool_file
from batchflow.local.job.job_dir import Spec
from batchflow.local.servers import ray_package, serving
from batchflow.local.worker import open_files, server_probe
from batchflow.local.worker.cache import scope
from batchflow.local.worker.endpoints import Endpoint, Pool
from batchflow.local.worker.lease import Lease
from batchflow.local.worker.placed_engines import PlacedEngines, placing
from batchflow.records import Json

LOOK_S = 1.0  # between two looks at the pool's file
JOIN_S = 5.0  # between two tries to join a server that does not list the model yet


class ServerEndpoints:
    """The endpoints of one job, by URL. say: writes a line of the worker's log. pool_path: of the project's pool.

    waiting, joined: as `PlacedEngines` calls them, for a job whose engines Ray places.
    """

    def __init__(
        self,
        options: Options,
        model: str,
        context: settings.Settings,
        lease: Lease,
        say: Callable[[str], None],
        pool_path: Path,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        joined: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._model = model
        self._context = context
        self._lease = lease
        self._say = say
        self._waiting = waiting
        self._path = pool_path
        self._by_url: dict[str, Endpoint] = {}
        self._left: list[Endpoint] = []
        self._told: dict[str, str] = {}
        self._tried_at: dict[str, float] = {}
        self.placed = PlacedEngines(say, waiting, joined, self._break_off)
        self._placed_changes = 0

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
        return pool_file.asked(self.own, pool_file.read(self._path), self._model)

    @property
    def own(self) -> tuple[str, ...]:
        """The URLs of the batch itself: as it names them, or of the engines that Ray has placed for it."""
        return (*self._options.base_urls, *self.placed.members)

    @property
    def count(self) -> int:
        """Number of endpoints that the batch brings along."""
        options = self._options
        return replicas.most(options.replicas) if options.engine == "ray" else len(options.base_urls)

    @asynccontextmanager
    async def opened(self, spec: Spec) -> AsyncIterator[None]:
        """The batch's own endpoints: those that it names, or those that Ray places as long as the block runs.

        Raises EngineError where none can be asked, and into the block where Ray cannot go on.
        """
        options = self._options
        open_files.allow(options.window, kept=options.endpoint_window * self.count)
        try:
            if options.engine == "ray":
                async with placing(spec, self._context, self.placed):
                    await self.placed.enough(replicas.bounds(options.replicas)[0])
                    self.open_own()
                    yield
            else:
                self.open_own()
                await self._wait_for_model()
                yield
        finally:
            self.close()

    async def _wait_for_model(self) -> None:
        options = self._options
        if options.wait_for_s:
            wait = {"wait_s": options.wait_for_s, "interval_s": options.wait_interval_s}
            await server_probe.wait_for_model(self.clients, self._model, **wait, say=self._waiting)

    def open_own(self) -> None:
        """Open the batch's own endpoints, but for those that were removed."""
        wanted = self.asked()
        for url in self.own:
            if url in wanted:
                self._by_url[url] = self._open(url)

    def secrets(self) -> Iterator[str | None]:
        """The keys of the servers that this machine serves, or Ray's nodes."""
        yield from self.placed.keys
        for url in {*self.own, *self._by_url}:
            yield serving.key_for(self._context.home, url)

    def _open(self, url: str) -> Endpoint:
        key = self._context.key("local")
        client = Client(url, self._key_of(url) or (key.reveal() if key else None))
        return Endpoint(client, self._options.endpoint_window, self._pace(client.url))

    def _key_of(self, url: str) -> str | None:
        served = self.placed.members.get(url)
        return served.key if served else serving.key_for(self._context.home, url)

    def _is_new(self, url: str) -> bool:
        """True for an engine that Ray has placed where another one was: the same address, another key."""
        served = self.placed.members.get(url)
        return served is not None and served.key != self._by_url[url].client.key

    def _break_off(self, url: str, why: str) -> None:
        """An engine has ended: nobody waits for what it was asked."""
        if url in self._by_url:
            self._by_url[url].client.break_off(f"{url} has ended: {why}")

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
            changes = self.placed.changes
            if seen != stamp or self._told or changes != self._placed_changes:
                try:
                    wanted = self.asked()
                except BatchflowError as error:
                    self._tell("", str(error))
                else:
                    self._told.pop("", None)
                    if await self._adjust(pool, wanted):
                        await changed()
                stamp, self._placed_changes = seen, changes
            await asyncio.sleep(LOOK_S)

    async def _adjust(self, pool: Pool, wanted: tuple[str, ...]) -> bool:
        is_changed = False
        for url in [url for url in self._by_url if url not in wanted or self._is_new(url)]:
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
            served = self.placed.members.get(url)
            why = await server_probe.lack(endpoint.client, served.model if served else self._model)
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

    async def identify(self) -> tuple[Json, frozenset[str] | None]:
        """Facts of who answers, for engine.json, and their identities; None where one of them does not say.

        Servers are asked; what Ray places tells it by itself.
        """
        options = self._options
        clients = [client for client in self.clients if client.url not in self.placed.members]
        answers = await asyncio.gather(*(server_probe.served(client, self._model) for client in clients))
        by_url = {client.url: facts for client, facts in zip(clients, answers, strict=True)}
        served = {url: facts for url, facts in by_url.items() if facts is not None}
        known = {server_probe.identity(url, facts) for url, facts in served.items()}
        placed = (member for url, member in self.placed.members.items() if url in self._by_url)
        known |= {files.dumps(member.identity).decode() for member in placed}
        facts: Json = {"engine": "server", "base_urls": list(by_url), "mode": options.mode, "served": served}
        if options.engine == "ray":
            facts = {"engine": "ray", "version": ray_package.version(), "serve": options.works}
            facts |= {"served": self.placed.facts} | ({"servers": served} if by_url else {})
        return facts, None if len(served) < len(by_url) else frozenset(known)

    def scope(self, identities: frozenset[str]) -> bytes:
        """The scope of answers that are kept: for one engine of ours that of the same engine without Ray."""
        if self._options.engine == "ray" and len(identities) == 1 and self.placed.members:
            return scope(*files.loads(next(iter(identities)).encode()))
        return scope(self._options.mode, *sorted(identities))

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
