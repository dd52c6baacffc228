"""Groq's batches: OpenAI's shape under `/openai/v1`, windows of 24 hours to 7 days, gpt-oss models.

Protocol read from groq 1.7.0 and console.groq.com/docs/batch (2026-09). What differs from OpenAI: the base URL ends
before `/openai/v1` while a job's endpoint is `/v1/...`; lists are paged by a cursor that the SDK does not know; a
failed job's `errors` come as `{"data": [...]}` or as a bare list; a failed row may say so in its body only, under a
status code of 400 or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from batchflow.errors import VendorError
from batchflow.records import Capabilities, Download, Found, Job, Json, Limits, Phase, Progress, Request, Response
from batchflow.settings import Settings
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, error_mapping, file_batches, json_access, row_forms, sdk_answers

NAME = "groq"
BASE_URL = "https://api.groq.com"
DEFAULT_WINDOW = "24h"

LIMITS = Limits(
    requests=50_000,
    file_bytes=100_000_000,
    source="API reference and SDK 1.7.0 docstrings: 50,000 lines, 100 MB (the guide says 200 MB; the lower one holds)",
)
ENDPOINTS = (chat_completions.CHAT,)
LINE = row_forms.posted("console.groq.com/docs/batch")

TRAITS = PAID
clock = no_clock
resume = cannot_resume
facts = no_facts

STATUSES: Mapping[str, Phase] = {
    "validating": Phase.WAITING,
    "in_progress": Phase.WAITING,
    "finalizing": Phase.WAITING,
    "cancelling": Phase.WAITING,
    "completed": Phase.ENDED,
    "failed": Phase.ENDED,  # the file did not pass validation: no row ran
    "expired": Phase.ENDED,
    "cancelled": Phase.ENDED,
}


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    chat_completions.check(NAME, request, can)
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    # No model that reads pictures is on the batch allowlist as far as anybody has seen (2026-11).
    if request.has_image and not can.images:
        works = f"choose --split llm, or set images = true in [models.groq.{request.model!r}] once a canary came back"
        raise option_refused(NAME, "a picture", f"{request.model} is not known to read pictures in batches", works)
    if window is not None and not 24 <= sdk_answers.hours(window) <= 168:
        raise option_refused(NAME, f"--completion-window {window}", "out of range", "use 24h to 168h, or 1d to 7d")


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id, method, url, body."""
    return chat_completions.line(request, can, endpoint)


def decode(line: Json) -> Response:
    """One row of the output or the error file."""
    return chat_completions.decode(line)


def connect(settings: Settings) -> Any:
    """The SDK's client with its retries off. Accepts a base URL with or without `/openai/v1`."""
    from groq import DefaultHttpxClient, Groq

    base_url = (settings.base_url(NAME) or BASE_URL).rstrip("/").removesuffix("/openai/v1")
    http = sdk_answers.homebound(DefaultHttpxClient, base_url)
    return Groq(api_key=settings.need_key(NAME).reveal(), base_url=base_url, max_retries=0, http_client=http)


def upload(client: Any, job: Job) -> str:
    """Stream the file from disk. Raises VendorError GARBLED when another number of bytes arrived."""
    with job.path.open("rb") as handle:
        file = (job.path.name, handle)
        answer = client.files.create(file=file, purpose="batch", timeout=sdk_answers.PATIENCE_S)
    return sdk_answers.stored(NAME, answer, job)


def create(client: Any, job: Job) -> str:
    """Create the batch with the token in its metadata."""
    answer = client.batches.create(
        input_file_id=job.remote_file,
        endpoint=job.endpoint,
        completion_window=job.window or DEFAULT_WINDOW,
        metadata={"batchflow": job.token},
        timeout=sdk_answers.PATIENCE_S,
    )
    return sdk_answers.created(NAME, answer)


def find(client: Any, job: Job) -> Found:
    """Batches with our token; else those on our file, as candidates. Every upload gets an id of its own."""
    listed = file_batches.pages(NAME, partial(_page, client))
    return file_batches.found(listed, job, "input_file_id", void={"failed", "cancelled"})


def _page(client: Any, cursor: str) -> tuple[list[Json], str | None]:
    """A page of the account's batches, and the cursor of the next."""
    told = sdk_answers.facts(NAME, client.batches.list(extra_query={"cursor": cursor} if cursor else None))
    return file_batches.rows_of(NAME, told), json_access.text(json_access.dig(told, "paging", "next_cursor"))


def _batch(client: Any, job: Job) -> Json:
    return sdk_answers.facts(NAME, client.batches.retrieve(job.remote_id))


def poll(client: Any, job: Job) -> Progress:
    """How it is going. An unknown status word counts as waiting and is shown as it is."""
    batch = _batch(client, job)
    errors, rows = batch.get("errors"), json_access.table(batch.get("request_counts"))
    said = json_access.error_text(json_access.dig(errors, "data") or errors)
    counts = sdk_answers.counts(rows.get("total"), rows.get("completed"), rows.get("failed"))
    return file_batches.progress(batch, STATUSES, counts, said, void="failed")


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """Output and error file, whichever exist. Raises VendorError UNPUBLISHED where a completed batch names neither."""
    content = client.files.with_streaming_response.content
    yield from file_batches.downloads(NAME, _batch(client, job), file_batches.FILES, "completed", content)


def cancel(client: Any, job: Job) -> None:
    """Ask the vendor to stop. It may take ten minutes, and what ran is kept. A batch that has ended is no error."""
    file_batches.cancel(partial(client.batches.cancel, job.remote_id), partial(poll, client, job), explain)


def remove(client: Any, job: Job) -> None:
    """Delete input, output and error file at the vendor."""
    file_batches.remove(job, partial(_batch, client, job), file_batches.FILES, client.files.delete, explain)


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours."""
    return error_mapping.explain(NAME, error)
