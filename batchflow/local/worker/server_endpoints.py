"""The endpoints of servers that a worker asks: their clients, keys, and limits that it keeps with other workers."""

from __future__ import annotations

from collections.abc import Callable

from batchflow import settings
from batchflow.local.base.options import Options
from batchflow.local.base.pace import Own, Pace, Shared, Store, shared_file
from batchflow.local.base.transport import Client
from batchflow.local.servers import serving
from batchflow.local.worker.endpoints import Endpoint
from batchflow.local.worker.lease import Lease


class ServerEndpoints:
    """The endpoints of one job, by URL. say: writes a line of the worker's log."""

    def __init__(self, options: Options, context: settings.Settings, lease: Lease, say: Callable[[str], None]) -> None:
        self._options = options
        self._context = context
        self._lease = lease
        self._say = say
        self._by_url: dict[str, Endpoint] = {}

    @property
    def all(self) -> tuple[Endpoint, ...]:
        """Every endpoint that was opened, in that order."""
        return tuple(self._by_url.values())

    @property
    def clients(self) -> tuple[Client, ...]:
        """Their clients."""
        return tuple(endpoint.client for endpoint in self.all)

    def open(self, url: str) -> Endpoint:
        """A new endpoint."""
        options = self._options
        key = self._context.key("local")
        client = Client(url, serving.key_for(self._context.home, url) or (key.reveal() if key else None))
        endpoint = Endpoint(client, options.per_endpoint or options.window, self._pace(client.url))
        self._by_url[url] = endpoint
        return endpoint

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

    def divide(self) -> None:
        """Divide the limits by the hosts that share them now."""
        for endpoint in self.all:
            if endpoint.pace is not None:
                endpoint.pace.share = 1 / self._lease.hosts()

    def close(self) -> None:
        """Close connections and files."""
        for endpoint in self.all:
            endpoint.client.close()
            if endpoint.pace is not None:
                endpoint.pace.close()
