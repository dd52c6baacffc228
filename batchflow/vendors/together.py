"""Together's batches: no metadata, no counts, no pages, and files that are addressed by their content.

Protocol read from together 3.1.1, togethercomputer/openapi@090263a and togethercomputer/skills@644d382. From 3.0 on the
SDK's base URL has no `/v1`. A create may answer 201 with `job: null` and a warning: then nothing was created.

A lost create is found by its input file. The custom_ids carry the batch's nonce, so no two jobs share a file; two
attempts to start the same job do, because the same bytes get the same file id. So a batch on our file is always one
that carries exactly our rows, and `find` tells this attempt's from earlier ones by their time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.records import (
    Capabilities,
    Counts,
    Found,
    Job,
    Json,
    Limits,
    Phase,
    Progress,
    Request,
    Response,
)
from batchflow.settings import Settings
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts
from batchflow.vendors.shared import (
    chat_completions,
    error_mapping,
    file_batches,
    json_access,
    openai_like,
    row_forms,
    sdk_answers,
)

NAME = "together"
BASE_URL = "https://api.together.ai"
WINDOW = "24h"  # the only one, and best effort: a batch may run for 72 hours
SLACK_S = 3600.0  # how far the vendor's clock may be behind ours

LIMITS = Limits(
    requests=50_000,
    file_bytes=100_000_000,
    line_bytes=10_000_000,  # noticed late: the whole batch fails with "error reading input file"
    source="docs.together.ai/docs/inference/batch: 50,000 requests, 100 MB a file, 10 MB a line (2026-08)",
)
ENDPOINTS = (chat_completions.CHAT,)
LINE = row_forms.bare("docs.together.ai/docs/batch-inference")  # `"method": "FILE"` is for audio only

TRAITS = PAID
clock = no_clock
resume = cannot_resume
facts = no_facts

STATUSES: Mapping[str, Phase] = {
    "VALIDATING": Phase.WAITING,
    "IN_PROGRESS": Phase.WAITING,
    "CANCELING": Phase.WAITING,  # only in the enum of the 1.x SDK
    "CANCELLING": Phase.WAITING,
    "COMPLETED": Phase.ENDED,
    "FAILED": Phase.ENDED,  # a line did not pass validation: no row ran
    "EXPIRED": Phase.ENDED,
    "CANCELLED": Phase.ENDED,
}

_DIALECT = chat_completions.Dialect(token_field="max_tokens")  # noqa: S106 - a JSON key


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    chat_completions.check(NAME, request, can)
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    chat_completions.check_choice(NAME, "--completion-window", window, (WINDOW,))


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id and body; method and url are for audio only."""
    return {"custom_id": request.custom_id, "body": chat_completions.body(request, can, _DIALECT)}


def decode(line: Json) -> Response:
    """One row of the output file, or of the error file, whose rows are {custom_id, error {message, code}}."""
    return chat_completions.decode(line)


def connect(settings: Settings) -> Any:
    """The SDK's client with its retries off. Accepts a base URL with or without `/v1`."""
    from together import DefaultHttpxClient, Together

    base_url = (settings.base_url(NAME) or BASE_URL).rstrip("/").removesuffix("/v1")
    http = sdk_answers.homebound(DefaultHttpxClient, base_url)
    return Together(api_key=settings.need_key(NAME).reveal(), base_url=base_url, max_retries=0, http_client=http)


def upload(client: Any, job: Job) -> str:
    """Stream the file from disk; the same bytes always get the same id.

    After an upload that broke half way the vendor may answer "already there" with an id whose bytes never arrived,
    so a file of the wrong length is deleted and sent once more. Raises VendorError GARBLED when that does not help.
    """
    answer = _sent(client, job)
    try:
        return sdk_answers.stored(NAME, answer, job)
    except VendorError:
        sdk_answers.forget(
            [json_access.text(json_access.dig(sdk_answers.plain(answer), "id"))], client.files.delete, explain
        )
    return sdk_answers.stored(NAME, _sent(client, job), job)


def _sent(client: Any, job: Job) -> Any:
    return client.files.upload(job.path, purpose="batch-api", check=False)  # our lines are checked already


def create(client: Any, job: Job) -> str:
    """Create the batch. Raises VendorError REFUSED for an answer without a job, which is how Together says no."""
    answer = client.batches.create(
        input_file_id=job.remote_file,
        endpoint=job.endpoint,
        completion_window=WINDOW,
        timeout=sdk_answers.PATIENCE_S,
    )
    reply = sdk_answers.plain(answer)
    entry = json_access.dig(reply, "job")
    if isinstance(reply, dict) and "job" in reply and entry is None:
        warning = json_access.error_text(reply.get("warning")) or "no reason given"
        full = error_mapping.says_queue_full(warning)
        kind = Trouble.QUEUE_FULL if full else Trouble.REFUSED
        raise VendorError(f"together: no batch was created: {warning}", trouble=kind)
    return sdk_answers.created(NAME, entry)


def find(client: Any, job: Job) -> Found:
    """Batches on our file that no other job owns: this attempt's if there are any, else earlier ones as candidates.

    An earlier one that failed or was cancelled carries no answers worth adopting and is left out.
    """
    listed = sdk_answers.plain(client.batches.list())
    if not isinstance(listed, list):
        raise VendorError("together: the list of batches cannot be read", trouble=Trouble.GARBLED)
    recent, earlier = [], []
    for batch in map(sdk_answers.plain, listed):
        batch_id = json_access.text(json_access.dig(batch, "id"))
        if batch_id is None or batch_id in job.known_ids or json_access.dig(batch, "input_file_id") != job.remote_file:
            continue
        created_at = sdk_answers.unix(json_access.dig(batch, "created_at"))
        if created_at is None or created_at >= job.sending_at - SLACK_S:
            recent.append(batch_id)
        elif json_access.dig(batch, "status") not in {"FAILED", "CANCELLED"}:
            earlier.append(batch_id)
    return Found(tuple(recent or earlier), sure=bool(recent) or not earlier)


def poll(client: Any, job: Job) -> Progress:
    """Polls a job. Together tells a percentage only; the rows done are worked out from our own count."""
    batch = _BATCHES.batch(client, job)
    percent = json_access.whole(batch.get("progress"))
    done = None if percent is None else job.requests * min(percent, 100) // 100
    error = json_access.error_text(batch.get("error"))
    return file_batches.progress(batch, STATUSES, Counts(job.requests, done), error, void="FAILED")


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours.

    The SDK tells every 401 of an upload as spent trial credits and drops what the server said; it is a bad key.
    """
    trouble = error_mapping.explain(NAME, error)
    if trouble.status != 401:
        return trouble
    words = json_access.error_text(error_mapping.body_of(error)) or "the key is not accepted"
    text = f"together: HTTP 401: {error_mapping.redact(words, error_mapping.keys_of(error))[:600]}"
    return VendorError(text, trouble=Trouble.AUTH, status=401, hint="check TOGETHER_API_KEY")


_BATCHES = openai_like.Batches(
    name=NAME, base_url=BASE_URL, statuses=STATUSES, done="COMPLETED", failed="FAILED", explained=explain
)
fetch = _BATCHES.fetch  # a batch without an error has an empty error file all the same
cancel = _BATCHES.cancel  # what ran is kept and billed
remove = _BATCHES.remove
