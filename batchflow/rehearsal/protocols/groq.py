"""Groq's files and batches, rehearsed (SDK 1.7.0, console.groq.com/docs/batch).

Unlike OpenAI's: everything lies under `/openai/v1`, lists are paged by a cursor, `errors` is a bare list as in the
docs' example, and a row that failed has no `error` beside its response.
"""

from __future__ import annotations

import re
import uuid

from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteFile, RemoteJob, Site
from batchflow.rehearsal.protocols import chat_completions, file_api
from batchflow.rehearsal.routes import Call, Reply, Route, bearer, page

NAME = "groq"
SUFFIX = ""
ENDPOINT = "/v1/chat/completions"
PAGE = 20
BYTES = 100_000_000


key = bearer


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body; `code` is absent where there is none."""
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind} | ({"code": code} if code else {})}


def hours(window: object) -> int:
    """Hours of a completion window, 24h to 7d; 0 for what is none."""
    match = re.fullmatch("([0-9]{1,3})([hd])", str(window))
    number = int(match[1]) * (24 if match[2] == "d" else 1) if match else 0
    return number if 24 <= number <= 168 else 0


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One line; pictures are refused, since no model on the batch allowlist reads them."""
    if line.get("method") != "POST" or line.get("url") != ENDPOINT:
        raise Refusal(400, "method has to be POST and url the batch's endpoint.", "invalid_url")
    request = chat_completions.ask(line)
    if request.images:
        raise Refusal(400, f"model '{request.model}' does not support images in batches.", "invalid_image")
    job.model = job.model or request.model
    return request


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row; what the model thought stands beside its answer."""
    body = chat_completions.completion(request, fate, answered) | {"x_groq": {"id": f"req_{job.id}"}}
    if request.thinks:
        body["choices"][0]["message"]["reasoning"] = "A rehearsed thought."
    body["usage"] |= {"queue_time": 0.1, "prompt_time": 0.01, "completion_time": 0.1, "total_time": 0.11}
    kind, line = chat_completions.row(request, job, fate, body)
    if fate is Fate.ERROR:
        del line["error"]  # as in a failed row seen in the wild
    return kind, line


# -- files


def upload(site: Site, call: Call) -> Reply:
    """POST /files."""
    if call.upload is None or call.form.get("purpose") != "batch":
        raise Refusal(400, "'file' and 'purpose' are required.")
    if call.upload.path.stat().st_size > BYTES:
        raise Refusal(413, "The file is too large.", "request_too_large")
    file = site.keep(NAME, call.upload.path, id=f"file_{uuid.uuid4().hex[:26]}", name=call.upload.name)
    return Reply(_file(file))


def _file(held: RemoteFile) -> Json:
    return {
        "id": held.id,
        "object": "file",
        "bytes": held.size,
        "created_at": int(held.created_at),
        "filename": held.name,
        "purpose": held.purpose,
    }


def list_files(site: Site, call: Call) -> Reply:
    """GET /files."""
    return Reply({"object": "list", "data": [_file(held) for held in site.files(NAME)]})


# -- batches


def create(site: Site, call: Call) -> Reply:
    """POST /batches."""
    body = call.json()
    if body.get("endpoint") != ENDPOINT or not hours(body.get("completion_window")):
        raise Refusal(400, "Invalid value for endpoint or completion_window.")
    job = site.create(
        NAME,
        job_id=f"batch_{uuid.uuid4().hex[:26]}",
        input_id=str(body.get("input_file_id")),
        model="",
        endpoint=ENDPOINT,
        tags=body.get("metadata") or {},
        extra={"window": body["completion_window"]},
    )
    return Reply(_batch(site, job))


word = file_api.word


def _batch(site: Site, job: RemoteJob) -> Json:
    tally, created, status = site.counts(job), int(job.created_at), word(job)
    ended = int(job.ended_at) if job.ended_at else None
    stamps: Json = {f"{name}_at": ended if name == status else None for name in sorted(file_api.WORDS.values())}
    counted = {"total": job.rows, "completed": tally.ok, "failed": tally.error}
    return stamps | {
        "id": job.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "errors": [{"code": job.error_code, "message": job.error, "line": None, "param": None}] if job.error else None,
        "input_file_id": job.input_id,
        "completion_window": job.extra["window"],
        "status": status,
        "output_file_id": job.named.get("output"),
        "error_file_id": job.named.get("error"),
        "created_at": created,
        "in_progress_at": created if job.polls else None,
        "finalizing_at": None,
        "expires_at": created + 3600 * hours(job.extra["window"]),
        "request_counts": counted if job.polls else {"total": 0, "completed": 0, "failed": 0},
        "metadata": job.tags or None,
    }


def batches(site: Site, call: Call) -> Reply:
    """GET /batches: by a cursor, or those of the given ids."""
    held, ids = site.listed(NAME), set(call.query.get("id", ()))
    rows, more = page([job for job in held if not ids or job.id in ids], PAGE, call.first("cursor"), _id)
    following = rows[-1].id if more else None
    data = [_batch(site, job) for job in rows]
    return Reply({"object": "list", "data": data, "paging": {"next_cursor": following}})


def _id(job: RemoteJob) -> str:
    return job.id


ROUTES = (
    Route("POST", "/openai/v1/files", "upload", upload),
    Route("GET", "/openai/v1/files", "list", list_files),
    Route("GET", "/openai/v1/files/{id}", "stat", file_api.file(_file)),
    Route("GET", "/openai/v1/files/{id}/content", "download", file_api.content),
    Route("DELETE", "/openai/v1/files/{id}", "delete", file_api.delete),
    Route("POST", "/openai/v1/batches", "create", create),
    Route("GET", "/openai/v1/batches", "list", batches),
    Route("GET", "/openai/v1/batches/{id}", "poll", file_api.job(_batch)),
    Route("POST", "/openai/v1/batches/{id}/cancel", "cancel", file_api.cancel(_batch)),
)
