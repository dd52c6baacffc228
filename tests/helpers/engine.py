"""An OpenAI-compatible server on loopback that answers in the schema it is asked for; chat and text completions."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Engine(ThreadingHTTPServer):
    """calls: (path, body) of every request. answer: the object that each reply holds, by default all fields filled.

    gate: replies wait while it is closed (cleared).
    """

    daemon_threads = True

    def __init__(self, model: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.answer = model, answer
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""

    def text(self, body: dict[str, Any]) -> str:
        if self.answer is not None:
            return json.dumps(self.answer)
        schema = body["response_format"]["json_schema"]["schema"]
        filled = {"boolean": True, "string": "a word", "number": 1, "integer": 1}
        return json.dumps({name: filled[kind["type"]] for name, kind in schema["properties"].items()})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": self.server.model}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.calls.append((self.path, body))
        self.server.keys.add(self.headers.get("authorization"))
        self.server.gate.wait(60)
        if body["model"] != self.server.model:
            self._send(404, {"error": {"message": f"no model {body['model']}"}})
            return
        text = self.server.text(body)
        said = {"text": text} if self.path.endswith("/v1/completions") else {"message": {"content": text}}
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        self._send(200, {"model": body["model"], "choices": [{"finish_reason": "stop", **said}], "usage": usage})

    def _send(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(model: str, answer: dict[str, Any] | None = None) -> Iterator[Engine]:
    """A server of one model, as long as the block runs."""
    with Engine(model, answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()
