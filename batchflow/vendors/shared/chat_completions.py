"""The chat-completions language that several vendors share: building its bodies, reading its rows. All pure.

A vendor file says what differs by `Dialect`; the rest is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchflow import files
from batchflow.records import LIMIT_REACHED, Capabilities, Image, Json, Outcome, Part, Request, Response, Schema, Usage
from batchflow.vendors.base import option_refused
from batchflow.vendors.shared import json_access
from batchflow.vocabulary import CANCELLED_ROW

CHAT = "/v1/chat/completions"

# Row errors that say that the row never ran, or that a filter stopped it; anything else is an error.
_NOT_RUN = {
    "batch_expired": Outcome.EXPIRED,
    "expired": Outcome.EXPIRED,
    CANCELLED_ROW: Outcome.CANCELLED,
    "batch_canceled": Outcome.CANCELLED,
    "cancelled": Outcome.CANCELLED,
    "canceled": Outcome.CANCELLED,
    "content_filter": Outcome.REFUSED,
    "content_policy_violation": Outcome.REFUSED,
}


def picture(image: Image) -> Json:
    """A picture as OpenAI, Together and Groq take it: an object around the data URL."""
    return {"type": "image_url", "image_url": {"url": image.url}}


def strict_format(schema: Schema) -> Json:
    """The `response_format` of a strict JSON schema."""
    return {
        "type": "json_schema",
        "json_schema": {"name": schema.name, "strict": True, "schema": schema.schema},
    }


@dataclass(frozen=True, slots=True)
class Dialect:
    """Differences between the vendors that speak this format.

    token_field: the usual field of the token limit; a capability row may name another. effort_field: where
    --thinking-level goes. seed_field: where --seed goes. picture: a picture as a content part.
    """

    token_field: str = "max_completion_tokens"  # noqa: S105 - a JSON key
    effort_field: str = "reasoning_effort"
    seed_field: str = "seed"
    picture: Callable[[Image], Json] = picture


OPENAI = Dialect()


def token_limit(request: Request, can: Capabilities, default: int | None = None) -> int | None:
    """The token limit to send, raised to the model's floor where thinking counts against it; None: not sent."""
    limit = request.params.max_tokens or default
    return None if limit is None else max(limit, can.min_tokens)


def level(request: Request, can: Capabilities) -> str | None:
    """The thinking level to send: the one asked for, else the model table's; None: the field is left out."""
    params = request.params
    if params.thinking_level is not None or params.thinking_budget is not None:
        return params.thinking_level  # the table's word would contradict a budget
    return can.level or None


def content(parts: tuple[Part, ...], dialect: Dialect = OPENAI) -> list[Json]:
    """The content parts of one user turn."""
    return [{"type": "text", "text": part} if isinstance(part, str) else dialect.picture(part) for part in parts]


def messages(request: Request, dialect: Dialect = OPENAI) -> list[Json]:
    """System message (with the schema told in words) and one user turn."""
    system = json_access.told(request)
    turns: list[Json] = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": content(request.parts, dialect)}]


def body(request: Request, can: Capabilities, dialect: Dialect = OPENAI) -> Json:
    """A chat-completions body. Only what was asked for, or the model table wants, is sent; `check` refused the rest."""
    params = request.params
    built: Json = {"model": request.model, "messages": messages(request, dialect)}
    if (limit := token_limit(request, can)) is not None:
        built[can.token_field or dialect.token_field] = limit
    if params.temperature is not None:
        built["temperature"] = params.temperature
    if params.seed is not None:
        built[dialect.seed_field] = params.seed
    if (effort := level(request, can)) is not None:
        built[dialect.effort_field] = effort
    if request.schema is not None and can.schema != "prompt":
        built["response_format"] = strict_format(request.schema)
    return built


def line(request: Request, can: Capabilities, endpoint: str = CHAT, dialect: Dialect = OPENAI) -> Json:
    """One line of an OpenAI-style batch file: custom_id, method, url, body."""
    return {
        "custom_id": request.custom_id,
        "method": "POST",
        "url": endpoint,
        "body": body(request, can, dialect),
    }


def check(vendor: str, request: Request, can: Capabilities, *, budget: bool = False) -> None:
    """Refuse options that this model does not take by its capability row. budget: the vendor has such a field.

    Raises UsageError naming the vendor, the option and what would work. Each vendor's `check` calls it first.
    """
    model, params = request.model, request.params

    def row(key: str) -> str:
        return f"or add {key} to [models.{vendor}.{model!r}] in batchflow.toml if the model takes it"

    if request.has_image and can.images is False:
        works = f"choose --split llm, {row('images = true')}"
        raise option_refused(vendor, "a picture", f"{model} reads text only", works)
    if params.temperature is not None and not can.sampling:
        works = f"leave it out, {row('sampling = true')}"
        raise option_refused(vendor, "--temperature", f"{model} takes no sampling options", works)
    if params.seed is not None and not can.seed:
        raise option_refused(vendor, "--seed", f"{model} takes no seed", f"leave it out, {row('seed = true')}")
    if (wish := params.thinking_level) is not None and wish not in can.levels:
        works = f"use one of {', '.join(can.levels)}" if can.levels else "leave it out"
        why, more = f"{model} does not take the level {wish!r}", row(f"levels = {[*can.levels, wish]}")
        raise option_refused(vendor, "--thinking-level", why, f"{works}, {more}")
    if params.thinking_budget is not None and not (budget and can.budget):
        works = "use --thinking-level" if can.levels else "leave it out"
        more = f", {row('budget = true')}" if budget else ""  # no row helps where the vendor has no such field
        raise option_refused(vendor, "--thinking-budget", f"{model} takes no budget", f"{works}{more}")
    if params.thinking_budget is not None and params.thinking_level is not None:
        raise option_refused(vendor, "--thinking-budget", "a level is set as well", "use one of the two")


def check_choice(vendor: str, option: str, value: str | None, accepted: tuple[str, ...]) -> None:
    """Refuse an endpoint or window that the vendor does not have; None stands for its default."""
    if value is not None and value not in accepted:
        works = f"use {' or '.join(accepted)}" if accepted else "leave it out"
        raise option_refused(vendor, f"{option} {value}", "the vendor does not have it", works)


def decode(line: Json) -> Response:
    """One row {custom_id, response {status_code, body}, error} of an output or error file."""
    return _ordinary(line) or decode_any(line)


def _ordinary(row: Json) -> Response | None:
    """Decodes an answer that is as documented, as `decode_any` does; None for every other row.

    Nearly all rows are so, and reading them without asking at each step is several times faster.
    """
    try:
        response, custom_id, row_id = row["response"], row["custom_id"], row["id"]
        body = response["body"]
        choice = body["choices"][0]
        message, finish, model = choice["message"], choice["finish_reason"], body["model"]
        content = message["content"]
    except (KeyError, IndexError, TypeError):
        return None
    if not type(custom_id) is type(row_id) is type(content) is type(finish) is type(model) is str:
        return None
    if not (custom_id and row_id and content and finish and model) or finish == "content_filter":
        return None
    if response.get("status_code") != 200 or row.get("error") or message.get("refusal"):
        return None
    return Response(custom_id, Outcome.OK, content, None, usage(body.get("usage")), model, row_id, finish)


def unpacked(value: Any) -> Any:
    """A value that some servers send as JSON text, as itself."""
    if not isinstance(value, str):
        return value
    try:
        return files.loads(value)
    except ValueError:
        return value


def body_of(row: Json) -> Any:
    """The body of a row's response; OGX sends it as JSON text."""
    return unpacked(json_access.dig(row, "response", "body"))


def error_of(row: Json) -> Any:
    """Returns the text under `error` of a row or body; None where that says nothing: `{}`, `""`, `{"code": null}`."""
    error = row.get("error")
    return error if json_access.error_text(error) else None


def decode_any(row: Json) -> Response:
    """`decode` for a row of any shape."""
    custom_id, row_id = json_access.text(row.get("custom_id")), json_access.text(row.get("id"))
    inside, error = body_of(row), error_of(row)
    status = json_access.whole(json_access.dig(row, "response", "status_code"))
    failed = (status is not None and status >= 400) or not isinstance(inside, dict)
    if error or failed:
        return _failed(custom_id, row_id, status, error or inside)
    return answer(custom_id, row_id, inside)


def _failed(custom_id: str | None, row_id: str | None, status: int | None, error: Any) -> Response:
    inner = json_access.dig(error, "error") or error
    code = (
        json_access.text(json_access.dig(inner, "code")) or json_access.text(json_access.dig(inner, "type")) or ""
    ).lower()
    message = json_access.error_text(inner) or "the row holds neither a response nor an error"
    why = (
        f"HTTP {status}: {message.removeprefix(f'{status}: ')}" if status else message
    )  # vLLM's code is the status again
    return Response(custom_id, _NOT_RUN.get(code, Outcome.ERROR), error=why, row_id=row_id)


def answer(custom_id: str | None, row_id: str | None, completion: Json) -> Response:
    """A chat completion as a Response: empty choices, refusals and answers cut before their first word included."""
    used, model = usage(completion.get("usage")), json_access.text(completion.get("model"))
    choice = json_access.dig(completion, "choices", 0)
    finish = json_access.text(json_access.dig(choice, "finish_reason"))
    message = json_access.table(json_access.dig(choice, "message"))
    text, refusal = joined(message.get("content")), refused(message)
    if refusal or finish == "content_filter":
        why = refusal or "stopped by the vendor's content filter"
        return Response(custom_id, Outcome.REFUSED, None, why, used, model, row_id, finish)
    if not text:
        return Response(custom_id, Outcome.ERROR, None, silent(finish), used, model, row_id, finish)
    return Response(custom_id, Outcome.OK, text, None, used, model, row_id, finish)


def silent(finish: str | None) -> str:
    """Describes the error of an answer without text."""
    if finish and finish.lower() in LIMIT_REACHED:
        return f"no text: the token limit was reached before the answer began ({finish}); raise --max-tokens"
    return f"no text in the answer (stopped: {finish or 'the vendor does not say why'})"


def joined(value: Any) -> str | None:
    """The answer's text: a string, or the text parts of a list joined; thinking and other parts are left out."""
    if isinstance(value, str):
        return value or None
    texts = [
        json_access.text(json_access.dig(part, "text"))
        for part in json_access.items(value)
        if json_access.dig(part, "type") == "text"
    ]
    return "".join(filter(None, texts)) or None


def refused(message: Json) -> str | None:
    """The model's own words for declining, from `refusal` or from a content part of that type."""
    parts = [json_access.text(json_access.dig(part, "refusal")) for part in json_access.items(message.get("content"))]
    return json_access.text(message.get("refusal")) or next(filter(None, parts), None)


def usage(value: Any) -> Usage | None:
    """Chat usage in our definition: completion_tokens already holds the reasoning; None where nothing was said."""
    value = unpacked(value)
    if not isinstance(value, dict):
        return None
    details = json_access.table(value.get("prompt_tokens_details"))
    generated = json_access.table(value.get("completion_tokens_details"))
    return Usage(  # input, cached, output, reasoning, written
        json_access.count(value.get("prompt_tokens")),
        json_access.count(details.get("cached_tokens") or value.get("num_cached_tokens")),
        json_access.count(value.get("completion_tokens")),
        json_access.count(generated.get("reasoning_tokens") or value.get("reasoning_tokens")),
        json_access.count(details.get("cache_write_tokens")),
    )
