"""Anthropic's message batches: no upload, the rows travel in the create call itself, and no tag to find it by.

Protocol read from anthropic 2.11.0 and the Message Batches reference (2026-11). The SDK builds a batch as one object in
memory, several copies of it; here the body is streamed from the processed file through the SDK's own `post`, so memory
stays flat. A lost create is looked for by number of requests and creation time, by the vendor's clock alone: a guess
until the custom_ids of its results confirm it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from batchflow import files
from batchflow.errors import VendorError
from batchflow.records import (
    Capabilities,
    Counts,
    Download,
    Found,
    Job,
    Json,
    Limits,
    Outcome,
    Part,
    Phase,
    Progress,
    Request,
    Response,
    Usage,
)
from batchflow.settings import Settings
from batchflow.vendors.base import ANTHROPICS, RowForm, cannot_resume, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, error_mapping, file_batches, json_access, row_forms, sdk_answers

NAME = "anthropic"
BATCHES = "/v1/messages/batches"
MAX_TOKENS = 16_000  # the field is required; thinking is on by default in current models and counts against it
LEAST_BUDGET = 1024  # tokens to think with
CACHED: Json = {"type": "ephemeral", "ttl": "1h"}  # the batch guide: five minutes are too short for most batches
SLOWEST_S = 3600.0  # a create that took longer than this is not likely ours
TICK_S = 2.0  # a `Date` header counts whole seconds

LIMITS = Limits(
    requests=25_000,
    file_bytes=100_000_000,
    source="Batch guide: 100,000 requests or 256 MB; kept smaller because a broken send starts from its first byte",
)
ENDPOINTS = ("/v1/messages",)
TRAITS = ANTHROPICS
resume = cannot_resume
facts = no_facts

STATUSES: Mapping[str, Phase] = {
    "in_progress": Phase.WAITING,
    "canceling": Phase.WAITING,
    "ended": Phase.ENDED,  # whatever became of its rows
}

# Bounds are refused in strict schemas; the schema in the prompt still tells them.
_BOUNDS = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "minProperties", "maxProperties",
}  # fmt: skip
_SAMPLING_VERSION = "2023-06-01"  # the last API version that takes temperature; the SDK sends a newer one

_OUTCOMES = {"expired": Outcome.EXPIRED, "canceled": Outcome.CANCELLED, "errored": Outcome.ERROR}


def _renewed(line: Json) -> Json:
    """A line in the words of today: the beta's `output_format`, which a header allowed, is `output_config.format`."""
    params = line.get("params")
    if not isinstance(params, dict) or "output_format" not in params:
        return line
    rest = {name: value for name, value in params.items() if name != "output_format"}
    config = {**(rest.get("output_config") or {}), "format": params["output_format"]}
    return {**line, "params": {**rest, "output_config": config}}


# platform.claude.com/docs/en/build-with-claude/batch-processing: params are checked after the batch was accepted, and a
# wrong one becomes an errored row; stream, max_tokens 0 and speed are not taken in batches. `betas` is the SDK's word
# for the header anthropic-beta.
LINE = RowForm(
    id="custom_id",
    asked="params",
    source="platform.claude.com/docs/en/build-with-claude/batch-processing",
    urls={"/v1/messages": ("messages", "max_tokens")},
    refused={
        **row_forms.SDK,
        "custom_id": "it belongs beside params, not in them",
        "params": "it belongs beside custom_id",
        "betas": "it is a header's argument of the SDK, not a field of the request",
        "speed": "the vendor takes none in a batch",
        "response_format": "it is another vendor's field: output_config.format is the one here",
        "max_completion_tokens": "it is another vendor's field: max_tokens is the one here",
    },
    values={"stream": (True,), "max_tokens": (0,)},
    renewed=_renewed,
)


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    chat_completions.check(NAME, request, can, budget=True)
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    chat_completions.check_choice(NAME, "--completion-window", window, ("24h",))
    if request.params.seed is not None:
        raise option_refused(NAME, "--seed", "the vendor has no such field", "leave it out")
    if budget := request.params.thinking_budget:
        _check_thinking(request, budget, _limit(request, can))


def _check_thinking(request: Request, budget: int, limit: int) -> None:
    """Raise UsageError for a budget that every row would be refused for, hours later and one by one.

    Bounds: ThinkingConfigEnabledParam of the SDK. Temperature: the extended thinking guide.
    """
    option = f"--thinking-budget {budget}"
    if budget < LEAST_BUDGET:
        raise option_refused(NAME, option, "it is too small", f"use {LEAST_BUDGET} or more, or 0 for no thinking")
    if budget >= limit:
        works = f"raise --max-tokens above {budget}, or lower the budget"
        raise option_refused(NAME, option, "it has to be below the token limit", works)
    if request.params.temperature not in {None, 1.0}:
        raise option_refused(NAME, "--temperature", "a model that thinks takes none but 1", "leave one of the two out")


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id and the parameters of a message."""
    params = request.params
    body: Json = {
        "model": request.model,
        "max_tokens": _limit(request, can),
        "messages": [{"role": "user", "content": [_part(part) for part in request.parts]}],
    }
    if system := json_access.told(request):
        body["system"] = system
    if request.cached is not None:
        _mark(body, request.cached)
    if params.temperature is not None:
        body["temperature"] = params.temperature
    if params.thinking_budget is not None:
        thinks = params.thinking_budget > 0
        body["thinking"] = (
            {"type": "enabled", "budget_tokens": params.thinking_budget} if thinks else {"type": "disabled"}
        )
    if config := _output_config(request, can):
        body["output_config"] = config
    return {"custom_id": request.custom_id, "params": body}


def _mark(body: Json, parts: int) -> None:
    """Asks for a cache of everything up to the end of the leading parts; of the system text, where there are none."""
    if parts:
        body["messages"][0]["content"][parts - 1]["cache_control"] = CACHED
    else:
        body["system"] = [{"type": "text", "text": body["system"], "cache_control": CACHED}]


def _limit(request: Request, can: Capabilities) -> int:
    return chat_completions.token_limit(request, can, MAX_TOKENS) or MAX_TOKENS


def _part(part: Part) -> Json:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "source": {"type": "base64", "media_type": part.mime, "data": part.data}}


def _output_config(request: Request, can: Capabilities) -> Json:
    config: Json = {}
    if (level := chat_completions.level(request, can)) is not None:
        config["effort"] = level
    if request.schema is not None and can.schema != "prompt":
        config["format"] = {"type": "json_schema", "schema": _unbounded(request.schema.schema)}
    return config


def _unbounded(schema: Any, *, names: bool = False) -> Any:
    """A schema without bounds. names: the keys of this object are the user's property names, not keywords."""
    if isinstance(schema, list):
        return [_unbounded(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _unbounded(value, names=key in {"properties", "$defs"} and not names)
        for key, value in schema.items()
        if names or key not in _BOUNDS
    }


def decode(line: Json) -> Response:
    """One row {custom_id, result}: text blocks joined, thinking left out."""
    custom_id, kind = (
        json_access.text(line.get("custom_id")),
        json_access.text(json_access.dig(line, "result", "type")) or "",
    )
    message = json_access.dig(line, "result", "message")
    if kind == "succeeded" and isinstance(message, dict):
        return _message(custom_id, message)
    error = json_access.error_text(
        json_access.dig(line, "result", "error", "error") or json_access.dig(line, "result", "error")
    )
    outcome = _OUTCOMES.get(kind, Outcome.ERROR)
    if outcome is Outcome.ERROR:
        return Response(custom_id, outcome, error=error or f"a row of type {kind!r} without an error text")
    return Response(custom_id, outcome, error=error or f"the vendor says: {kind}")


def _message(custom_id: str | None, message: Json) -> Response:
    finish, model = json_access.text(message.get("stop_reason")), json_access.text(message.get("model"))
    used, row_id = _usage(message.get("usage")), json_access.text(message.get("id"))
    text = chat_completions.joined(message.get("content"))
    if finish == "refusal":
        why = json_access.error_text(message.get("stop_details")) or text or "the model declined"
        return Response(custom_id, Outcome.REFUSED, None, why, used, model, row_id, finish)
    if not text:
        return Response(custom_id, Outcome.ERROR, None, chat_completions.silent(finish), used, model, row_id, finish)
    return Response(custom_id, Outcome.OK, text, None, used, model, row_id, finish)


def _usage(value: Any) -> Usage | None:
    """Anthropic counts what was read from and written to a cache beside input_tokens; our input holds all three."""
    if not isinstance(value, dict):
        return None
    cached = json_access.count(value.get("cache_read_input_tokens"))
    written = json_access.count(value.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=json_access.count(value.get("input_tokens")) + cached + written,
        cached_tokens=cached,
        output_tokens=json_access.count(value.get("output_tokens")),
        reasoning_tokens=json_access.count(json_access.dig(value, "output_tokens_details", "thinking_tokens")),
        written_tokens=written,
        written_1h_tokens=json_access.count(json_access.dig(value, "cache_creation", "ephemeral_1h_input_tokens")),
    )


def connect(settings: Settings) -> Any:
    """The SDK's client with its retries off."""
    from anthropic import Anthropic, DefaultHttpxClient, Timeout

    base_url = settings.base_url(NAME) or "https://api.anthropic.com"
    return Anthropic(
        api_key=settings.need_key(NAME).reveal(),
        base_url=base_url,
        max_retries=0,
        timeout=Timeout(120.0, connect=10.0),
        http_client=sdk_answers.homebound(DefaultHttpxClient, base_url),
    )


def upload(client: Any, job: Job) -> None:
    """Nothing to upload: `create` carries the rows."""


def create(client: Any, job: Job) -> str:
    """Create the batch; its body is the processed file's lines in one JSON array, streamed from disk."""
    size = sum(len(piece) for piece in _body(job))
    headers = {"content-type": "application/json", "content-length": str(size)}
    options = {"headers": headers, "timeout": sdk_answers.PATIENCE_S}
    answer = (_older(client) if _samples(job) else client).post(
        BATCHES, cast_to=object, content=_body(job), options=options
    )
    return sdk_answers.created(NAME, answer)


def _body(job: Job) -> Iterator[bytes]:
    glue = b'{"requests":['
    for _, _, line in files.lines(job.path):
        if line.strip():
            yield glue + line
            glue = b","
    yield b"]}"


def _older(client: Any) -> Any:
    """The client as the last API version that takes temperature wants it: the key as `x-api-key`, no Authorization.

    So did every SDK that spoke it (0.x and 1.x, as recorded); 2.x sends a newer version and the key as a bearer's.
    They are the client's headers, not the request's: the SDK writes the latter to its debug log, key and all.
    """
    from anthropic import Omit

    headers = {"anthropic-version": _SAMPLING_VERSION, "x-api-key": client.api_key, "Authorization": Omit()}
    return client.with_options(default_headers=headers)


def _samples(job: Job) -> bool:
    """Tells whether the rows carry what the SDK's own API version refuses (versioning page, 2026-10-21).

    Rows of an imported file may sample by other fields than ours do.
    """
    _, _, line = next(files.lines(job.path), (0, 0, b"{}"))
    given = json_access.dig(files.loads(line or b"{}"), "params")
    return any(json_access.dig(given, name) is not None for name in ("temperature", "top_p", "top_k"))


def clock(client: Any) -> float | None:
    """The vendor's own time (unix seconds), from the `Date` of an answer; None where it tells none."""
    date = client.messages.batches.with_raw_response.list(limit=1).headers.get("date")
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def find(client: Any, job: Job) -> Found:
    """Batches of our size that no other job owns and that were created since ours was sent, by the vendor's clock.

    A batch counts all its requests from its creation on, so where none has our size, nothing was created. One that has
    it is a guess; once it has ended, the custom_ids of its results tell whose it is. What was created when cannot be
    told where the vendor's time was not noted before the create: then nothing is adopted.
    """
    likely: list[str] = []
    unlikely: list[str] = []
    for batch in file_batches.pages(NAME, partial(_page, client)):
        batch_id, created_at = json_access.text(batch.get("id")), sdk_answers.unix(batch.get("created_at"))
        if not batch_id or batch_id in job.known_ids or _counts(batch).total != job.requests:
            continue
        late_s = None if job.vendor_time is None or created_at is None else created_at - job.vendor_time
        if late_s is not None and late_s < -TICK_S:
            continue  # it was there before our create
        whose = _is_ours(client, batch, replace(job, remote_id=batch_id))
        if whose:
            return Found((batch_id,), sure=True)
        if whose is None:
            (likely if late_s is not None and late_s <= SLOWEST_S else unlikely).append(batch_id)
    return Found(tuple(likely), sure=not likely and not unlikely, unlikely=tuple(unlikely), guess=True)


def _is_ours(client: Any, batch: Json, job: Job) -> bool | None:
    """Tells whether a batch carries our rows, by the first custom_id of its results; None while it names none."""
    if json_access.text(batch.get("results_url")) is None:
        return None
    custom_id = sdk_answers.unless_gone(partial(_first_id, client, job), explain)
    return None if custom_id is None else job.nonce in custom_id.split("-")


def _first_id(client: Any, job: Job) -> str | None:
    """The custom_id of the first row of a batch's results; None where it cannot be read."""
    line = b""
    for download in fetch(client, job):
        for chunk in download.chunks:
            line += chunk
            if b"\n" in chunk:
                break
    try:
        return json_access.text(json_access.dig(files.loads(line.partition(b"\n")[0]), "custom_id"))
    except ValueError:
        return None


def _page(client: Any, after: str) -> tuple[list[Json], str | None]:
    """A page of batches, newest first, and what follows it."""
    page = sdk_answers.facts(NAME, client.messages.batches.list(limit=1000, **({"after_id": after} if after else {})))
    rows = file_batches.rows_of(NAME, page)
    is_last = not page.get("has_more") or not rows
    return rows, None if is_last else json_access.text(rows[-1].get("id")) or ""


def _counts(batch: Json) -> Counts:
    """Counts of a batch: everything stands under `processing` until the end."""
    counts = json_access.table(batch.get("request_counts"))
    ended = [json_access.count(counts.get(name)) for name in ("succeeded", "errored", "expired", "canceled")]
    total = json_access.count(counts.get("processing")) + sum(ended)
    return Counts(total, ended[0], sum(ended[1:3])) if counts else Counts()


def poll(client: Any, job: Job) -> Progress:
    """Polls a job. An unknown status word counts as waiting; an archived batch is lost, with its results."""
    raw = client.messages.batches.with_raw_response.retrieve(job.remote_id)
    batch = sdk_answers.facts(NAME, raw.parse())
    word = json_access.text(batch.get("processing_status")) or "(no status)"
    phase = STATUSES.get(word, Phase.WAITING)
    if batch.get("archived_at"):
        return Progress(Phase.LOST, "archived", _counts(batch), "results are kept for 29 days, and these are older")
    return Progress(phase, word, _counts(batch), retry_after_s=error_mapping.retry_after(raw.headers))


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """The results. Raises VendorError UNPUBLISHED for a batch that has ended and names none yet."""
    batch = sdk_answers.facts(NAME, client.messages.batches.retrieve(job.remote_id))
    url = json_access.text(batch.get("results_url"))
    if url is None:
        if batch.get("processing_status") == "ended":
            raise sdk_answers.unpublished(NAME, "ended")
        return
    # The header makes the SDK hand over the open response, as its `with_streaming_response` does.
    headers = {"accept": "application/binary", "x-stainless-raw-response": "stream"}
    ask = partial(client.get, _ours(client, url, job), cast_to=object, options={"headers": headers})
    yield from sdk_answers.opened("output", lambda: contextlib.closing(ask()))


def _ours(client: Any, url: str, job: Job) -> str:
    """Returns the URL of the results: the vendor's, on our own host only, since the key goes with the request.

    Behind a gateway the URL may name the vendor's host; the reference gives the same path below every base URL.
    """
    mine, theirs = urlsplit(str(client.base_url)), urlsplit(url)
    is_ours = (mine.scheme, mine.netloc) == (theirs.scheme, theirs.netloc)
    return url if is_ours else f"{BATCHES}/{job.remote_id}/results"


def cancel(client: Any, job: Job) -> None:
    """Ask the vendor to stop; what ran is kept. A batch that has ended is no error."""
    file_batches.cancel(partial(client.messages.batches.cancel, job.remote_id), partial(poll, client, job), explain)


def remove(client: Any, job: Job) -> None:
    """Delete the batch with its results; the vendor does so only once it has ended."""
    if job.remote_id:
        sdk_answers.unless_gone(partial(client.messages.batches.delete, job.remote_id), explain)


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours."""
    return error_mapping.explain(NAME, error)
