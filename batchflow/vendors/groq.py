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

from batchflow.errors import Trouble, VendorError
from batchflow.records import Capabilities, Download, Found, Job, Json, Limits, Phase, Progress, Request, Response
from batchflow.settings import Settings
from batchflow.vendors import chat, transfer, trouble, wire
from batchflow.vendors.base import option_refused

NAME = "groq"
BASE_URL = "https://api.groq.com"
DEFAULT_WINDOW = "24h"
PAGES = 10_000  # a list that never ends is the server's fault, not a reason to ask for ever

LIMITS = Limits(
    requests=50_000,
    file_bytes=100_000_000,
    source="API reference and SDK 1.7.0 docstrings: 50,000 lines, 100 MB (the guide says 200 MB; the lower one holds)",
)
ENDPOINTS = (chat.CHAT,)

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
    chat.check(NAME, request, can)
    chat.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    # No model that reads pictures is on the batch allowlist as far as anybody has seen (2026-11).
    if request.has_image and not can.images:
        works = f"choose --split llm, or set images = true in [models.groq.{request.model!r}] once a canary came back"
        raise option_refused(NAME, "a picture", f"{request.model} is not known to read pictures in batches", works)
    if window is not None and not 24 <= transfer.hours(window) <= 168:
        raise option_refused(NAME, f"--completion-window {window}", "out of range", "use 24h to 168h, or 1d to 7d")


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id, method, url, body."""
    return chat.line(request, can, endpoint)


def decode(line: Json) -> Response:
    """One row of the output or the error file."""
    return chat.decode(line)


def connect(settings: Settings) -> Any:
    """The SDK's client with its retries off. Accepts a base URL with or without `/openai/v1`."""
    from groq import Groq

    base_url = (settings.base_url(NAME) or BASE_URL).rstrip("/").removesuffix("/openai/v1")
    return Groq(api_key=settings.need_key(NAME).reveal(), base_url=base_url, max_retries=0)


def upload(client: Any, job: Job) -> str:
    """Stream the file from disk. Raises VendorError GARBLED when another number of bytes arrived."""
    with job.path.open("rb") as handle:
        file = (job.path.name, handle)
        answer = client.files.create(file=file, purpose="batch", timeout=transfer.PATIENCE_S)
    return transfer.stored(NAME, answer, job)


def create(client: Any, job: Job) -> str:
    """Create the batch with the token in its metadata."""
    answer = client.batches.create(
        input_file_id=job.remote_file,
        endpoint=job.endpoint,
        completion_window=job.window or DEFAULT_WINDOW,
        metadata={"batchflow": job.token},
        timeout=transfer.PATIENCE_S,
    )
    return transfer.created(NAME, answer)


def find(client: Any, job: Job) -> Found:
    """Batches with our token; else those on our file that no other job owns, as candidates.

    Every upload gets an id of its own, so a batch on our file without our token comes from an earlier attempt that
    was taken for lost: it carries the same rows, and adopting it pays nothing twice.
    """
    tagged, same_file = [], []
    for batch in _listed(client):
        batch_id = wire.text(batch.get("id"))
        if batch_id is None or batch_id in job.known_ids:
            continue
        if wire.dig(batch, "metadata", "batchflow") == job.token:
            tagged.append(batch_id)
        elif job.remote_file and batch.get("input_file_id") == job.remote_file:
            same_file.append(batch_id)
    return Found(tuple(tagged or same_file), sure=bool(tagged) or not same_file)


def _listed(client: Any) -> Iterator[Json]:
    """Every batch of the account, page by page. Raises VendorError GARBLED for a list that cannot prove anything."""
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen and len(seen) < PAGES:
        seen.add(cursor)
        page = transfer.facts(NAME, client.batches.list(extra_query={"cursor": cursor} if cursor else None))
        if not isinstance(page.get("data"), list):
            break
        yield from (wire.table(batch) for batch in page["data"])
        cursor = wire.text(wire.dig(page, "paging", "next_cursor"))
        if cursor is None:
            return
    raise VendorError("groq: the list of batches is broken or never ends", trouble=Trouble.GARBLED)


def _batch(client: Any, job: Job) -> Json:
    return transfer.facts(NAME, client.batches.retrieve(job.remote_id))


def poll(client: Any, job: Job) -> Progress:
    """How it is going. An unknown status word counts as waiting and is shown as it is."""
    batch = _batch(client, job)
    word = wire.text(batch.get("status")) or "(no status)"
    errors, rows = batch.get("errors"), wire.table(batch.get("request_counts"))
    said = wire.error_text(wire.dig(errors, "data") or errors)
    return Progress(
        STATUSES.get(word, Phase.WAITING),
        word,
        transfer.counts(rows.get("total"), rows.get("completed"), rows.get("failed")),
        said,
        queue_full=word == "failed" and trouble.says_queue_full(said),
    )


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """Output and error file, whichever exist. Raises VendorError TRANSIENT for a completed batch that names neither."""
    batch = _batch(client, job)
    named = [("output", wire.text(batch.get("output_file_id"))), ("error", wire.text(batch.get("error_file_id")))]
    if batch.get("status") == "completed" and not any(file_id for _, file_id in named):
        raise transfer.unpublished(NAME, "completed")
    for kind, file_id in named:
        if file_id:
            with client.files.with_streaming_response.content(file_id) as response:
                yield transfer.download(kind, response)


def cancel(client: Any, job: Job) -> None:
    """Ask the vendor to stop. It may take ten minutes, and what ran is kept. A batch that has ended is no error."""
    try:
        client.batches.cancel(job.remote_id)
    except Exception as error:
        if explain(error).status not in {400, 409, 422} or poll(client, job).phase is not Phase.ENDED:
            raise


def remove(client: Any, job: Job) -> None:
    """Delete input, output and error file at the vendor."""
    batch = transfer.unless_gone(partial(_batch, client, job), explain) if job.remote_id else None
    made = (wire.text(wire.dig(batch, key)) for key in ("output_file_id", "error_file_id"))
    transfer.forget([job.remote_file, *made], client.files.delete, explain)


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours."""
    return trouble.explain(NAME, error)
