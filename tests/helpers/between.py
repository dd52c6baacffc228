"""A server between a client and the rehearsed vendors that rewrites what the vendors say, byte by byte."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rewrite = Callable[[str, bytes], bytes]


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: a redirect is the client's to judge."""


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays)


class Between:
    """Where it listens; `rewrite(path, body)` gives the body of an answer that is JSON (every: of any)."""

    def __init__(self, base: str, theirs: str) -> None:
        self.base, self.theirs, self.rewrite, self.every = base, theirs, None, False

    base: str
    rewrite: Rewrite | None
    every: bool


class _Handler(BaseHTTPRequestHandler):
    between: Between
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "chunked" in self.headers.get("transfer-encoding", ""):
            body = b"".join(self._pieces())
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
        asked = urllib.request.Request(self.between.theirs + self.path, body or None, kept, method=self.command)
        try:
            answer: Any = _DIRECT.open(asked, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            said, status, headers = answer.read(), answer.status, answer.headers
        if self.between.rewrite and (self.between.every or "json" in headers.get("content-type", "")):
            said = self.between.rewrite(self.path, said)
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOPS:
                self.send_header(name, value)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as the base class wants it

    def _pieces(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *_: object) -> None:
        pass


_HOPS = {"content-length", "transfer-encoding", "connection", "accept-encoding"}


@contextlib.contextmanager
def between(theirs: str) -> Iterator[Between]:
    """Listen on loopback in front of the server at `theirs`."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as up:
        handler.between = Between(f"http://127.0.0.1:{up.server_port}", theirs)  # type: ignore[attr-defined]
        threading.Thread(target=up.serve_forever, args=(0.01,), daemon=True).start()
        yield handler.between  # type: ignore[attr-defined]
        up.shutdown()
