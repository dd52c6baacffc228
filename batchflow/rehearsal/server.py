"""A loopback server that speaks the vendors' batch protocols, so that a whole evaluation runs without a cent.

The vendors' own SDKs run against it unmodified: `environment(base)` names the variables that point them here. Nothing
in it reaches a network. `running(...)` starts it in a thread (tests, `batchflow rehearse -- COMMAND`), `serve(...)`
in the foreground.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as WebRoute
from uvicorn import Config, Server

from batchflow import files
from batchflow.errors import EngineError
from batchflow.rehearsal import fault_injection, registry
from batchflow.rehearsal.answers import Rule
from batchflow.rehearsal.fake_state import Language, Pace, Refusal, Site
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.rehearsal.routes import Call, Reply, Route, Upload
from batchflow.settings import ACCESS

KEY = "rehearsal-key-not-a-secret"
START_S = 10.0  # a loopback server that has not started by then never will
MOMENT_S = 0.1  # for the calls that are being answered when the server ends


class PromptServer(Server):
    """Uvicorn's server that starts and ends at once: uvicorn looks ten times a second whether it is to end."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._begun = threading.Event()
        self._end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextlib.contextmanager
    def in_a_thread(self, listener: socket.socket) -> Iterator[None]:
        """It takes calls as long as the block runs. Raises EngineError."""
        thread = threading.Thread(target=self._work, args=(listener,), name="rehearsal", daemon=True)
        thread.start()
        if not self._begun.wait(START_S) or self._loop is None:
            raise EngineError("the rehearsal server did not start", hint="try another --port")
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            thread.join(START_S)

    def _work(self, listener: socket.socket) -> None:
        try:
            self.run([listener])
        finally:
            self._begun.set()

    async def main_loop(self) -> None:
        """Take calls until the end is wanted."""
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection; calls that are being answered have a moment to end."""
        for open_one in (*self.servers, *(sockets or ())):
            open_one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=MOMENT_S)
        await asyncio.sleep(0)  # the transports, each of which closes in the loop's next turn


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: its address, its memory, and the environment for those who are to use it."""

    base: str
    site: Site
    environment: Mapping[str, str]

    def url(self, vendor: str) -> str:
        """The base URL that a vendor's SDK is to be given."""
        return f"{self.base}/{vendor}{self.site.languages[vendor].SUFFIX}"


def environment(base: str) -> dict[str, str]:
    """The variables that point every SDK at the server at `base` (scheme, host and port)."""
    named = {"BATCHFLOW_REHEARSAL": "1", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    for vendor, language in _languages().items():
        access = ACCESS[vendor]
        named |= {access.base_urls[0]: f"{base}/{vendor}{language.SUFFIX}", access.keys[0]: KEY}
    return named


def _languages() -> dict[str, Language]:
    return {vendor: cast("Language", import_module(module)) for vendor, module in registry.MODULES.items()}


def site_at(folder: Path, **options: Any) -> Site:
    """The memory of all vendors in a folder. options: rule, faults, pace, kill, clock, as `Site` takes them."""
    return Site(folder, _languages(), **options)


def app(site: Site) -> Starlette:
    """The ASGI application of a site."""
    routes = [
        WebRoute(f"/{vendor}{route.path}", _dated(site, _endpoint(site, vendor, route)), methods=[route.method])
        for vendor, language in site.languages.items()
        for route in language.ROUTES
    ]
    return Starlette(routes=routes)


def _dated(site: Site, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint with the vendor's own clock in its `Date`, as in its records."""

    async def respond(request: Request) -> Response:
        response = await endpoint(request)
        response.headers["date"] = formatdate(site.clock(), usegmt=True)
        return response

    return respond


def _endpoint(site: Site, vendor: str, route: Route) -> Callable[[Request], Awaitable[Response]]:
    language = site.languages[vendor]

    def refused(status: int, message: str, code: str | None = None) -> Reply:
        return Reply(language.refusal(status, message, code), status)

    def answer(call: Call) -> Reply:
        if not route.open and language.key(call) != KEY:
            return refused(401, "Incorrect API key provided.", "invalid_api_key")
        try:
            return route.handle(site, call)
        except Refusal as refusal:
            return refused(refusal.status, refusal.message, refusal.code)

    async def respond(request: Request) -> Response:
        site.calls.append((vendor, route.verb))
        call = await _call(request, vendor, site.folder / "incoming")
        faults = site.faults.take(vendor, route.verb)
        for fault in faults:
            if fault.when == "before" and (struck := await fault_injection.strike(request, site, fault, refused, None)):
                return struck
        reply = await run_in_threadpool(answer, call)
        for fault in faults:
            after = fault.when == "after" or fault.kind in fault_injection.OF_THE_BODY
            if after and (struck := await fault_injection.strike(request, site, fault, refused, reply)):
                return struck
        return reply.web()

    return respond


async def _call(request: Request, vendor: str, incoming: Path) -> Call:
    """Read a request to its end; file parts go to disk."""
    form, upload, body = {}, None, b""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form() as parts:
            for name, value in parts.items():
                if isinstance(value, str):
                    form[name] = value
                    continue
                upload = Upload(value.filename or "upload", incoming / uuid.uuid4().hex)
                with upload.path.open("wb") as handle:
                    while chunk := await value.read(files.CHUNK):
                        await run_in_threadpool(handle.write, chunk)
    else:
        body = await request.body()
    query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
    base = f"{request.url.scheme}://{request.url.netloc}/{vendor}"
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(vendor, base, dict(request.path_params), query, headers, body, form, upload)


@contextlib.contextmanager
def running(
    folder: Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    rule: Rule | None = None,
    faults: Faults | None = None,
    pace: Pace | None = None,
    kill: Callable[[], None] | None = None,
) -> Iterator[Running]:
    """The server in a thread, on a free port unless one is named; stopped at the end. Raises EngineError.

    folder: where it remembers; None: a temporary one. kill: what a fault of kind `kill` calls.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="batchflow-rehearsal-")))
        site = site_at(folder, rule=rule, faults=faults, pace=pace, kill=kill)
        listener = stack.enter_context(_listener(host, port))
        stack.enter_context(PromptServer(_config(site)).in_a_thread(listener))
        base = f"http://{host}:{listener.getsockname()[1]}"
        yield Running(base, site, environment(base))


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    folder: Path | None = None,
    rule: Rule | None = None,
    faults: Faults | None = None,
    pace: Pace | None = None,
    ready: Callable[[Running], None] | None = None,
) -> None:
    """The server in the foreground until it is interrupted. ready: called once, when it takes calls."""
    with running(folder, host=host, port=port, rule=rule, faults=faults, pace=pace) as up:
        if ready:
            ready(up)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def _config(site: Site) -> Config:
    return Config(
        app(site),
        http=fault_injection.protocol(),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        timeout_keep_alive=60,
    )


def _listener(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        hint = "choose another --port" if port else ""
        raise EngineError(f"the rehearsal server cannot listen on {host}:{port}: {error}", hint=hint) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a delayed ACK costs 40 ms a call
    return listener


__all__ = ["KEY", "Fault", "Running", "app", "environment", "running", "serve", "site_at"]
