"""Helpers around the SDKs of vendors with files: read their answers as JSON, stream files, delete files.

Nothing here imports an SDK: their answers are pydantic models that are dumped, their downloads are responses of
httpx or httpx2 that are read by attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from batchflow.errors import Trouble, VendorError
from batchflow.records import Counts, Download, Job, Json
from batchflow.vendors.shared import json_access
from batchflow.vendors.shared.error_mapping import KEY_HEADERS

CHUNK = 1 << 16  # bytes
PATIENCE_S = 300  # for an upload, which the vendor reads through, and for a create, whose answer is worth waiting for

_FILES = ("/content", "/results", ":download")  # how the path of a download ends, at every vendor
_PORTS = {"http": 80, "https": 443}


def homebound(kind: Any, base_url: str, **options: Any) -> Any:
    """An HTTP client for an SDK that follows no redirect but a download's, and shows the key to its base URL only.

    A followed create may be made twice, and a followed list is another server's, whose silence proves nothing. A file
    may lie in a store elsewhere, which needs no key. kind: a client class of httpx or httpx2, as the SDK wants it.
    """
    home = _origin(base_url)

    def send(self: Any, request: Any, **how: Any) -> Any:
        is_file = request.method == "GET" and str(request.url.path).endswith(_FILES)
        return kind.send(self, request, **{**how, "follow_redirects": is_file})

    def stay_home(request: Any) -> None:  # called for each hop
        if _origin(str(request.url)) != home:
            for name in KEY_HEADERS:
                request.headers.pop(name, None)

    hooks = options.pop("event_hooks", {})
    hooks = {**hooks, "request": [*hooks.get("request", ()), stay_home]}
    return type("HomeboundClient", (kind,), {"send": send})(event_hooks=hooks, **options)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def facts(vendor: str, answer: Any) -> Json:
    """An SDK's answer as plain JSON, unknown fields and odd types kept.

    Raises VendorError GARBLED for a success that is no JSON object: SDKs hand on a web page as its text.
    """
    value = plain(answer)
    if not isinstance(value, dict):
        text = f"{vendor}: the answer is no JSON object but {type(value).__name__}"
        raise VendorError(text, trouble=Trouble.GARBLED, hint="check the vendor's base URL")
    return value


def plain(answer: Any) -> Any:
    """The JSON value behind an SDK's model; anything else as it is. Its warnings about odd types are not ours."""
    dump = getattr(answer, "to_dict", None) or getattr(answer, "model_dump", None)
    return dump(warnings=False) if callable(dump) else answer


def created(vendor: str, answer: Any) -> str:
    """The id in the answer to a create. Raises VendorError UNCERTAIN where there is none: it may have taken effect."""
    batch_id = json_access.identity(json_access.dig(plain(answer), "id"))
    if batch_id is None:
        raise VendorError(f"{vendor}: the answer to the create holds no usable id", trouble=Trouble.UNCERTAIN)
    return batch_id


def stored(vendor: str, answer: Any, job: Job) -> str:
    """The id of an uploaded file. Raises VendorError GARBLED when the vendor counts other bytes than the disk has."""
    record = facts(vendor, answer)
    file_id, size, local = json_access.identity(record.get("id")), size_of(record), job.path.stat().st_size
    if file_id is None or size not in {None, local}:
        text = f"{vendor}: {job.path.name} arrived as {size} bytes instead of {local} (file {file_id})"
        raise VendorError(text, trouble=Trouble.GARBLED, hint="start it again: the file is uploaded anew")
    return file_id


def size_of(file: Json) -> int | None:
    """The bytes of a file object; Mistral's SDK renames the field."""
    size = json_access.whole(file.get("bytes"))
    return json_access.whole(file.get("size_bytes")) if size is None else size


def download(kind: str, response: Any) -> Download:
    """An open response of httpx or httpx2 as a Download; its length where Content-Length counts what is read."""
    headers = response.headers
    encoded = headers.get("content-encoding", "identity").lower() != "identity"
    size = None if encoded else json_access.whole(headers.get("content-length"))
    return Download(kind, response.iter_bytes(CHUNK), size)


def opened(kind: str, content: Callable[[], AbstractContextManager[Any]]) -> Iterator[Download]:
    """One remote file, its response closed when it has been read.

    One that cannot be opened is a Download that raises when it is read: it withholds no other file of its batch.
    """
    with ExitStack() as stack:
        try:
            response = stack.enter_context(content())
        except Exception as error:  # noqa: BLE001 - raised again by whoever reads it
            yield Download(kind, _broken(error))
            return
        yield download(kind, response)


def _broken(error: Exception) -> Iterator[bytes]:
    yield from ()
    raise error


def counts(total: Any, done: Any, failed: Any) -> Counts:
    """Counts as a vendor tells them; a total of 0 is what vendors say before they have counted."""
    return Counts(json_access.whole(total) or None, json_access.whole(done), json_access.whole(failed))


def unix(value: Any) -> float | None:
    """A wire time as unix seconds: a number, an ISO 8601 text, or the datetime that an SDK made of it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < json_access.EXACT else None


def unless_gone(call: Callable[[], Any], explain: Callable[[Exception], VendorError]) -> Any:
    """Returns the call's result; None where the vendor no longer has its object."""
    try:
        return call()
    except Exception as error:
        if explain(error).trouble is not Trouble.NOT_FOUND:
            raise
        return None


def hours(window: str) -> int:
    """Hours of a completion window such as `36h` or `7d`; 0 for anything else, which no vendor accepts."""
    match = re.fullmatch(r"([0-9]{1,4})([hd])", window)
    return int(match[1]) * (24 if match[2] == "d" else 1) if match else 0


def forget(
    file_ids: Iterable[str | None], delete: Callable[[str], Any], explain: Callable[[Exception], VendorError]
) -> None:
    """Delete files at the vendor; those that are already gone are no error."""
    for file_id in dict.fromkeys(file_ids):
        if file_id is not None:
            unless_gone(partial(delete, file_id), explain)


def unpublished(vendor: str, word: str) -> VendorError:
    """The error for a batch that is done and names no file yet; seen for seconds after the last row."""
    text = f"{vendor}: the batch is {word} but names neither an output nor an error file yet"
    return VendorError(text, trouble=Trouble.UNPUBLISHED, hint="the same command works later")
