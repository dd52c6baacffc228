"""OpenAI's batches, and those of any vendor that speaks the same protocol at another base URL.

Protocol read from openai 3.52.0 and the Batch API reference (2026-11). A batch is an uploaded JSON Lines file plus a
job that names it; the job's metadata carries our token, which is how a lost `create` is found again. Answers come in
an output file and an error file, either of which may be missing, null or "".
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any

from batchflow.records import (
    Capabilities,
    Image,
    Job,
    Json,
    Limits,
    Outcome,
    Part,
    Request,
    Response,
    Usage,
)
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, json_access, openai_like, row_forms, sdk_answers

NAME = "openai"
RESPONSES = "/v1/responses"
WINDOW = "24h"

LIMITS = Limits(
    requests=50_000,
    # The guide says 200 MB, a live 400 was seen near it (bespokelabsai/curator#111); 190 MB is under both readings.
    file_bytes=190_000_000,
    source="Batch guide: 50,000 requests and 200 MB a file; kept at 190 MB because the exact limit is not settled",
)
ENDPOINTS = (chat_completions.CHAT, RESPONSES)
# platform.openai.com/docs/guides/batch. Seen after acceptance, where one bad line fails the batch:
# missing_required_parameter, invalid_url, streaming_unsupported, duplicate_custom_id.
LINE = row_forms.posted("platform.openai.com/docs/guides/batch", {**row_forms.CHAT, RESPONSES: ("input",)})

TRAITS = PAID
clock = no_clock
resume = cannot_resume
facts = no_facts

STATUSES = openai_like.STATUSES

_BATCHES = openai_like.Batches(
    name=NAME, base_url="https://api.openai.com/v1", windows=(WINDOW,), endpoints=ENDPOINTS, statuses=STATUSES
)


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    _BATCHES.check(request, can, endpoint, window)
    if endpoint == RESPONSES and request.params.seed is not None:
        raise option_refused(
            NAME, "--seed", f"{RESPONSES} has no such field", f"use --endpoint {chat_completions.CHAT}"
        )
    if request.params.temperature is not None and chat_completions.level(request, can) not in {None, "none"}:
        raise option_refused(
            NAME, "--temperature", "models that think take none", "leave it out, or use --thinking-level none"
        )


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: custom_id, method, url, body."""
    if endpoint != RESPONSES:
        return chat_completions.line(request, can, endpoint)
    return {"custom_id": request.custom_id, "method": "POST", "url": RESPONSES, "body": _responses_body(request, can)}


def _responses_body(request: Request, can: Capabilities) -> Json:
    params = request.params
    body: Json = {
        "model": request.model,
        "input": [{"role": "user", "content": [_responses_part(part) for part in request.parts]}],
    }
    if system := json_access.told(request):
        body["instructions"] = system
    if (limit := chat_completions.token_limit(request, can)) is not None:
        body["max_output_tokens"] = limit
    if params.temperature is not None:
        body["temperature"] = params.temperature
    if (level := chat_completions.level(request, can)) is not None:
        body["reasoning"] = {"effort": level}
    if request.schema is not None and can.schema != "prompt":
        schema = request.schema
        body["text"] = {"format": {"type": "json_schema", "name": schema.name, "strict": True, "schema": schema.schema}}
    return body


def _responses_part(part: Part) -> Json:
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": part.url, "detail": "auto"}
    return {"type": "input_text", "text": part}


def decode(line: Json) -> Response:
    """One row of the output or the error file, of either endpoint."""
    body = chat_completions.body_of(line)
    if isinstance(body, dict) and (body.get("object") == "response" or isinstance(body.get("output"), list)):
        status = json_access.whole(json_access.dig(line, "response", "status_code"))
        if chat_completions.error_of(line) is None and (status is None or status < 400):
            return _response_answer(json_access.text(line.get("custom_id")), json_access.text(line.get("id")), body)
    return chat_completions.decode(line)


def _response_answer(custom_id: str | None, row_id: str | None, body: Json) -> Response:
    contents = [
        part
        for item in json_access.items(body.get("output"))
        if json_access.dig(item, "type") == "message"
        for part in json_access.items(json_access.dig(item, "content"))
    ]
    text = "".join(
        json_access.text(json_access.dig(p, "text")) or ""
        for p in contents
        if json_access.dig(p, "type") == "output_text"
    )
    refusal = next(
        (json_access.text(json_access.dig(p, "refusal")) for p in contents if json_access.dig(p, "type") == "refusal"),
        None,
    )
    finish = json_access.text(json_access.dig(body, "incomplete_details", "reason")) or json_access.text(
        body.get("status")
    )
    used, model = _responses_usage(body.get("usage")), json_access.text(body.get("model"))
    if refusal or finish == "content_filter":
        why = refusal or "stopped by the vendor's content filter"
        return Response(custom_id, Outcome.REFUSED, None, why, used, model, row_id, finish)
    if (error := chat_completions.error_of(body)) or not text:
        why = json_access.error_text(error) or chat_completions.silent(finish)
        return Response(custom_id, Outcome.ERROR, None, why, used, model, row_id, finish)
    return Response(custom_id, Outcome.OK, text, None, used, model, row_id, finish)


def _responses_usage(value: Any) -> Usage | None:
    value = chat_completions.unpacked(value)
    if not isinstance(value, dict):
        return None
    return Usage(
        input_tokens=json_access.count(value.get("input_tokens")),
        cached_tokens=json_access.count(json_access.dig(value, "input_tokens_details", "cached_tokens")),
        output_tokens=json_access.count(value.get("output_tokens")),
        reasoning_tokens=json_access.count(json_access.dig(value, "output_tokens_details", "reasoning_tokens")),
        written_tokens=json_access.count(json_access.dig(value, "input_tokens_details", "cache_write_tokens")),
    )


def upload(client: Any, job: Job) -> str:
    """Stream the file from disk under a name that carries the token; wait until the vendor lists it.

    A batch created within a second of its upload was seen to be refused with "cannot find file"
    (bespokelabsai/curator#116), so the file is asked for once before its id is believed.
    """
    with job.path.open("rb") as handle:
        file = (remote_name(job.token), handle, "application/jsonl")
        file_id = sdk_answers.stored(
            NAME, client.files.create(file=file, purpose="batch", timeout=sdk_answers.PATIENCE_S), job
        )
    for pause_s in (0.5, 1.0, 2.0):
        if sdk_answers.unless_gone(partial(client.files.retrieve, file_id), explain) is not None:
            break
        time.sleep(pause_s)
    return file_id


def remote_name(token: str) -> str:
    """The uploaded file's name; OpenAI refuses names that do not end in .jsonl (litellm#37527)."""
    return f"batchflow-{re.sub('[^A-Za-z0-9_-]', '-', token)}.jsonl"


connect = _BATCHES.connect
create = _BATCHES.create
find = _BATCHES.find
poll = _BATCHES.poll
fetch = _BATCHES.fetch
cancel = _BATCHES.cancel
remove = _BATCHES.remove
explain = _BATCHES.explain
