"""Mistral's batch jobs: the model stands on the job, rows are {custom_id, body}, timeouts are in hours.

Protocol read from mistralai 3.7.0, platform-docs-public@222f4ba and recorded result files (2024-11, 2025-10). The SDK
reads no base URL from the environment, wants it without `/v1`, retries nothing unless told to, and rides on httpx2.
Its own helper takes a row as failed when `error` is not null or the status is 400 or more, in either file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.records import (
    Capabilities,
    Download,
    Found,
    Image,
    Job,
    Json,
    Limits,
    Phase,
    Progress,
    Request,
    Response,
)
from batchflow.settings import Settings
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, error_mapping, file_batches, json_access, row_forms, sdk_answers

NAME = "mistral"
BASE_URL = "https://api.mistral.ai"
DEFAULT_HOURS = 24
PAGE = 100
FILES = ("output_file", "error_file")

LIMITS = Limits(
    requests=100_000,
    file_bytes=512_000_000,
    source="known-limitations page of docs.mistral.ai: 100,000 requests, 512 MB (the batch page says 1 M; 2026-08)",
)
ENDPOINTS = (chat_completions.CHAT,)
LINE = row_forms.bare("docs.mistral.ai/capabilities/batch")  # the endpoint and the model are the job's

TRAITS = PAID
clock = no_clock
resume = cannot_resume
facts = no_facts

STATUSES: Mapping[str, Phase] = {
    "QUEUED": Phase.WAITING,
    "RUNNING": Phase.WAITING,
    "CANCELLATION_REQUESTED": Phase.WAITING,
    "SUCCESS": Phase.ENDED,
    "FAILED": Phase.ENDED,
    "TIMEOUT_EXCEEDED": Phase.ENDED,  # what others call expired
    "CANCELLED": Phase.ENDED,
}


def _picture(image: Image) -> Json:
    return {"type": "image_url", "image_url": image.url}  # a bare string, as in recorded batches


_DIALECT = chat_completions.Dialect(token_field="max_tokens", seed_field="random_seed", picture=_picture)  # noqa: S106 - a JSON key


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    chat_completions.check(NAME, request, can)
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    if window is not None and not 1 <= sdk_answers.hours(window) < 168:
        works = "use 1h to 167h, or 1d to 6d: it has to stay below seven days"
        raise option_refused(NAME, f"--completion-window {window}", "out of range", works)


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id and body; the model stands on the job, once for all rows."""
    body = chat_completions.body(request, can, _DIALECT)
    return {"custom_id": request.custom_id, "body": {key: value for key, value in body.items() if key != "model"}}


def decode(line: Json) -> Response:
    """One row of the output or the error file; an `error` may be text, an object or a list."""
    return chat_completions.decode(line)


class _Quiet:
    """Takes the place of the SDK's own logger, which under MISTRAL_DEBUG writes the key with every request."""

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Say nothing."""


def connect(settings: Settings) -> Any:
    """The SDK's client, which retries nothing. Accepts a base URL with or without `/v1`."""
    import httpx2
    from mistralai.client import Mistral

    server_url = (settings.base_url(NAME) or BASE_URL).rstrip("/").removesuffix("/v1")
    client = Mistral(
        api_key=settings.need_key(NAME).reveal(),
        server_url=server_url,
        client=sdk_answers.homebound(httpx2.Client, server_url),
        retry_config=None,
        timeout_ms=60_000,
        debug_logger=_Quiet(),
    )
    client.sdk_configuration.client_supplied = False  # nobody else uses it, so the SDK closes it with its own
    return client


def upload(client: Any, job: Job) -> str:
    """Stream the file from disk. Raises VendorError GARBLED when another number of bytes arrived."""
    with job.path.open("rb") as handle:
        file = {"file_name": job.path.name, "content": handle}
        answer = client.files.upload(file=file, purpose="batch", timeout_ms=sdk_answers.PATIENCE_S * 1000)
    return sdk_answers.stored(NAME, answer, job)


def create(client: Any, job: Job) -> str:
    """Create the job with the token in its metadata."""
    answer = client.batch.jobs.create(
        endpoint=job.endpoint,
        input_files=[job.remote_file],
        model=job.model,
        metadata={"batchflow": job.token},
        timeout_hours=sdk_answers.hours(job.window) if job.window else DEFAULT_HOURS,
        timeout_ms=sdk_answers.PATIENCE_S * 1000,
    )
    return sdk_answers.created(NAME, answer)


def find(client: Any, job: Job) -> Found:
    """Jobs with our token; else those on our file, as candidates. Every upload gets an id of its own.

    Matched here: the server's metadata filter is unproven.
    """
    return file_batches.found(_listed(client), job, "input_files", void={"FAILED", "CANCELLED"})


def _listed(client: Any) -> Iterator[Json]:
    """All jobs, newest first. Raises GARBLED for a list that proves nothing."""
    seen = 0
    for number in range(file_batches.PAGES):
        page = sdk_answers.facts(NAME, client.batch.jobs.list(page=number, page_size=PAGE, order_by="-created"))
        rows, total = json_access.items(page.get("data")), json_access.count(page.get("total"))
        yield from rows
        seen += len(rows)
        if not rows and seen >= total:
            return
        if not rows:
            break
    raise VendorError("mistral: the list of jobs is broken or never ends", trouble=Trouble.GARBLED)


def _job(client: Any, job: Job) -> Json:
    return sdk_answers.facts(NAME, client.batch.jobs.get(job_id=job.remote_id))


def poll(client: Any, job: Job) -> Progress:
    """Polls a job. An unknown status word counts as waiting and is shown as it is."""
    batch = _job(client, job)
    counts = sdk_answers.counts(
        batch.get("total_requests"), batch.get("succeeded_requests"), batch.get("failed_requests")
    )
    heard = file_batches.progress(batch, STATUSES, counts, json_access.error_text(batch.get("errors")), void="FAILED")
    return replace(heard, queue_full=heard.queue_full and not batch.get("output_file"))  # FAILED may follow some rows


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """Output and error file, whichever exist: after a timeout or a cancel the docs promise neither."""
    yield from file_batches.downloads(NAME, _job(client, job), FILES, "SUCCESS", partial(_content, client))


def _content(client: Any, file_id: str) -> closing[Any]:
    return closing(client.files.download(file_id=file_id))


def cancel(client: Any, job: Job) -> None:
    """Ask the vendor to stop. The job goes through CANCELLATION_REQUESTED. A batch that has ended is no error."""
    file_batches.cancel(partial(client.batch.jobs.cancel, job_id=job.remote_id), partial(poll, client, job), explain)


def remove(client: Any, job: Job) -> None:
    """Delete input, output and error file at the vendor."""
    file_batches.remove(
        job, partial(_job, client, job), FILES, lambda file_id: client.files.delete(file_id=file_id), explain
    )


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours."""
    return error_mapping.explain(NAME, error)
