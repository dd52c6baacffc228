"""OpenAI's files and batches, rehearsed: chat completions and responses (Batch API reference, SDK 3.52.0).

Vendors that speak OpenAI's protocol (`settings.Access.speaks`) are rehearsed by it too, each with memory of its own.
"""

from __future__ import annotations

import uuid
from typing import Any

from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteFile, RemoteJob, Site
from batchflow.rehearsal.protocols import chat_completions, file_api
from batchflow.rehearsal.routes import Call, Reply, Route, bearer, page

SUFFIX = "/v1"
ENDPOINTS = {"/v1/chat/completions", "/v1/responses"}
MONTH_S = 2_592_000


key = bearer


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One line; its url has to be the batch's endpoint, and its model that of the first line."""
    if line.get("url") != job.endpoint:
        raise Refusal(400, "The URL provided for this request does not match the batch endpoint.", "invalid_url")
    request = _ask_responses(line) if job.endpoint == "/v1/responses" else chat_completions.ask(line)
    job.model = job.model or request.model
    if request.model != job.model:
        raise Refusal(400, f"Expected all requests to use {job.model}.", "mismatched_model")
    return request


def _ask_responses(line: Json) -> Asked:
    body = line.get("body")
    if not isinstance(body, dict) or not isinstance(line.get("custom_id"), str):
        raise Refusal(400, "Missing required parameter: custom_id or body.", "missing_required_parameter")
    parts = [part for turn in body.get("input", []) for part in turn.get("content", [])]
    return Asked(
        line["custom_id"],
        str(body.get("model")),
        body.get("instructions", ""),
        tuple(part["text"] for part in parts if "text" in part),
        images=sum(1 for part in parts if part.get("type") == "input_image"),
        schema=body.get("text", {}).get("format", {}).get("schema"),
        thinks=body.get("reasoning", {}).get("effort", "none") != "none",
        beginning=chat_completions.kept_by_itself(str(body.get("model")), body.get("instructions", "")),
    )


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row, of either endpoint."""
    is_responses = job.endpoint == "/v1/responses"
    body = _response(request, fate, answered) if is_responses else chat_completions.completion(request, fate, answered)
    return chat_completions.row(request, job, fate, body)


def _response(request: Asked, fate: Fate, answered: Answered) -> Json:
    content = {"type": "output_text", "text": answered.text, "annotations": []}
    part = {"type": "refusal", "refusal": "I cannot help with that."} if fate is Fate.REFUSED else content
    return {
        "id": f"resp_{request.custom_id}",
        "object": "response",
        "status": "completed",
        "model": request.model,
        "error": None,
        "incomplete_details": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]},
        ],
        "usage": {
            "input_tokens": answered.input_tokens,
            "input_tokens_details": chat_completions.cache_details(answered),
            "output_tokens": answered.output_tokens,
            "output_tokens_details": {"reasoning_tokens": answered.reasoning_tokens},
            "total_tokens": answered.input_tokens + answered.output_tokens,
        },
    }


# -- files


def upload(site: Site, call: Call) -> Reply:
    """POST /files."""
    if call.upload is None or call.form.get("purpose") != "batch":
        raise Refusal(400, "'file' and 'purpose' are required.")
    if not call.upload.name.endswith(".jsonl"):
        raise Refusal(400, f"Invalid file format for Batch API. Must be .jsonl: {call.upload.name}")
    file = site.keep(call.vendor, call.upload.path, id=f"file-{uuid.uuid4().hex[:24]}", name=call.upload.name)
    return Reply(_file(file))


def _file(held: RemoteFile) -> Json:
    created = int(held.created_at)
    return {
        "object": "file",
        "id": held.id,
        "purpose": held.purpose,
        "filename": held.name,
        "bytes": held.size,
        "created_at": created,
        "expires_at": created + MONTH_S,
        "status": "processed",
        "status_details": None,
    }


def list_files(site: Site, call: Call) -> Reply:
    """GET /files."""
    rows, more = page(site.files(call.vendor), call.number("limit", 10_000), call.first("after"), _id)
    return Reply({"object": "list", "data": [_file(held) for held in rows], "has_more": more})


# -- batches


def create(site: Site, call: Call) -> Reply:
    """POST /batches."""
    body = call.json()
    if body.get("endpoint") not in ENDPOINTS or body.get("completion_window") != "24h":
        raise Refusal(400, "Invalid value for endpoint or completion_window.")
    input_id = str(body.get("input_file_id"))
    try:
        site.file(call.vendor, input_id)
    except Refusal:
        raise Refusal(400, f"Cannot find file {input_id}, or your project does not have access to it.") from None
    job = site.create(
        call.vendor,
        job_id=f"batch_{uuid.uuid4().hex}",
        input_id=input_id,
        model="",
        endpoint=str(body["endpoint"]),
        tags=body.get("metadata") or {},
    )
    return Reply(_batch(site, job))


word = file_api.word


def _batch(site: Site, job: RemoteJob) -> Json:
    tally, created, status = site.counts(job), int(job.created_at), word(job)
    ended = int(job.ended_at) if job.ended_at else None
    data = [{"code": job.error_code, "message": job.error, "param": None, "line": None}]
    errors = {"object": "list", "data": data} if job.error else None
    stamps: Json = {
        f"{name}_at": ended if name == status else None for name in ("completed", "failed", "expired", "cancelled")
    }
    counts = {"total": job.rows if job.polls else 0, "completed": tally.ok, "failed": tally.error}
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": job.model,
        "errors": errors,
        "input_file_id": job.input_id,
        "completion_window": "24h",
        "status": status,
        "output_file_id": job.named.get("output"),
        "error_file_id": job.named.get("error"),
        "created_at": created,
        "in_progress_at": created if job.polls else None,
        "expires_at": created + 86_400,
        "finalizing_at": None,
        "cancelling_at": None,
        **stamps,
        "request_counts": None if job.planned("no_counts") else counts,
        "metadata": job.tags or None,
    }


def batches(site: Site, call: Call) -> Reply:
    """GET /batches, newest first."""
    rows, more = page(site.listed(call.vendor), min(call.number("limit", 20), 100), call.first("after"), _id)
    data = [_batch(site, job) for job in rows]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return Reply({"object": "list", "data": data, "has_more": more, **ends})


def _id(record: Any) -> str:
    return str(record.id)


ROUTES = (
    Route("POST", "/v1/files", "upload", upload),
    Route("GET", "/v1/files", "list", list_files),
    Route("GET", "/v1/files/{id}", "stat", file_api.file(_file)),
    Route("GET", "/v1/files/{id}/content", "download", file_api.content),
    Route("DELETE", "/v1/files/{id}", "delete", file_api.delete),
    Route("POST", "/v1/batches", "create", create),
    Route("GET", "/v1/batches", "list", batches),
    Route("GET", "/v1/batches/{id}", "poll", file_api.job(_batch)),
    Route("POST", "/v1/batches/{id}/cancel", "cancel", file_api.cancel(_batch)),
)
