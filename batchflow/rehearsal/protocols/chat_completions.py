"""The chat-completions language on the vendor's side: reading requests, writing completions and their rows.

Shared by every rehearsed vendor that speaks it.
"""

from __future__ import annotations

import re
from typing import Any

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked, Beginning, counted
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteJob

NOT_RUN = {Fate.EXPIRED: "batch_expired", Fate.CANCELLED: "batch_cancelled"}


def ask(line: Json, model: str | None = None) -> Asked:
    """A line {custom_id, body} as a request. Raises Refusal for one that validation would refuse.

    model: the job's, where the vendor sets it there instead of in the body.
    """
    body = line.get("body")
    if not isinstance(body, dict) or not isinstance(line.get("custom_id"), str):
        raise Refusal(400, "Missing required parameter: custom_id or body.", "missing_required_parameter")
    served = model or body.get("model")
    if not isinstance(served, str):
        raise Refusal(400, "Missing required parameter: body.model.", "missing_required_parameter")
    turns = [turn for turn in body.get("messages", []) if isinstance(turn, dict)]
    parts = [part for turn in turns if turn.get("role") == "user" for part in content(turn.get("content"))]
    system = "\n".join(text for turn in turns if turn.get("role") != "user" for text in texts(turn.get("content")))
    wanted = body.get("response_format")
    schema = wanted.get("json_schema", {}).get("schema") if isinstance(wanted, dict) else None
    return Asked(
        line["custom_id"],
        served,
        system,
        tuple(part["text"] for part in parts if "text" in part),
        images=sum(1 for part in parts if "image_url" in part),
        schema=schema,
        thinks=body.get("reasoning_effort") not in {None, "none"},
        beginning=kept_by_itself(served, system),
    )


def kept_by_itself(model: str, system: str) -> Beginning:
    """The beginning that a vendor keeps without being asked: the system text, read in steps of 128 tokens.

    OpenAI bills writes from gpt-6 on, the others' cost nothing (docs/money.md).
    """
    written = "5m" if model.startswith("gpt-6") else ""
    return Beginning(
        files.digest(f"{model} {system}".encode("utf-8", "replace")), counted(model, system), step=128, written=written
    )


def content(value: Any) -> list[Json]:
    """Message content as parts, whichever of its two shapes it has."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts of message content."""
    return [part["text"] for part in content(value) if isinstance(part.get("text"), str)]


def completion(request: Asked, fate: Fate, answered: Answered) -> Json:
    """A chat completion; refused ones carry the model's refusal."""
    refused = fate is Fate.REFUSED
    message = {
        "role": "assistant",
        "content": None if refused else answered.text,
        "refusal": "I cannot help with that." if refused else None,
    }
    return {
        "id": f"chatcmpl-{request.custom_id}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage(answered),
    }


def usage(answered: Answered) -> Json:
    """Chat usage; reasoning is inside completion_tokens."""
    return {
        "prompt_tokens": answered.input_tokens,
        "completion_tokens": answered.output_tokens,
        "total_tokens": answered.input_tokens + answered.output_tokens,
        "prompt_tokens_details": cache_details(answered),
        "completion_tokens_details": {"reasoning_tokens": answered.reasoning_tokens},
    }


def cache_details(answered: Answered) -> Json:
    """Use of a cache by a prompt; writes are told where they are billed."""
    written = {"cache_write_tokens": answered.written_tokens} if answered.written_tokens else {}
    return {"cached_tokens": answered.cached_tokens, **written}


def row(request: Asked, job: RemoteJob, fate: Fate, body: Json) -> tuple[str, Json]:
    """A row of an output or error file around a completion (or a body of another endpoint)."""
    line: Json = {"id": f"batch_req_{job.id}_{_short(request.custom_id)}", "custom_id": request.custom_id}
    if fate in NOT_RUN:
        error = {"code": NOT_RUN[fate], "message": f"This request was not run: {NOT_RUN[fate]}."}
        return "error", line | {"response": None, "error": error}
    if fate is Fate.ERROR:
        status, message = job.row_error(request)
        kind = "invalid_request_error" if status < 500 else "server_error"
        refused = {"message": message, "type": kind, "param": None, "code": "rehearsed"}
        response = {"status_code": status, "request_id": f"req_{job.id}", "body": {"error": refused}}
        return "error", line | {"response": response, "error": None}
    return "output", line | {
        "response": {"status_code": 200, "request_id": f"req_{job.id}", "body": body},
        "error": None,
    }


def _short(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)[:24]
