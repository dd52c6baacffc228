"""A small HTTP/1.1 client for one thing: POST and GET of JSON over kept connections, as fast as asyncio allows.

Why our own: the worker sends millions of equal requests to one host. Nothing of a general client is needed for that
(cookies, redirects, pools by host, streaming), and they are what costs: see docs/performance.md for the measured ratio.
No compression is asked for and no proxy is used. Framing follows RFC 9112: Content-Length, chunked, or until close.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import deque
from dataclasses import dataclass

from batchflow import __version__
from batchflow.local.base.base_url import parse_base_url

HEAD_CAP = 64 << 10
BODY_CAP = 256 << 20
CONNECT_S = 10.0
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 6}  # gone after three minutes (tcp(7))


class TransportError(Exception):
    """No usable reply. `sent` is False when the request surely never reached the server; `late`: its time was up."""

    def __init__(self, message: str, *, sent: bool = True, late: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.late = late


class _Stale(TransportError):
    """A kept connection was closed by the server before it answered: the request is sent again on a new one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply. head: status line and headers, lower case, without the empty line."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of one header by its lower-case name; the first where there are several."""
        return _header(self.head, b"\r\n%b:" % name.encode())


def _header(head: bytes, mark: bytes) -> str | None:
    r"""The value behind a mark such as b"\r\nconnection:"."""
    at = head.find(mark)
    if at < 0:
        return None
    start = at + len(mark)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].decode("latin-1").strip()


class _Chunks:
    """Incremental decoder of `Transfer-Encoding: chunked`."""

    __slots__ = ("_left", "_step", "body")

    def __init__(self) -> None:
        self.body = bytearray()
        self._left = 0  # bytes of the current chunk still to come
        self._step = self._size  # what is expected next; each step tells whether it found all it needs

    def feed(self, buffer: bytearray) -> bool:
        """Consume what is there; True at the end of the body. Raises ValueError for broken framing."""
        while self._step(buffer):
            if self._step == self._end:
                return True
        return False

    def _size(self, buffer: bytearray) -> bool:
        line = _line(buffer)
        if line is None:
            return False
        self._left = int(line.split(b";", 1)[0], 16)
        if self._left < 0 or self._left + len(self.body) > BODY_CAP:
            raise ValueError("chunk too large")
        self._step = self._data if self._left else self._trailer
        return True

    def _data(self, buffer: bytearray) -> bool:
        part = buffer[: self._left]
        self.body += part
        del buffer[: len(part)]
        self._left -= len(part)
        if self._left:
            return False
        self._step = self._gap
        return True

    def _gap(self, buffer: bytearray) -> bool:
        line = _line(buffer)
        if line:
            raise ValueError("a chunk without an end")
        self._step = self._gap if line is None else self._size
        return line is not None

    def _trailer(self, buffer: bytearray) -> bool:
        line = _line(buffer)
        if line == b"":
            self._step = self._end
        return line is not None

    def _end(self, buffer: bytearray) -> bool:  # noqa: ARG002 - a step like the others
        return True


def _keep_alive(connection: socket.socket | None) -> None:
    """Turns TCP keep-alive on: during a long silence, the kernel checks that the other side is still there.

    A long answer is waited for in silence: middleboxes forget such connections after minutes (RFC 5382, 5: two hours
    and four minutes are asked for, many give less), and of a host that lost its power nothing is heard before the
    timeout of the row.
    """
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _line(buffer: bytearray) -> bytes | None:
    """Take one line off the buffer; None while it is not whole."""
    end = buffer.find(b"\r\n")
    if end < 0:
        if len(buffer) > HEAD_CAP:
            raise ValueError("an endless line")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


class _Connection(asyncio.Protocol):
    """One connection that carries one request at a time."""

    __slots__ = (
        "_body_from",
        "_buffer",
        "_chunks",
        "_head",
        "_keep",
        "_length",
        "_status",
        "_waiter",
        "closed",
        "transport",
    )

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Reply] | None = None
        self._reset()

    def _reset(self) -> None:
        self._head = b""
        self._status = 0
        self._length = -1  # -1: until the server closes
        self._chunks: _Chunks | None = None
        self._keep = True

    @property
    def reusable(self) -> bool:
        return self._keep and not self.closed and not self._buffer

    def ask(self, request: bytes, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Reply]:
        """Send a request; the future gets its reply. The caller waits, and closes the connection if it stops to."""
        self._reset()
        self._waiter = loop.create_future()
        if self.closed or self.transport is None:
            self._waiter.set_exception(_Stale("the server closed the connection", sent=False))
        else:
            self.transport.write(request)
        return self._waiter

    def abort(self) -> None:
        """Drop the connection at once."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's own promise for a stream protocol
        self.transport = transport
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():  # bytes that nobody asked for: the framing is off
            self.abort()
            return
        self._buffer += data
        try:
            if self._head or self._read_head():
                self._read_body()
        except ValueError as error:
            self.fail(TransportError(f"the reply is not HTTP: {error}"))
            self.abort()

    def _read_head(self) -> bool:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_CAP or not b"HTTP/".startswith(self._buffer[:5]):
                    raise ValueError("no status line")
                return False
            head = bytes(self._buffer[:end]).lower()
            if not head.startswith(b"http/1."):
                raise ValueError("no status line")
            del self._buffer[: end + 4]
            self._status = int(head[9:12])
            if self._status >= 200:  # 1xx replies are followed by the real one
                break
        self._head = head
        self._read_framing(head)
        return True

    def _read_framing(self, head: bytes) -> None:
        connection = _header(head, b"\r\nconnection:")
        self._keep = connection != "close" and (head.startswith(b"http/1.1") or connection == "keep-alive")
        if (_header(head, b"\r\ntransfer-encoding:") or "").endswith("chunked"):
            self._chunks = _Chunks()
        elif (length := _header(head, b"\r\ncontent-length:")) is not None:
            if not length.isdecimal() or int(length) > BODY_CAP:
                raise ValueError("bad content-length")
            self._length = int(length)
        elif self._status in {204, 304}:
            self._length = 0
        if self._length < 0 and self._chunks is None:
            self._keep = False
        if _header(head, b"\r\ncontent-encoding:") not in {None, "identity"}:
            raise ValueError("compressed without being asked")

    def _read_body(self) -> None:
        if self._chunks is not None:
            if self._chunks.feed(self._buffer):
                self._finish(bytes(self._chunks.body))
        elif self._length >= 0:
            if len(self._buffer) >= self._length:
                body = bytes(self._buffer[: self._length])
                del self._buffer[: self._length]
                self._finish(body)
        elif len(self._buffer) > BODY_CAP:
            raise ValueError("reply too large")

    def _finish(self, body: bytes) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Reply(self._status, self._head, body))
        if not self.reusable:
            self.abort()

    def fail(self, error: TransportError) -> None:
        """End the wait for a reply with an error."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._head and self._length < 0 and self._chunks is None and exc is None:
            self._finish(bytes(self._buffer))
        elif self._head or self._buffer:
            self.fail(TransportError("the connection broke in the middle of the reply"))
        else:
            self.fail(_Stale("the server closed the connection before it answered"))


class Client:
    """Requests to one base URL, over as many kept connections as are in flight at once."""

    def __init__(self, base_url: str, key: str | None) -> None:
        parts = parse_base_url(base_url)
        self.url = parts.geturl()
        self.root = parts.path
        self.resent = 0  # requests sent a second time because a kept connection broke before any answer
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.key = key
        self._idle: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        bearer = f"Authorization: Bearer {key}\r\n" if key else ""
        self._common = (
            f"Host: {parts.netloc}\r\nUser-Agent: batchflow/{__version__}\r\nAccept: application/json\r\n{bearer}"
        ).encode("latin-1", "replace")

    async def post(self, path: str, body: bytes, timeout_s: float) -> Reply:
        """POST a JSON body to an absolute path. Raises TransportError."""
        head = b"POST %b HTTP/1.1\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return await self._exchange(head % (path.encode(), self._common, len(body)) + body, timeout_s)

    async def get(self, path: str, timeout_s: float) -> Reply:
        """GET an absolute path. Raises TransportError."""
        return await self._exchange(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), self._common), timeout_s)

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().abort()

    def break_off(self, why: str) -> None:
        """Break the requests under way off: nobody is there any more who could answer them."""
        for connection in list(self._busy):
            connection.fail(TransportError(why))
            connection.abort()
        self.close()

    async def _exchange(self, request: bytes, timeout_s: float) -> Reply:
        if (kept := self._kept()) is not None:
            try:
                return await self._ask(kept, request, timeout_s)
            except _Stale:  # most likely an idle connection that the server had given up meanwhile
                self.resent += 1
        return await self._ask(await self._connect(), request, timeout_s)

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.abort()
        return None

    async def _ask(self, connection: _Connection, request: bytes, timeout_s: float) -> Reply:
        loop = asyncio.get_running_loop()
        waiter = connection.ask(request, loop)
        late = TransportError(f"no reply within {timeout_s:g} s", late=True)
        timer = loop.call_later(timeout_s, _expire, waiter, late)
        self._busy.add(connection)
        try:
            reply = await waiter
        except BaseException:  # cancelled or failed: what is still in the pipe belongs to nobody
            connection.abort()
            raise
        finally:
            timer.cancel()
            self._busy.discard(connection)
        if connection.reusable:
            self._idle.append(connection)
        return reply

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        except TimeoutError:
            raise TransportError(f"{self.url}: no connection within {CONNECT_S:g} s", sent=False) from None
        except (OSError, ssl.SSLError) as error:
            raise TransportError(f"{self.url}: {_why_unconnected(error)}", sent=False) from None
        return connection


def _why_unconnected(error: OSError) -> str:
    """The system's own words where it has some: asyncio says `Connect call failed` for everything."""
    named = isinstance(error.errno, int) and error.errno > 0 and not isinstance(error, (ssl.SSLError, socket.gaierror))
    return os.strerror(error.errno) if named and error.errno else error.strerror or str(error)


def _expire(waiter: asyncio.Future[Reply], late: TransportError) -> None:
    if not waiter.done():
        waiter.set_exception(late)
