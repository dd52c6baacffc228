"""A small client of OpenAI's Batch API that shows replies as they come: what an SDK forgives is looked for."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from batchflow import files
from batchflow.errors import Trouble, UsageError, VendorError
from batchflow.settings import hideable

TIMEOUT_S = 60.0
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. kind: the type of its content."""

    status: int
    body: bytes
    kind: str = "application/json"

    @property
    def json(self) -> Any:
        """The document of the reply, None where it holds none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_good(self) -> bool:
        """Tells whether the server took the request."""
        return 200 <= self.status < 300

    def get(self, name: str) -> Any:
        """A member of the document, None where there is none."""
        value = self.json
        return value.get(name) if isinstance(value, dict) else None


class BatchServer:
    """A server of /v1/batches. key: sent as a bearer token."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
            raise UsageError(f"{url}: not the base URL of a server", hint="http://HOST:PORT/v1, without a key in it")
        self.url, self.host = url.rstrip("/"), parts.hostname
        self._parts, self._key = parts, key

    def hidden(self, text: str) -> str:
        """A text without the key: servers echo what they refuse."""
        return text.replace(self._key, "***") if self._key in hideable([self._key]) else text

    def upload(self, name: str, data: bytes) -> Reply:
        """POST /files."""
        mark = secrets.token_hex(12)
        part = f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{mark}\r\n'
        part += f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        head = f"{part}Content-Type: application/jsonl\r\n\r\n".encode()
        return self._ask(
            "POST", "/files", head + data + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"
        )

    def create(self, file_id: str, endpoint: str, tag: str) -> Reply:
        """POST /batches."""
        return self._ask("POST", "/batches", _create(file_id, endpoint, tag))

    def create_and_hang_up(self, file_id: str, endpoint: str, tag: str) -> None:
        """POST /batches without waiting for its reply, as a process does that is killed inside the call."""
        connection = self._connected()
        with suppress(OSError):
            self._send(connection, "POST", "/batches", _create(file_id, endpoint, tag), "application/json")
        connection.close()

    def batch(self, batch_id: str) -> Reply:
        """GET /batches/ID."""
        return self._ask("GET", f"/batches/{batch_id}")

    def batches(self, limit: int = 100, after: str = "") -> Reply:
        """GET /batches: the latest hundred, or those after an id."""
        return self._ask("GET", f"/batches?{urlencode({'limit': limit} | ({'after': after} if after else {}))}")

    def cancel(self, batch_id: str) -> Reply:
        """POST /batches/ID/cancel."""
        return self._ask("POST", f"/batches/{batch_id}/cancel", b"")

    def content(self, file_id: str) -> Reply:
        """GET /files/ID/content."""
        return self._ask("GET", f"/files/{file_id}/content")

    def passed_on(self, method: str, path: str, body: bytes | None, kind: str) -> Reply:
        """A call of another client, with this server's key; its reply without it."""
        reply = self._ask(method, path, body, kind)
        key = self._key.encode()
        return replace(reply, body=reply.body.replace(key, b"***")) if hideable([self._key]) else reply

    def _connected(self) -> http.client.HTTPConnection:
        host, port = self.host, self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, kind: str
    ) -> None:
        headers = {"Authorization": f"Bearer {self._key}"} | ({} if body is None else {"Content-Type": kind})
        connection.request(method, f"{self._parts.path}{path}", body, headers)

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Reply:
        """One request. Raises VendorError where no reply came."""
        connection = self._connected()
        try:
            self._send(connection, method, path, body, kind)
            reply = connection.getresponse()
            kind = reply.getheader("Content-Type") or "application/json"
            return Reply(reply.status, reply.read(MOST_BYTES), kind)
        except (OSError, http.client.HTTPException) as error:
            text = f"{self.url}: no reply to {method} {path.partition('?')[0]} ({str(error) or type(error).__name__})"
            raise VendorError(
                text, trouble=Trouble.UNCERTAIN, hint="is the server up, and is this its base URL?"
            ) from None
        finally:
            connection.close()


def _create(file_id: str, endpoint: str, tag: str) -> bytes:
    body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", "metadata": {"batchflow": tag}}
    return files.dumps(body)
