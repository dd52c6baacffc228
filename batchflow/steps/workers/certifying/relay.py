"""A relay on loopback between batchflow and a server under test: it counts creates, and stops where a cut is asked for.

It adds the server's key itself, so no child process gets it; its address holds a secret, so nobody else can use it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from batchflow.errors import VendorError
from batchflow.files import dumps
from batchflow.steps.workers.certifying.batch_server import BatchServer, Reply

HELD_S = 60.0
"""The longest that a call is held for its client to be killed."""


class Cut(StrEnum):
    """Place at which a client is killed."""

    UPLOADED = "killed after the upload"  # the create has not reached the server
    CREATED = "killed in the create"  # the server has answered, nobody has read it
    DOWNLOADING = "killed in the download"  # half of the output file has been read


class Relay(ThreadingHTTPServer):
    """Passes calls on to `server`. creates: those that the server took. at: the cut that the next such call makes.

    reached: set when a call is held at a cut. gone: set when its client is dead.
    """

    daemon_threads = True

    def __init__(self, server: BatchServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server, self.secret = server, secrets.token_urlsafe(16)
        self.url = f"http://127.0.0.1:{self.server_port}/{self.secret}/v1"
        self.creates = 0
        self.at: Cut | None = None
        self.reached, self.gone = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def arm(self, cut: Cut) -> None:
        """Stop at this cut, once."""
        self.reached.clear()
        self.gone.clear()
        self.at = cut

    def disarm(self) -> None:
        """Release a held call, and stop at none."""
        self.at = None
        self.gone.set()

    def stops(self, cut: Cut) -> bool:
        """Hold the call of a client that is to be killed here, until it is; False where no such cut is asked for."""
        with self._lock:
            if self.at is not cut:
                return False
            self.at = None
        self.reached.set()
        self.gone.wait(HELD_S)
        return True

    def count(self) -> None:
        """Count a create that the server took."""
        with self._lock:
            self.creates += 1

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def do_GET(self) -> None:
        self._relay()

    def do_POST(self) -> None:
        self._relay()

    def do_DELETE(self) -> None:
        self._relay()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        first, _, path = self.path.removeprefix("/").partition("/v1")
        if not secrets.compare_digest(first, self.server.secret):
            return self._send(Reply(404, dumps({"error": "no such path"})))
        is_create = self.command == "POST" and path == "/batches"
        if is_create and self.server.stops(Cut.UPLOADED):
            return self._hang_up()
        reply = self._passed_on(path, body)
        if is_create:
            if reply.is_good:
                self.server.count()
            if self.server.stops(Cut.CREATED):
                return self._hang_up()
        return self._send(reply, is_file=path.endswith("/content"))

    def _passed_on(self, path: str, body: bytes) -> Reply:
        kind = self.headers.get("Content-Type") or "application/json"
        try:
            return self.server.server.passed_on(self.command, path, body if self.command == "POST" else None, kind)
        except VendorError as error:
            return Reply(502, dumps({"error": {"message": str(error)}}))

    def _send(self, reply: Reply, *, is_file: bool = False) -> None:
        half = len(reply.body) // 2
        with suppress(OSError):
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[:half])
            self.wfile.flush()
            if is_file and reply.is_good and self.server.stops(Cut.DOWNLOADING):
                self._hang_up()
                return
            self.wfile.write(reply.body[half:])

    def _hang_up(self) -> None:
        self.close_connection = True


@contextmanager
def relayed(server: BatchServer) -> Iterator[Relay]:
    """A relay to a server, as long as the block runs."""
    relay = Relay(server)
    thread = threading.Thread(target=relay.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.disarm()
        relay.shutdown()
        relay.server_close()
        thread.join()
