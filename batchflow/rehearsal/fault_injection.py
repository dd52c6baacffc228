"""Injects the faults of a script into a connection. Resets and cut bodies go past the ASGI server, to the socket.

NOTE: ASGI has no way to break a connection off, so the HTTP protocol class keeps each connection's transport where
an endpoint finds it by its client's address.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchflow.rehearsal.fake_state import Site
from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.routes import Reply

OF_THE_BODY = frozenset({"cut", "trickle"})  # these need the answer, so they never strike before it
_PIECES = 8
_PAGE = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Link:
    """One connection: its transport, and an event that is set once uvicorn knows that it is gone."""

    transport: asyncio.Transport
    gone: asyncio.Event


_LINKS: dict[tuple[str, int], _Link] = {}


class _Protocol(H11Protocol):
    """Uvicorn's HTTP/1.1, with the transport kept."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            _LINKS[self.client] = _Link(transport, asyncio.Event())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client and (link := _LINKS.pop(self.client, None)):
            link.gone.set()


def protocol() -> type[asyncio.Protocol]:
    """The HTTP protocol class for uvicorn."""
    return _Protocol


async def strike(
    request: Request, site: Site, fault: Fault, refused: Callable[..., Reply], reply: Reply | None
) -> Response | None:
    """Do one fault. reply: the answer that the effect produced, None before it. None: go on as if nothing were."""
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind == "kill" and site.kill:
        await asyncio.to_thread(site.kill)
    if fault.kind in {"reset", "kill"}:
        await _break_off(request, b"")
        return Response()
    if fault.kind == "cut" and reply:
        await _break_off(request, _cut(reply, fault))
        return Response()
    return _instead(fault, refused, reply)


def _instead(fault: Fault, refused: Callable[..., Reply], reply: Reply | None) -> Response | None:
    """The answer that is sent instead of the right one."""
    match fault.kind:
        case "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
            plain = refused(fault.status, fault.message or f"rehearsed error {fault.status}", fault.code)
            return Reply(plain.body, plain.status, headers).web()
        case "redirect":
            return Response(status_code=fault.status, headers={"location": fault.message})
        case "html":
            return Response(_PAGE, 200, media_type="text/html")
        case "garbled":
            whole = reply.raw() if reply else b'{"id": "batch_0123456789'
            return Response(whole[: len(whole) // 2], 200, media_type="application/json")
        case "trickle" if reply:
            return StreamingResponse(_drip(reply.raw(), fault.seconds), reply.status, media_type=reply.media)
        case _:
            return None


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(seconds / _PIECES)


def _cut(reply: Reply, fault: Fault) -> bytes:
    """The raw start of an answer whose body ends early; `length` decides whether the client could notice."""
    body = reply.raw()
    framing = f"content-length: {len(body)}" if fault.length else "connection: close"
    head = f"HTTP/1.1 {reply.status} OK\r\ncontent-type: {reply.media}\r\n{framing}\r\n\r\n"
    return head.encode() + body[: int(len(body) * fault.fraction)]


async def _break_off(request: Request, raw: bytes) -> None:
    """Send raw bytes, then close: with a reset where there are none, orderly behind them."""
    client = request.scope.get("client")
    link = _LINKS.get(tuple(client)) if client else None
    if link is None:
        return
    if raw:
        link.transport.write(raw)
        link.transport.close()
    else:
        endpoint: socket.socket = link.transport.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.transport.abort()
    await link.gone.wait()  # until uvicorn knows, so that it sends nothing behind it
