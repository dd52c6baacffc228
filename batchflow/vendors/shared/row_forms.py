"""Checks for lines that a vendor refuses only after it has accepted the batch; its `LINE` describes their layout.

Such a refusal costs hours: the batch is accepted, waits, and ends with an error for every row. `import requests` asks
here first. Keys of a body that no vendor is known to refuse are left to the vendor, whose models change weekly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow import files
from batchflow.records import Json
from batchflow.vendors.base import RowForm

CHAT = {"/v1/chat/completions": ("messages",)}
_NO_STREAM: Mapping[str, tuple[Any, ...]] = {"stream": (True,)}
SDK = dict.fromkeys(
    ("extra_headers", "extra_query", "extra_body", "timeout"),
    "it is an argument of the SDK, not a field of the request",
)
_OF_THE_LINE = dict.fromkeys(("custom_id", "method", "url", "body"), "it belongs beside the body, not in it")
_COMMON = {**SDK, **_OF_THE_LINE, "stream_options": "a batch does not stream"}


def posted(source: str, urls: Mapping[str, tuple[str, ...]] = CHAT) -> RowForm:
    """A line as OpenAI's: custom_id, method, url and body, all of which are required."""
    return RowForm(
        id="custom_id",
        asked="body",
        source=source,
        urls=urls,
        has_url=True,
        fixed={"method": "POST"},
        refused=_COMMON,
        values=_NO_STREAM,
    )


def bare(source: str) -> RowForm:
    """A line of custom_id and body; method and url are let through, for files that were made for another vendor."""
    return RowForm(
        id="custom_id",
        asked="body",
        source=source,
        urls=CHAT,
        may=frozenset({"method", "url"}),
        refused=_COMMON,
        values=_NO_STREAM,
    )


_BODY_KEYS = frozenset(
    {"model", "messages", "input", "contents", "max_tokens", "temperature", "stream", "response_format"}
)


def fault(form: RowForm, line: Json, endpoint: str | None) -> tuple[str, str] | None:
    """(key, what is wrong with it) of the first thing that the vendor would refuse in a line, None where it is good."""
    return _line_fault(form, line) or _body_fault(form, line[form.asked], endpoint)


def _line_fault(form: RowForm, line: Json) -> tuple[str, str] | None:
    for key, value in form.fixed.items():
        if line.get(key) != value:
            near = next((name for name in line if name != key and name.strip().lower() == key), None)
            named = f", only {near!r}" if near is not None else ""
            return (
                key,
                f"it has to be {value!r}, the line has {line[key]!r:.40}" if key in line else f"it is missing{named}",
            )
    for key in line:
        if key not in form.line_keys:
            other = f"belongs in {form.asked}" if key in _BODY_KEYS else "is none of a line's keys"
            return key, f"it {other}; those are {', '.join(sorted(form.line_keys))}"
    if "url" in form.may and line.get("url") is not None and line["url"] not in form.urls:
        return "url", f"{line['url']!r:.60} is none of {', '.join(form.urls)}"
    if "method" in form.may and line.get("method") not in {None, "POST"}:
        return "method", f"{line['method']!r:.40} is none that a chat request has"
    return None


def _body_fault(form: RowForm, body: Json, endpoint: str | None) -> tuple[str, str] | None:
    for key, value in body.items():
        where = f"{form.asked}.{key}"
        if not key or key != key.strip():
            return where, "the key has white space around it" if key else "the key is empty"
        if key in form.refused:
            return where, form.refused[key]
        if form.known is not None and key not in form.known:
            return where, f"the vendor knows no such field; known are {', '.join(sorted(form.known))}"
        if any(type(value) is type(one) and value == one for one in form.values.get(key, ())):
            return where, f"{files.dumps(value).decode()} is not taken in a batch"
    for key in form.urls.get(endpoint or next(iter(form.urls)), ()):
        if key not in body:
            return f"{form.asked}.{key}", "it is missing"
    return None
