"""Mistral's files and batch jobs, rehearsed (SDK 3.7.0, platform-docs-public@222f4ba, recorded result files).

The model stands on the job and not in the rows, lists are paged by number, downloads have to be octet streams for the
SDK to take them, and a thinking model's content is a list of chunks.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteFile, RemoteJob, Site, Stand
from batchflow.rehearsal.protocols import chat_completions, file_api
from batchflow.rehearsal.routes import Call, Reply, Route, bearer

NAME = "mistral"
SUFFIX = ""
ENDPOINT = "/v1/chat/completions"
WEEK_HOURS = 168
PAGE = 100


key = bearer


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body; 422 has the validator's shape."""
    if status == 422:
        return {"detail": [{"type": "value_error", "loc": ["body"], "msg": message, "input": None}]}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One line, which needs no model of its own; no batch was seen to tell what a cache did."""
    return replace(chat_completions.ask(line, job.model), beginning=None)


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row; usage has no details here."""
    body = chat_completions.completion(request, fate, answered)
    body["usage"] = {name: body["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    message = body["choices"][0]["message"] | {"tool_calls": None}
    if request.thinks and fate is Fate.OK:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "A rehearsed thought."}], "closed": True}
        message["content"] = [thought, {"type": "text", "text": answered.text}]
    body["choices"][0]["message"] = message
    kind, line = chat_completions.row(request, job, fate, body)
    if isinstance(line["response"], dict):
        line["response"].pop("request_id")
    return kind, line


# -- files


def upload(site: Site, call: Call) -> Reply:
    """POST /v1/files."""
    if call.upload is None or call.form.get("purpose") != "batch":
        raise Refusal(422, "file and purpose=batch are required")
    file = site.keep(NAME, call.upload.path, id=str(uuid.uuid4()), name=call.upload.name)
    return Reply(_file(file))


def _file(held: RemoteFile) -> Json:
    samples = {"batch_output": "batch_result", "batch_error": "batch_error"}
    return {
        "id": held.id,
        "object": "file",
        "bytes": held.size,
        "created_at": int(held.created_at),
        "filename": held.name,
        "purpose": "batch",
        "sample_type": samples.get(held.purpose, "batch_request"),
        "source": "mistral" if held.purpose in samples else "upload",
        "num_lines": None,
        "mimetype": "application/jsonl",
        "signature": None,
        "expires_at": None,
        "visibility": "workspace",
    }


def list_files(site: Site, call: Call) -> Reply:
    """GET /v1/files."""
    held = site.files(NAME)
    rows = _numbered(held, call)
    return Reply({"object": "list", "data": [_file(one) for one in rows], "total": len(held)})


def _numbered(held: list[Any], call: Call) -> list[Any]:
    size = call.number("page_size", PAGE)
    start = call.number("page", 0) * size
    return held[start : start + size]


# -- jobs


def create(site: Site, call: Call) -> Reply:
    """POST /v1/batch/jobs, from one uploaded file."""
    body = call.json()
    inputs, hours = body.get("input_files"), body.get("timeout_hours", 24)
    if body.get("endpoint") != ENDPOINT or not isinstance(inputs, list) or len(inputs) != 1:
        raise Refusal(422, "endpoint and one entry in input_files are required")
    if not isinstance(body.get("model"), str) or not isinstance(hours, int) or not 0 < hours < WEEK_HOURS:
        raise Refusal(422, "model is required, and timeout_hours has to be below 168")
    job = site.create(
        NAME,
        job_id=str(uuid.uuid4()),
        input_id=str(inputs[0]),
        model=body["model"],
        endpoint=ENDPOINT,
        tags=body.get("metadata") or {},
        extra={"hours": hours},
    )
    return Reply(_job(site, job))


_WORDS = {
    Stand.CANCELLING: "CANCELLATION_REQUESTED",
    Stand.COMPLETED: "SUCCESS",
    Stand.FAILED: "FAILED",
    Stand.EXPIRED: "TIMEOUT_EXCEEDED",
    Stand.CANCELLED: "CANCELLED",
}


def word(job: RemoteJob) -> str:
    """The vendor's word for where a job stands."""
    return file_api.word_of(job, _WORDS, "QUEUED", "RUNNING")


def _job(site: Site, job: RemoteJob) -> Json:
    tally = site.counts(job)
    return {
        "id": job.id,
        "object": "batch",
        "input_files": [job.input_id],
        "metadata": job.tags or None,
        "endpoint": job.endpoint,
        "model": job.model,
        "agent_id": None,
        "output_file": job.named.get("output"),
        "error_file": job.named.get("error"),
        "errors": [{"message": job.error, "count": 1}] if job.error else [],
        "status": word(job),
        "created_at": int(job.created_at),
        "started_at": int(job.created_at) if job.polls else None,
        "completed_at": int(job.ended_at) if job.ended_at else None,
        "total_requests": job.rows if job.polls else 0,  # as recorded: 0 in the answer to the create
        "completed_requests": tally.ok + tally.error,
        "succeeded_requests": tally.ok,
        "failed_requests": tally.error,
    }


def jobs(site: Site, call: Call) -> Reply:
    """GET /v1/batch/jobs, newest first."""
    held = site.listed(NAME)
    rows = _numbered(held, call)
    return Reply({"object": "list", "data": [_job(site, job) for job in rows], "total": len(held)})


def delete_job(site: Site, call: Call) -> Reply:
    """DELETE /v1/batch/jobs/{id}."""
    site.forget(NAME, call.path["id"])
    return Reply({"id": call.path["id"], "object": "batch", "deleted": True})


ROUTES = (
    Route("POST", "/v1/files", "upload", upload),
    Route("GET", "/v1/files", "list", list_files),
    Route("GET", "/v1/files/{id}", "stat", file_api.file(lambda held: _file(held) | {"deleted": False})),
    Route("GET", "/v1/files/{id}/content", "download", file_api.content),
    Route("DELETE", "/v1/files/{id}", "delete", file_api.delete),
    Route("POST", "/v1/batch/jobs", "create", create),
    Route("GET", "/v1/batch/jobs", "list", jobs),
    Route("GET", "/v1/batch/jobs/{id}", "poll", file_api.job(_job)),
    Route("POST", "/v1/batch/jobs/{id}/cancel", "cancel", file_api.cancel(_job)),
    Route("DELETE", "/v1/batch/jobs/{id}", "delete", delete_job),
)
