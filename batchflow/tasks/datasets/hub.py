"""Files of a Hugging Face hub over plain HTTP: one GET with the redirects followed by hand.

By hand, because the token may go to the endpoint itself only, and because the commit that a branch name stands
for is told by the endpoint's own reply (`X-Repo-Commit`), not by the storage host that it redirects to.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from batchflow import __version__
from batchflow.errors import DataError, UsageError

ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 30.0
COMMIT = re.compile(r"[0-9a-f]{40}")
_REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WAY_OUT = "or read a copy of the file with --dataset PATH"


@dataclass(frozen=True, slots=True)
class Hub:
    """Address and access of the hub. token is sent to the endpoint's own scheme, host and port only."""

    endpoint: str
    offline: bool
    token: str | None = None

    @property
    def host(self) -> str:
        """Host and port, for notes and error texts."""
        return _host(self.endpoint)

    def __repr__(self) -> str:  # the generated one would show the token
        return f"Hub({self.host!r}, offline={self.offline})"


@dataclass(frozen=True, slots=True)
class Reply:
    """An open download. commit: the 40 hex digits of the revision, where told. sha256: the hub's own, where told."""

    body: http.client.HTTPResponse
    host: str
    commit: str | None
    sha256: str | None
    length: int | None

    def chunks(self, size: int = 1 << 18) -> Iterator[bytes]:
        """The body, checked at its end. Raises DataError when it was cut, or is not what the hub says it is."""
        digest = hashlib.sha256()
        total = 0
        try:
            while chunk := self.body.read(size):
                digest.update(chunk)
                total += len(chunk)
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise _cut(self.host, f"{type(error).__name__} after {total} bytes") from None
        if self.length is not None and total != self.length:
            raise _cut(self.host, f"{total} of {self.length} bytes came")
        if self.sha256 is not None and digest.hexdigest() != self.sha256:
            raise _cut(self.host, "the sha256 is not the one that the hub names")


def connect(environment: Mapping[str, str]) -> Hub:
    """The hub that HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE describe. Raises UsageError for a bad endpoint."""
    endpoint = (environment.get("HF_ENDPOINT") or ENDPOINT).strip().rstrip("/")
    try:
        is_url = endpoint.startswith(("http://", "https://")) and bool(_origin(endpoint)[1])
    except ValueError:  # a port that is no number
        is_url = False
    if not is_url:
        raise UsageError("HF_ENDPOINT is not an http or https address", hint=f"for example {ENDPOINT}")
    offline = environment.get("HF_HUB_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
    return Hub(endpoint, offline, environment.get("HF_TOKEN", "").strip() or None)


@contextmanager
def download(hub: Hub, repo: str, revision: str, file: str) -> Iterator[Reply]:
    """Open a data set's file at a revision (branch, tag or commit).

    Raises DataError that names the host and what to do when it cannot be had; nothing is retried here.
    """
    url = f"{hub.endpoint}/datasets/{repo}/resolve/{quote(revision, safe='')}/{quote(file)}"
    heads: list[Message] = []
    for _ in range(_REDIRECTS + 1):
        body = _get(hub, url, f"{repo}@{revision}/{file}")
        if _origin(url) == _origin(hub.endpoint):
            heads.append(body.headers)
        if body.status not in _MOVED:
            with body:
                yield _reply(body, url, heads)
            return
        body.close()
        url = _onward(url, body.headers.get("Location"))
    raise DataError(f"{hub.host}: more than {_REDIRECTS} redirects for {file}", hint=_WAY_OUT)


class _AsItComes(urllib.request.HTTPErrorProcessor):
    """Hands out every reply, redirects and errors included, instead of acting on it."""

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002 - urllib's signature
        return response

    https_response = http_response


def _get(hub: Hub, url: str, what: str) -> http.client.HTTPResponse:
    """One GET; a redirect comes back as it is. Raises DataError for anything but a success or a redirect."""
    headers = {"User-Agent": f"batchflow/{__version__}", "Accept-Encoding": "identity"}
    if hub.token is not None and _origin(url) == _origin(hub.endpoint):
        headers["Authorization"] = f"Bearer {hub.token}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - schemes are checked in connect and _onward
    try:
        reply: http.client.HTTPResponse = urllib.request.build_opener(_AsItComes).open(request, timeout=TIMEOUT_S)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise DataError(
            f"the hub cannot be reached: {_host(url)} ({reason})",
            hint=f"check the network, point HF_ENDPOINT to a mirror, {_WAY_OUT}",
        ) from None
    if reply.status != 200 and reply.status not in _MOVED:
        reply.close()
        raise _refused(_host(url), reply.status, what)
    return reply


def _refused(host: str, status: int, what: str) -> DataError:
    if status in {401, 403}:
        return DataError(
            f"{host} refuses {what} (HTTP {status})",
            hint=f"set HF_TOKEN to a token that may read it, {_WAY_OUT}",
        )
    if status == 404:
        return DataError(
            f"{host} has no {what} (HTTP 404)", hint=f"check [tasks.layton] revision in batchflow.toml, {_WAY_OUT}"
        )
    return DataError(f"{host} answered HTTP {status} for {what}", hint=f"try again later, {_WAY_OUT}")


def _cut(host: str, why: str) -> DataError:
    return DataError(f"the download from {host} is incomplete: {why}", hint=f"run the command again, {_WAY_OUT}")


def _onward(url: str, location: str | None) -> str:
    """Returns the target of a redirect. Raises DataError for one that leads nowhere, or from https to http."""
    target = urljoin(url, location or "")
    try:
        usable = bool(location) and target.startswith(("http://", "https://")) and bool(_origin(target)[1])
    except ValueError:  # a port that is no number
        usable = False
    if not usable or (url.startswith("https:") and target.startswith("http:")):
        raise DataError(f"{_host(url)} redirects to an address that cannot be followed", hint=_WAY_OUT)
    return target


def _reply(body: http.client.HTTPResponse, url: str, heads: list[Message]) -> Reply:
    commit = _told(heads, "X-Repo-Commit")
    etag = (_told(heads, "X-Linked-Etag") or "").strip('"')  # sha256 of a large file; small files have a git hash
    length = body.headers.get("Content-Length", "")
    return Reply(
        body,
        _host(url),
        commit if commit and COMMIT.fullmatch(commit) else None,
        etag if _SHA256.fullmatch(etag) else None,
        int(length) if length.isdecimal() else None,
    )


def _told(heads: list[Message], name: str) -> str | None:
    """A header of the endpoint's own replies, the first that has it."""
    return next((str(head[name]) for head in heads if head[name]), None)


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _host(url: str) -> str:
    """Host and port for error texts; never a query or user part, which may hold signatures and passwords."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
