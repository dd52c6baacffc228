"""HTTP calls and replies of the rehearsed vendors; protocol modules are plain functions from one to the other.

A handler is `(site, call) -> Reply` and runs in a worker thread; it raises `site.Refusal` for what the vendor refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.fake_state import Refusal, Site


@dataclass(frozen=True, slots=True)
class Upload:
    """One file part of a multipart form: its name, and where its bytes lie (a handler moves them into the site)."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. base: URL of the vendor's part of the server, without a slash at the end.

    path: parameters of the route. query: every value of every key. headers: lower-case names.
    """

    vendor: str
    base: str
    path: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: bytes = b""
    form: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | None = None

    def json(self) -> Json:
        """The body as a JSON object. Raises Refusal 400."""
        try:
            value = files.loads(self.body) if self.body.strip() else {}
        except ValueError:
            raise Refusal(400, "The body is not valid JSON.", "invalid_json") from None
        if not isinstance(value, dict):
            raise Refusal(400, "The body is not a JSON object.", "invalid_json")
        return value

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query key."""
        values = self.query.get(name, ())
        return values[0] if values else default

    def number(self, name: str, default: int) -> int:
        """A query key as a number. Raises Refusal 400."""
        text = self.first(name)
        if text and not text.isdecimal():
            raise Refusal(400, f"{name} has to be a number.")
        return int(text) if text else default


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. body: a JSON value, bytes, or a file's path."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"

    def raw(self) -> bytes:
        """The bytes of the body."""
        if isinstance(self.body, Path):
            return self.body.read_bytes()
        return self.body if isinstance(self.body, bytes) else files.dumps(self.body)

    def web(self) -> Response:
        """The reply as the server sends it; files are streamed."""
        headers = dict(self.headers)
        if isinstance(self.body, Path):
            return FileResponse(self.body, self.status, headers, self.media)
        return Response(self.raw(), self.status, headers, self.media)


@dataclass(frozen=True, slots=True)
class Route:
    """One call of a protocol. verb: upload stat create list poll download cancel delete, as faults name it.

    open: True where clients send no key by design (an upload URL that was handed out).
    """

    method: str
    path: str
    verb: str
    handle: Callable[[Site, Call], Reply]
    open: bool = False


def bearer(call: Call) -> str:
    """The key of a client that sends it as most vendors want it: `Authorization: Bearer`."""
    scheme, _, text = call.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme == "Bearer" else ""


def page(rows: list[Any], limit: int, after: str, name: Callable[[Any], str]) -> tuple[list[Any], bool]:
    """A page of a newest-first list: at most `limit` rows after the one of that name, and whether more follow."""
    start = next((i + 1 for i, row in enumerate(rows) if name(row) == after), 0) if after else 0
    return rows[start : start + limit], len(rows) > start + limit
