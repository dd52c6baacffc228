"""Groq's batches: OpenAI's shape under `/openai/v1`, windows of 24 hours to 7 days, gpt-oss models.

Protocol read from groq 1.7.0 and console.groq.com/docs/batch (2026-09). What differs from OpenAI: the base URL ends
before `/openai/v1` while a job's endpoint is `/v1/...`; lists are paged by a cursor that the SDK does not know; a
failed job's `errors` come as `{"data": [...]}` or as a bare list; a failed row may say so in its body only, under a
status code of 400 or more.
"""

from __future__ import annotations

from typing import Any

from batchflow.records import Capabilities, Json, Limits, Request
from batchflow.settings import Settings
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, file_batches, json_access, openai_like, row_forms, sdk_answers

NAME = "groq"
LIMITS = Limits(
    requests=50_000,
    file_bytes=100_000_000,
    source="API reference and SDK 1.7.0 docstrings: 50,000 lines, 100 MB (the guide says 200 MB; the lower one holds)",
)
LINE = row_forms.posted("console.groq.com/docs/batch")


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    _BATCHES.check(request, can, endpoint, None)
    # No model that reads pictures is on the batch allowlist as far as anybody has seen (2026-11).
    if request.has_image and not can.images:
        works = f"choose --split llm, or set images = true in [models.groq.{request.model!r}] once a canary came back"
        raise option_refused(NAME, "a picture", f"{request.model} is not known to read pictures in batches", works)
    if window is not None and not 24 <= sdk_answers.hours(window) <= 168:
        raise option_refused(NAME, f"--completion-window {window}", "out of range", "use 24h to 168h, or 1d to 7d")


def connect(settings: Settings) -> Any:
    """The SDK's client with its retries off. Accepts a base URL with or without `/openai/v1`."""
    from groq import DefaultHttpxClient, Groq

    base_url = (settings.base_url(NAME) or _BATCHES.base_url).rstrip("/").removesuffix("/openai/v1")
    http = sdk_answers.homebound(DefaultHttpxClient, base_url)
    return Groq(api_key=settings.need_key(NAME).reveal(), base_url=base_url, max_retries=0, http_client=http)


def _page(vendor: str, client: Any, cursor: str) -> tuple[list[Json], str | None]:
    """A page of the account's batches, and the cursor of the next."""
    page = sdk_answers.facts(vendor, client.batches.list(extra_query={"cursor": cursor} if cursor else None))
    return file_batches.rows_of(vendor, page), json_access.text(json_access.dig(page, "paging", "next_cursor"))


_BATCHES = openai_like.Batches(name=NAME, base_url="https://api.groq.com", page=_page)
TRAITS, ENDPOINTS, STATUSES = PAID, _BATCHES.endpoints, _BATCHES.statuses
encode, decode, explain = chat_completions.line, chat_completions.decode, _BATCHES.explain
upload, create, find, poll = _BATCHES.upload, _BATCHES.create, _BATCHES.find, _BATCHES.poll
fetch, cancel, remove = _BATCHES.fetch, _BATCHES.cancel, _BATCHES.remove
clock, resume, facts = no_clock, cannot_resume, no_facts
