"""Gemini's batch mode (Gemini Developer API): always by file, v1beta, found again by display name.

Protocol read from google-genai 3.4.0 and ai.google.dev (2026-11). The SDK's models drop counts and job errors and
refuse unknown fields, so its calls are made but the raw JSON of each answer is what is read, taken by a hook of the
HTTP client that it is given. Inline batches are never used: their results cannot be fetched once they are large.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from batchflow.errors import Trouble, VendorError
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
from batchflow.settings import Secret, Settings
from batchflow.vendors.base import PAID, RowForm, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, error_mapping, file_batches, json_access, sdk_answers

NAME = "gemini"
VERSION = "v1beta"  # what the batch reference documents; the SDK's own default is v1

LIMITS = Limits(
    requests=50_000,
    file_bytes=1_900_000_000,
    source="Batch guide: 2 GB a file; no count is documented, so jobs are kept at 50,000 requests; 100 jobs at once",
    enqueued_jobs=100,
)
ENDPOINTS = ("generateContent",)
TRAITS = PAID
clock = no_clock
resume = cannot_resume
facts = no_facts

# ai.google.dev/gemini-api/docs/batch-api and ai.google.dev/api/generate-content: the request is parsed as a message
# with these fields, and any other one ends in "no such field" (inspect_ai#3273), in either spelling.
LINE = RowForm(
    id="key",
    asked="request",
    source="ai.google.dev/api/generate-content",
    urls={"/v1beta/models": ("contents",)},
    known=frozenset(
        {
            "contents",
            "model",
            "tools",
            "labels",
            "store",
            "system_instruction",
            "systemInstruction",
            "generation_config",
            "generationConfig",
            "tool_config",
            "toolConfig",
            "safety_settings",
            "safetySettings",
            "cached_content",
            "cachedContent",
            "service_tier",
            "serviceTier",
        }
    ),
)

_STATE = "BATCH_STATE_"  # on the wire; the SDK and older answers say JOB_STATE_
STATUSES: Mapping[str, Phase] = {
    "BATCH_STATE_UNSPECIFIED": Phase.WAITING,
    "BATCH_STATE_PENDING": Phase.WAITING,
    "BATCH_STATE_QUEUED": Phase.WAITING,
    "BATCH_STATE_RUNNING": Phase.WAITING,
    "BATCH_STATE_UPDATING": Phase.WAITING,
    "BATCH_STATE_PAUSED": Phase.WAITING,
    "BATCH_STATE_CANCELLING": Phase.WAITING,
    "BATCH_STATE_SUCCEEDED": Phase.ENDED,  # also when every row failed
    "BATCH_STATE_PARTIALLY_SUCCEEDED": Phase.ENDED,
    "BATCH_STATE_FAILED": Phase.ENDED,
    "BATCH_STATE_CANCELLED": Phase.ENDED,
    "BATCH_STATE_EXPIRED": Phase.ENDED,  # 48 hours; leaves no results at all
}

# What `response_schema` takes of JSON schema (an OpenAPI subset), spelled as in files; the prompt tells the rest.
_KEYS = {
    **{key: key for key in ("type", "format", "title", "description", "nullable", "enum", "items", "properties")},
    **{key: key for key in ("required", "minimum", "maximum", "pattern")},
    "minItems": "min_items",
    "maxItems": "max_items",
    "minLength": "min_length",
    "maxLength": "max_length",
    "anyOf": "any_of",
}
_BLOCKED = {
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "LANGUAGE",
}  # fmt: skip
_WORTHLESS = {"BATCH_STATE_FAILED", "BATCH_STATE_CANCELLED", "BATCH_STATE_EXPIRED"}
_SEEDS = 2**31  # GenerationConfig.seed is an int32 (ai.google.dev/api/generate-content)
_RPC_CANCELLED, _RPC_EXHAUSTED = 1, 8  # google.rpc.Code


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Raise UsageError for anything that `encode` or `create` could not send."""
    chat_completions.check(NAME, request, can, budget=True)
    if (request.params.seed or 0) >= _SEEDS:
        raise option_refused(NAME, "--seed", "the vendor's is a signed number of 32 bits", f"use one below {_SEEDS}")
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    chat_completions.check_choice(NAME, "--completion-window", window, ("24h",))


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line: key and request, in snake_case, which is the only spelling that files were seen to take."""
    body: Json = {"contents": [{"role": "user", "parts": [_part(part) for part in request.parts]}]}
    if system := json_access.told(request):
        body["system_instruction"] = {"parts": [{"text": system}]}
    if config := _config(request, can):
        body["generation_config"] = config
    return {"key": request.custom_id, "request": body}


def _part(part: Part) -> Json:
    return {"text": part} if isinstance(part, str) else {"inline_data": {"mime_type": part.mime, "data": part.data}}


def _config(request: Request, can: Capabilities) -> Json:
    params = request.params
    config: Json = {}
    if (limit := chat_completions.token_limit(request, can)) is not None:
        config["max_output_tokens"] = limit
    if params.temperature is not None:
        config["temperature"] = params.temperature
    if params.seed is not None:
        config["seed"] = params.seed
    if (level := chat_completions.level(request, can)) is not None:
        config["thinking_config"] = {"thinking_level": level.upper()}
    if params.thinking_budget is not None:
        config["thinking_config"] = {"thinking_budget": params.thinking_budget}
    if request.schema is not None and can.schema != "prompt":
        config["response_mime_type"] = "application/json"
        # `response_json_schema` is reported ignored in batches, and billed (ruby_llm#894: 0 of 502 rows valid).
        if can.schema == "response_json_schema":
            config["response_json_schema"] = request.schema.schema
        else:
            config["response_schema"] = openapi(request.schema.schema)
    return config


def openapi(schema: Any) -> Any:
    """A JSON schema in the subset that `response_schema` takes: unknown keywords dropped, null types made nullable.

    Properties keep their order by name, since the answer is generated in it.
    """
    if not isinstance(schema, dict):
        return schema
    translation = {_KEYS[key]: value for key, value in schema.items() if key in _KEYS}
    kinds = translation.get("type")
    if isinstance(kinds, list):
        translation["type"] = next((kind for kind in kinds if kind != "null"), "string")
        translation["nullable"] = "null" in kinds or bool(translation.get("nullable"))
    if isinstance(translation.get("type"), str):
        translation["type"] = translation["type"].upper()
    if isinstance(translation.get("properties"), dict):
        translation["properties"] = {name: openapi(spec) for name, spec in translation["properties"].items()}
        translation["property_ordering"] = list(translation["properties"])
    if "items" in translation:
        translation["items"] = openapi(translation["items"])
    if isinstance(translation.get("any_of"), list):
        translation["any_of"] = [openapi(spec) for spec in translation["any_of"]]
    if isinstance(translation.get("enum"), list):  # of text for every type, numbers too: see Schema.enum of the SDK
        translation["enum"] = [str(choice) for choice in translation["enum"] if choice is not None]
    return translation


def decode(line: Json) -> Response:
    """One row {key, response} or {key, error} or {key, status}."""
    key, response = json_access.text(line.get("key")), line.get("response")
    if isinstance(response, dict):
        return _generated(key, response)
    error = line.get("error") or line.get("status")
    code = json_access.whole(json_access.dig(error, "code"))
    outcome = Outcome.CANCELLED if code == _RPC_CANCELLED else Outcome.ERROR
    message = json_access.error_text(error) or "the row holds neither a response nor an error"
    return Response(key, outcome, error=message)


def _generated(key: str | None, response: Json) -> Response:
    candidate = json_access.dig(response, "candidates", 0)
    finish = json_access.text(json_access.dig(candidate, "finishReason"))
    blocked = json_access.text(json_access.dig(response, "promptFeedback", "blockReason"))
    parts = json_access.items(json_access.dig(candidate, "content", "parts"))
    text = "".join(
        json_access.text(json_access.dig(p, "text")) or "" for p in parts if json_access.dig(p, "thought") is not True
    )
    used, model = _usage(response.get("usageMetadata")), json_access.text(response.get("modelVersion"))
    row_id = json_access.text(response.get("responseId"))
    if blocked or finish in _BLOCKED:
        why = (
            json_access.text(json_access.dig(candidate, "finishMessage"))
            or f"blocked by the vendor: {blocked or finish}"
        )
        return Response(key, Outcome.REFUSED, None, why, used, model, row_id, blocked or finish)
    if not text:
        return Response(key, Outcome.ERROR, None, chat_completions.silent(finish), used, model, row_id, finish)
    return Response(key, Outcome.OK, text, None, used, model, row_id, finish)


def _usage(value: Any) -> Usage | None:
    """Google counts thoughts beside the candidates; our output holds both."""
    if not isinstance(value, dict):
        return None
    thoughts = json_access.count(value.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=json_access.count(value.get("promptTokenCount"))
        + json_access.count(value.get("toolUsePromptTokenCount")),
        cached_tokens=json_access.count(value.get("cachedContentTokenCount")),
        output_tokens=json_access.count(value.get("candidatesTokenCount")) + thoughts,
        reasoning_tokens=thoughts,
    )


@dataclass(frozen=True, slots=True)
class Client:
    """The SDK's client, the HTTP client that it was given, and what the current thread last heard through it."""

    sdk: Any
    http: Any
    base_url: str
    key: Secret
    heard: threading.local

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def call(self, ask: Callable[[], Any]) -> Json:
        """Make one SDK call and return the raw JSON object of its last answer.

        The SDK's own failure to build a model from a success is no error here. Raises what the call raises otherwise,
        and VendorError UNCERTAIN for a success that is no JSON object.
        """
        self.heard.body = None
        try:
            ask()
        except Exception:
            if not isinstance(self.heard.body, dict):
                raise
        if not isinstance(self.heard.body, dict):
            text = "gemini: the answer is no JSON object"
            raise VendorError(text, trouble=Trouble.UNCERTAIN, hint="check the vendor's base URL")
        return self.heard.body


def connect(settings: Settings) -> Client:
    """The SDK's client on an HTTP client of ours: no retries, timeouts, raw JSON kept, the key sent nowhere else."""
    import httpx2
    from google import genai

    key = settings.need_key(NAME)
    base_url = (settings.base_url(NAME) or "https://generativelanguage.googleapis.com").rstrip("/")
    heard = threading.local()

    def listen(response: Any) -> None:
        kind = response.headers.get("content-type", "")
        if response.is_success and kind.startswith("application/json"):
            response.read()
            heard.body = _object(response)

    http = sdk_answers.homebound(
        httpx2.Client,
        base_url,  # an upload URL elsewhere needs no key and gets none
        timeout=httpx2.Timeout(120.0, connect=10.0, write=300.0),
        event_hooks={"response": [listen]},
    )
    options = genai.types.HttpOptions(base_url=base_url, api_version=VERSION, timeout=120_000, httpx_client=http)
    sdk = genai.Client(api_key=key.reveal(), vertexai=False, http_options=options)
    return Client(sdk, http, base_url, key, heard)


def _object(response: Any) -> Json | None:
    try:
        value = response.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def upload(client: Client, job: Job) -> str:
    """Stream the file from disk under a name made from the token, so that a second upload meets the first.

    A name that is taken (409) is our own earlier upload: it is used when it holds the same number of bytes.
    """
    name = remote_name(job.token)
    try:
        _send(client, job, name)
    except Exception as error:
        if explain(error).status != 409:
            raise
        there = client.call(partial(client.sdk.files.get, name=name))
        if json_access.whole(there.get("sizeBytes")) != job.path.stat().st_size or there.get("state") == "FAILED":
            client.sdk.files.delete(name=name)
            _send(client, job, name)
    return _settled(client, name)


def remote_name(token: str) -> str:
    """`files/` and at most 40 of a-z, 0-9 and dash, as the File API wants it."""
    return f"files/batchflow-{hashlib.sha256(token.encode()).hexdigest()[:24]}"


def _send(client: Client, job: Job, name: str) -> None:
    config = {"name": name, "display_name": job.token, "mime_type": "application/jsonl"}
    with job.path.open("rb") as handle:
        client.sdk.files.upload(file=handle, config=config)


def _settled(client: Client, name: str) -> str:
    """Wait until the file can be used. Raises VendorError TRANSIENT while it is still being processed."""
    for pause_s in (0.5, 1.0, 2.0, 4.0, 0.0):
        state = client.call(partial(client.sdk.files.get, name=name)).get("state")
        if state == "FAILED":
            raise VendorError(f"gemini: the file {name} was refused by the vendor", trouble=Trouble.REFUSED)
        if state != "PROCESSING":
            return name
        time.sleep(pause_s)
    raise VendorError(f"gemini: the file {name} is still being processed", trouble=Trouble.TRANSIENT)


def create(client: Client, job: Job) -> str:
    """Create the batch with the token as its display name."""
    config = {"display_name": job.token}
    ask = partial(client.sdk.batches.create, model=job.model, src=job.remote_file, config=config)
    name = json_access.text(client.call(ask).get("name"))
    if name is None:
        raise VendorError("gemini: the answer to the create holds no name", trouble=Trouble.UNCERTAIN)
    return name


def find(client: Client, job: Job) -> Found:
    """Batches with our token as display name; else those on our upload that no other job owns, as candidates.

    Our upload's name is made from a token, so whatever runs on it carries our rows; what failed or was cancelled is
    not worth adopting. No order is documented: every page is read.
    """
    listed = file_batches.pages(NAME, partial(_page, client))
    return file_batches.found(map(_identity, listed), job, "input", void=_WORTHLESS)


def _identity(operation: Json) -> Json:
    """Marks that tell whose batch an operation is, under the names that other vendors use."""
    metadata = operation.get("metadata")
    return {
        "id": operation.get("name"),
        "metadata": {"batchflow": json_access.dig(metadata, "displayName")},
        "input": json_access.dig(metadata, "inputConfig", "fileName"),
        "status": state_word(operation),
    }


def _page(client: Client, token: str) -> tuple[list[Json], str | None]:
    """A page of the project's batches, and the token of the next."""
    config = {"page_size": 100} | ({"page_token": token} if token else {})
    page = client.call(partial(client.sdk.batches.list, config=config))
    rows = [
        json_access.table(operation) for operation in json_access.items(page.get("operations"))
    ]  # absent where there are none
    return rows, json_access.text(page.get("nextPageToken"))


def _operation(client: Client, job: Job) -> Json:
    return client.call(partial(client.sdk.batches.get, name=job.remote_id))


def state_word(operation: Json) -> str:
    """The state as the wire has it, whichever prefix the answer uses."""
    word = (
        json_access.text(json_access.dig(operation, "metadata", "state"))
        or json_access.text(operation.get("state"))
        or "(no status)"
    )
    return _STATE + word.removeprefix("JOB_STATE_") if word.startswith("JOB_STATE_") else word


def poll(client: Client, job: Job) -> Progress:
    """Polls a job. An unknown state counts as waiting, unless the operation says that it is done."""
    operation = _operation(client, job)
    word = state_word(operation)
    phase = STATUSES.get(word, Phase.ENDED if operation.get("done") is True else Phase.WAITING)
    error = operation.get("error")
    message = json_access.error_text(error)
    full = json_access.dig(error, "code") == _RPC_EXHAUSTED or error_mapping.says_queue_full(message)
    return Progress(phase, word, _counts(operation), message, queue_full=full and word == "BATCH_STATE_FAILED")


def _counts(operation: Json) -> Counts:
    """Counts are int64 strings; zeros are left out."""
    stats = json_access.dig(operation, "metadata", "batchStats")
    if not isinstance(stats, dict):
        return Counts()
    done, failed = (
        json_access.count(stats.get("successfulRequestCount")),
        json_access.count(stats.get("failedRequestCount")),
    )
    return Counts(json_access.whole(stats.get("requestCount")), done, failed)


def fetch(client: Client, job: Job) -> Iterator[Download]:
    """The result file, which holds errors too. Raises VendorError UNPUBLISHED for a success that names none yet."""
    operation = _operation(client, job)
    named = json_access.dig(operation, "metadata", "output", "responsesFile") or json_access.dig(
        operation, "response", "responsesFile"
    )
    name = json_access.text(named)
    if name is None:
        if state_word(operation) == "BATCH_STATE_SUCCEEDED":
            raise sdk_answers.unpublished(NAME, "BATCH_STATE_SUCCEEDED")
        return
    yield from sdk_answers.opened("output", partial(_content, client, name))


@contextlib.contextmanager
def _content(client: Client, name: str) -> Iterator[Any]:
    """A result file's open response. Raises VendorError NOT_FOUND for one that is not there, a 403 at Google."""
    from google.genai import errors

    # The SDK's `download` reads into memory or a path; the same request is streamed here.
    url = f"{client.base_url}/{VERSION}/{name}:download"
    headers = {"x-goog-api-key": client.key.reveal()}
    with client.http.stream("GET", url, params={"alt": "media"}, headers=headers) as response:
        if not response.is_success:
            response.read()
            try:
                errors.APIError.raise_for_response(response)
            except errors.APIError as error:
                raise _explain_file(error) from error
        yield response


def cancel(client: Client, job: Job) -> None:
    """Ask the vendor to stop. A batch that has ended is no error."""
    file_batches.cancel(partial(client.sdk.batches.cancel, name=job.remote_id), partial(poll, client, job), explain)


def remove(client: Client, job: Job) -> None:
    """Delete the batch, with its results, and the uploaded file. What is already gone is no error."""
    if job.remote_id:
        sdk_answers.unless_gone(partial(client.sdk.batches.delete, name=job.remote_id), explain)
    if job.remote_file:
        sdk_answers.unless_gone(partial(client.sdk.files.delete, name=job.remote_file), _explain_file)


def _explain_file(error: Exception) -> VendorError:
    """`explain` for our upload: Google answers 403, not 404, for a file that expired, as all do after 48 hours."""
    trouble = explain(error)
    trouble.trouble = Trouble.NOT_FOUND if trouble.status == 403 else trouble.trouble
    return trouble


def explain(error: Exception) -> VendorError:
    """An exception of the SDK or its transport, as ours."""
    return error_mapping.explain(NAME, error)
