"""Anthropic's message batches, rehearsed (Message Batches reference, SDK 2.11.0)."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from math import ceil
from typing import Any

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked, Beginning, counted
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteJob, Site, Stand
from batchflow.rehearsal.protocols import chat_completions
from batchflow.rehearsal.routes import Call, Reply, Route, bearer, page

NAME = "anthropic"
SUFFIX = ""
DAY_S = 86_400
PAUSE_S = 10  # as recorded in every answer about a batch that runs
VERSION = "2026-10-21"  # from here on the key is a bearer's, and temperature, top_p and top_k are gone
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SAMPLING = {"temperature", "top_p", "top_k"}
_FROM_5_ON = re.compile(r"claude-[a-z]+-([5-9]|[1-9][0-9])(-|$)")
_ALWAYS_THINK = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1")
# Tokens of the shortest beginning that is kept (prompt caching guide, 2026-11-28); 4,096 for other models.
_CACHED_FROM = {
    "claude-opus-5": 512, "claude-fable-5": 512, "claude-sonnet-5": 1_024, "claude-sonnet-4": 1_024,
    "claude-opus-4-8": 1_024,
}  # fmt: skip
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def key(call: Call) -> str:
    """The key: `x-api-key` and no Authorization before `VERSION`; a bearer's since, or `x-api-key` as ever."""
    own = call.headers.get("x-api-key", "")
    if call.headers.get("anthropic-version", "") >= VERSION:
        return bearer(call) or own
    return "" if "authorization" in call.headers else own


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body; the error's type follows from the status."""
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_rehearsal"}


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One entry of `requests`; its parameters are checked when it runs, so one that is wrong ends as an errored row."""
    params: Json = line["params"] if isinstance(line.get("params"), dict) else {}
    turns = [turn for turn in params.get("messages", []) if isinstance(turn, dict)]
    parts = [
        part for turn in turns if turn.get("role") == "user" for part in chat_completions.content(turn.get("content"))
    ]
    config = params.get("output_config", {})
    job.model = job.model or str(params.get("model"))
    return Asked(
        str(line.get("custom_id")),
        str(params.get("model")),
        "\n".join(chat_completions.texts(params.get("system"))),
        tuple(part["text"] for part in parts if part.get("type") == "text"),
        images=sum(1 for part in parts if part.get("type") == "image"),
        schema=config.get("format", {}).get("schema"),
        thinks="effort" in config or params.get("thinking", {}).get("type") == "enabled",
        wrong=_wrong(params, str(job.extra.get("version"))),
        beginning=_beginning(params, parts),
    )


def _beginning(params: Json, parts: list[Json]) -> Beginning | None:
    """The beginning up to the last block that asks for a cache; None where none does."""
    system = chat_completions.content(params.get("system"))
    blocks = [*system, *parts]
    marked = [place for place, block in enumerate(blocks) if isinstance(block.get("cache_control"), dict)]
    if not marked:
        return None
    begun, control = blocks[: marked[-1] + 1], blocks[marked[-1]]["cache_control"]
    is_long = control.get("ttl") == "1h"
    bare = [{name: value for name, value in block.items() if name != "cache_control"} for block in begun]
    model = str(params.get("model"))
    least = next((tokens for name, tokens in _CACHED_FROM.items() if model.startswith(name)), 4_096)
    return Beginning(
        files.digest(files.dumps([model, bare])),
        counted(model, *(block["text"] for block in begun if block.get("type") == "text")),
        sum(block.get("type") == "image" for block in begun),
        least,
        3_600.0 if is_long else 300.0,
        written="1h" if is_long else "5m",
    )


def _wrong(params: Json, version: str) -> str:
    """Returns the error of a message with these parameters; "" where it could.

    From the versioning page (2026-10-21), the migration guides of the 5 and 5.5 models, the batch guide, and the
    SDK's ThinkingConfigEnabledParam.
    """
    model, thinking = str(params.get("model")), params.get("thinking", {}).get("type")
    budget = params.get("thinking", {}).get("budget_tokens")
    is_new = _FROM_5_ON.match(model) is not None
    gone = sorted(_SAMPLING & set(params)) if is_new or version >= VERSION else []
    turns = [turn for turn in params.get("messages", []) if isinstance(turn, dict)]
    limit = params.get("max_tokens")
    reasons = {
        f"{', '.join(gone)}: no longer supported": bool(gone),
        f"thinking.budget_tokens: not supported by {model}": is_new and thinking == "enabled",
        "thinking.budget_tokens: has to be 1024 or more and below max_tokens": thinking == "enabled"
        and not (type(budget) is int and type(limit) is int and 1024 <= budget < limit),
        "temperature: may only be set to 1 when thinking is enabled": thinking == "enabled"
        and params.get("temperature", 1) != 1,
        f"thinking: cannot be disabled for {model}": thinking == "disabled" and model.startswith(_ALWAYS_THINK),
        f"messages: {model} takes no prefill": is_new and [turn.get("role") for turn in turns][-1:] == ["assistant"],
        "max_tokens: has to be a whole number above 0": type(limit) is not int or limit < 1,
        "stream and speed: not supported in batches": bool(params.get("stream")) or "speed" in params,
    }
    return next((why for why, holds in reasons.items() if holds), "")


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row; every fate has its own type of result."""
    if fate is Fate.ERROR:
        error = refusal(*job.row_error(request), None)
        return "output", {"custom_id": request.custom_id, "result": {"type": "errored", "error": error}}
    if fate in {Fate.EXPIRED, Fate.CANCELLED}:
        word = "expired" if fate is Fate.EXPIRED else "canceled"
        return "output", {"custom_id": request.custom_id, "result": {"type": word}}
    message = _message(request, answered, refused=fate is Fate.REFUSED)
    return "output", {"custom_id": request.custom_id, "result": {"type": "succeeded", "message": message}}


def _message(request: Asked, answered: Answered, *, refused: bool) -> Json:
    thought = [{"type": "thinking", "thinking": "A rehearsed thought.", "signature": "c2ln"}] if request.thinks else []
    content = [] if refused else [{"type": "text", "text": answered.text}]
    return {
        "id": f"msg_{request.custom_id}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [*thought, *content],
        "stop_reason": "refusal" if refused else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": answered.input_tokens - answered.cached_tokens - answered.written_tokens,
            "cache_creation_input_tokens": answered.written_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": answered.written_tokens - answered.written_1h_tokens,
                "ephemeral_1h_input_tokens": answered.written_1h_tokens,
            },
            "cache_read_input_tokens": answered.cached_tokens,
            "output_tokens": answered.output_tokens,
            "output_tokens_details": {"thinking_tokens": answered.reasoning_tokens},
            "service_tier": "batch",
        },
    }


# -- batches


def create(site: Site, call: Call) -> Reply:
    """POST /v1/messages/batches: the rows come in the body; their ids are checked at once, their parameters later."""
    requests = call.json().get("requests")
    if not isinstance(requests, list) or not requests:
        raise Refusal(400, "requests: List should have at least 1 item after validation")
    seen: set[str] = set()
    for entry in requests:
        _checked(entry, seen)
    held = site.keep(NAME, b"".join(files.dumps(entry) + b"\n" for entry in requests), purpose="inline")
    job = site.create(
        NAME,
        job_id=f"msgbatch_{uuid.uuid4().hex[:24]}",
        input_id=held.id,
        model="",
        endpoint="/v1/messages",
        tags={},
        extra={"version": call.headers.get("anthropic-version", "")},
    )
    return Reply(_batch(site, job, call.base))


def _checked(entry: Any, seen: set[str]) -> None:
    custom_id = entry.get("custom_id") if isinstance(entry, dict) else None
    if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
        raise Refusal(400, "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
    if custom_id in seen:
        raise Refusal(400, f"custom_id must be unique within a batch. Duplicate custom_id found: {custom_id}")
    seen.add(custom_id)


def _batch(site: Site, job: RemoteJob, base: str) -> Json:
    tally = site.counts(job) if job.ended else None
    wrong = job.ended and job.planned("wrong_counts") is not None
    running = 0 if job.ended or wrong else job.rows
    is_named = job.ended and (job.hidden == 0 or "output" in job.named)
    url = job.extra.get("results_url") or f"{base}/v1/messages/batches/{job.id}/results"
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": "ended" if job.ended else _word(job),
        "request_counts": {
            "processing": running,
            "succeeded": tally.ok if tally else 0,
            "errored": tally.error if tally else 0,
            "canceled": tally.cancelled if tally else 0,
            "expired": tally.expired if tally else 0,
        },
        "created_at": _stamp(job.created_at),
        "expires_at": _stamp(job.created_at + DAY_S),
        "ended_at": _stamp(job.ended_at) if job.ended_at else None,
        "archived_at": job.extra.get("archived_at"),
        "cancel_initiated_at": None,
        "results_url": url if is_named else None,
    }


def _word(job: RemoteJob) -> str:
    return "canceling" if job.stand is Stand.CANCELLING else "in_progress"


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def batches(site: Site, call: Call) -> Reply:
    """GET /v1/messages/batches, newest first."""
    limit = min(call.number("limit", 20), 1000)
    rows, more = page(site.listed(NAME), limit, call.first("after_id"), lambda job: str(job.id))
    data = [_batch(site, job, call.base) for job in rows]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return Reply({"data": data, "has_more": more, **ends})


def batch(site: Site, call: Call) -> Reply:
    """GET /v1/messages/batches/{id}; one that runs asks to be left alone for a while."""
    job = site.look(NAME, call.path["id"])
    pause = {} if job.ended else {"retry-after": str(_pause(site, job))}
    return Reply(_batch(site, job, call.base), headers=pause)


def _pause(site: Site, job: RemoteJob) -> int:
    """Seconds until the next look: as recorded, but never longer than the rehearsed batch has left to run."""
    left = job.created_at + site.pace.seconds - site.clock()
    return max(0, min(PAUSE_S, ceil(left)))


def results(site: Site, call: Call) -> Reply:
    """GET /v1/messages/batches/{id}/results; 404 before the end."""
    job = site.job(NAME, call.path["id"])
    if "output" not in job.named:
        raise Refusal(404, "The batch has no results available.")
    return Reply(site.path(NAME, job.named["output"]), media="application/x-jsonl")


def cancel(site: Site, call: Call) -> Reply:
    """POST /v1/messages/batches/{id}/cancel."""
    return Reply(_batch(site, site.cancel(NAME, call.path["id"]), call.base))


def delete(site: Site, call: Call) -> Reply:
    """DELETE /v1/messages/batches/{id}, once it has ended."""
    job = site.job(NAME, call.path["id"])
    if not job.ended:
        raise Refusal(400, "Message Batches can only be deleted once they've finished processing.")
    site.forget(NAME, job.id)
    return Reply({"id": job.id, "type": "message_batch_deleted"})


ROUTES = (
    Route("POST", "/v1/messages/batches", "create", create),
    Route("GET", "/v1/messages/batches", "list", batches),
    Route("GET", "/v1/messages/batches/{id}", "poll", batch),
    Route("GET", "/v1/messages/batches/{id}/results", "download", results),
    Route("POST", "/v1/messages/batches/{id}/cancel", "cancel", cancel),
    Route("DELETE", "/v1/messages/batches/{id}", "delete", delete),
)
