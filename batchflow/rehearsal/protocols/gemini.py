"""Gemini's files and batch mode, rehearsed (ai.google.dev batch reference, google-genai 3.4.0).

Accepts camelCase and snake_case at every level, as the real server is reported to, and answers camelCase.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteFile, RemoteJob, Site, Stand
from batchflow.rehearsal.protocols import chat_completions
from batchflow.rehearsal.routes import Call, Reply, Route, page

NAME = "gemini"
SUFFIX = ""
_FILE_NAME = re.compile(r"[a-z0-9-]{1,40}")
_KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_STATES = {
    Stand.CANCELLING: "RUNNING",
    Stand.COMPLETED: "SUCCEEDED",
    Stand.FAILED: "FAILED",
    Stand.EXPIRED: "EXPIRED",
    Stand.CANCELLED: "CANCELLED",
}
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."
_CANCELLED = 1
_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14}  # google.rpc.Code of an HTTP status
_INTERNAL = 13


def key(call: Call) -> str:
    """The key, which stands in a header of its own or in the query."""
    return call.headers.get("x-goog-api-key") or call.first("key")


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body; a bad key is a 400 here. code: a retry delay such as "37s" becomes RetryInfo."""
    details: list[Json] = []
    if code and re.fullmatch(r"[0-9.]+s", code):
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": code}]
    if code == "invalid_api_key":
        message, details = "API key not valid. Please pass a valid API key.", [{"reason": "API_KEY_INVALID"}]
    error = {"code": status, "message": message, "status": _KINDS.get(status, "UNKNOWN"), "details": details}
    return {"error": error}


def either(table: Any, name: str) -> Any:
    """A field of a JSON object under its snake_case or camelCase name; None where the object has neither."""
    if not isinstance(table, dict):
        return None
    camel = re.sub("_([a-z])", lambda match: match[1].upper(), name)
    return table.get(name, table.get(camel))


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One line {key, request}."""
    key, request = line.get("key"), line.get("request")
    if not isinstance(key, str) or not isinstance(request, dict):
        raise Refusal(400, "Each line needs a key and a request.")
    parts = [part for turn in request.get("contents", []) for part in turn.get("parts", [])]
    config = either(request, "generation_config")
    instruction = (either(request, "system_instruction") or {}).get("parts", [])
    system = "\n".join(part.get("text", "") for part in instruction)
    return Asked(
        key,
        job.model,
        system,
        tuple(part["text"] for part in parts if "text" in part),
        images=sum(1 for part in parts if either(part, "inline_data")),
        schema=either(config, "response_schema") or either(config, "response_json_schema"),
        thinks=either(config, "thinking_config") is not None,
        beginning=chat_completions.kept_by_itself(job.model, system),
    )


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row: errors stand in the same file; a refusal is a success without candidates."""
    if fate in {Fate.ERROR, Fate.CANCELLED}:
        status, message = job.row_error(request)
        code = _RPC.get(status, _INTERNAL)
        if fate is Fate.CANCELLED:
            code, message = _CANCELLED, "The request was cancelled."
        return "output", {"key": request.custom_id, "error": {"code": code, "message": message}}
    return "output", {"key": request.custom_id, "response": _response(request, answered, refused=fate is Fate.REFUSED)}


def _response(request: Asked, answered: Answered, *, refused: bool) -> Json:
    thought = [{"text": "A rehearsed thought.", "thought": True}] if request.thinks else []
    parts = [*thought, {"text": answered.text}]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
    body: Json = {"promptFeedback": {"blockReason": "SAFETY"}} if refused else {"candidates": [candidate]}
    spoken = answered.output_tokens - answered.reasoning_tokens
    usage = {
        "promptTokenCount": answered.input_tokens,
        "cachedContentTokenCount": answered.cached_tokens,
        "candidatesTokenCount": spoken,
        "thoughtsTokenCount": answered.reasoning_tokens,
        "totalTokenCount": answered.input_tokens + answered.output_tokens,
        "serviceTier": "SERVICE_TIER_STANDARD",
    }
    usage = {name: count for name, count in usage.items() if count}  # zero counters are left out
    return body | {"usageMetadata": usage, "modelVersion": job_model(request.model), "responseId": request.custom_id}


def job_model(model: str) -> str:
    """A model's bare name."""
    return model.removeprefix("models/")


# -- files


def begin_upload(site: Site, call: Call) -> Reply:
    """POST /upload/{v}/files: opens a resumable upload."""
    wanted = call.json().get("file") or {}
    name = str(wanted.get("name") or f"files/{uuid.uuid4().hex[:12]}")
    if not _FILE_NAME.fullmatch(name.removeprefix("files/")):
        raise Refusal(400, "The file name may hold at most 40 of a-z, 0-9 and dashes.")
    if any(held.id == name for held in site.files(NAME)):
        raise Refusal(409, f"Requested entity already exists: {name}")
    session = uuid.uuid4().hex
    facts = {"name": name, "display_name": either(wanted, "display_name"), "mime": either(wanted, "mime_type")}
    (site.folder / "incoming" / f"{session}.json").write_bytes(files.dumps(facts))
    (site.folder / "incoming" / session).write_bytes(b"")
    return Reply({}, headers={"x-goog-upload-url": f"{call.base}/upload/session/{session}"})


def go_on_upload(site: Site, call: Call) -> Reply:
    """POST to an upload URL: one chunk; the last one makes the file."""
    session = call.path["session"]
    partial, facts_at = site.folder / "incoming" / session, site.folder / "incoming" / f"{session}.json"
    if not re.fullmatch("[0-9a-f]{32}", session) or not partial.exists():
        raise Refusal(404, "No such upload.")
    if int(call.headers.get("x-goog-upload-offset", "0")) != partial.stat().st_size:
        raise Refusal(400, "The offset does not match.")
    with partial.open("ab") as handle:
        handle.write(call.body)
    if "finalize" not in call.headers.get("x-goog-upload-command", ""):
        return Reply({}, headers={"x-goog-upload-status": "active"})
    facts = files.loads(facts_at.read_bytes())
    held = site.keep(NAME, partial, id=facts["name"], name=facts["display_name"] or "", extra={"mime": facts["mime"]})
    facts_at.unlink()
    return Reply({"file": _file(held, call.base)}, headers={"x-goog-upload-status": "final"})


def _file(held: RemoteFile, base: str) -> Json:
    return {
        "name": held.id,
        "displayName": held.name,
        "mimeType": held.extra.get("mime") or "application/jsonl",
        "sizeBytes": str(held.size),
        "createTime": _stamp(held.created_at),
        "updateTime": _stamp(held.created_at),
        "expirationTime": _stamp(held.created_at + 172_800),
        "uri": f"{base}/v1beta/{held.id}",
        "state": "ACTIVE",
        "source": "UPLOADED",
    }


def _held(site: Site, name: str) -> RemoteFile:
    """A file's record. One that is not there, or no longer, is answered 403 here."""
    try:
        return site.file(NAME, name)
    except Refusal:
        text = f"You do not have permission to access the File {name.removeprefix('files/')} or it may not exist."
        raise Refusal(403, text) from None


def file(site: Site, call: Call) -> Reply:
    """GET /{v}/files/{id}."""
    return Reply(_file(_held(site, f"files/{call.path['id']}"), call.base))


def file_list(site: Site, call: Call) -> Reply:
    """GET /{v}/files."""
    return Reply({"files": [_file(held, call.base) for held in site.files(NAME)]})


def file_content(site: Site, call: Call) -> Reply:
    """GET /{v}/files/{id}:download; uploads cannot be downloaded."""
    held = _held(site, f"files/{call.path['id']}")
    if held.purpose == "batch":
        raise Refusal(400, "Only generated files can be downloaded.")
    return Reply(site.path(NAME, held.id), media="application/octet-stream")


def delete_file(site: Site, call: Call) -> Reply:
    """DELETE /{v}/files/{id}."""
    site.drop(NAME, _held(site, f"files/{call.path['id']}").id)
    return Reply({})


# -- batches


def create(site: Site, call: Call) -> Reply:
    """POST /{v}/models/{model}:batchGenerateContent, by file."""
    wanted = call.json().get("batch") or {}
    name = either(either(wanted, "input_config"), "file_name")
    if not isinstance(name, str):
        raise Refusal(400, "Only batches by file are rehearsed: inputConfig.fileName is missing.")
    _held(site, name)
    display_name = either(wanted, "display_name")
    if not display_name:
        raise Refusal(400, "displayName is required.")
    job_id = uuid.uuid4().hex + "0000"
    job = site.create(
        NAME,
        job_id=f"batches/{job_id}",
        input_id=name,
        model=f"models/{call.path['model']}",
        endpoint="generateContent",
        tags={"display_name": display_name},
        extra={"output_id": f"files/batch-{job_id}"},
    )
    return Reply(_operation(site, job))


def _operation(site: Site, job: RemoteJob) -> Json:
    tally = site.counts(job)
    counts = {
        "requestCount": job.rows,
        "pendingRequestCount": job.rows - tally.ok - tally.error if not job.ended else 0,
        "successfulRequestCount": tally.ok,
        "failedRequestCount": tally.error,
    }
    state = _STATES.get(job.stand) or ("PENDING" if job.polls == 0 else "RUNNING")
    metadata: Json = {
        "@type": f"{_TYPE}GenerateContentBatch",
        "model": job.model,
        "displayName": job.tags.get("display_name"),
        "inputConfig": {"fileName": job.input_id},
        "createTime": _stamp(job.created_at),
        "updateTime": _stamp(job.ended_at or job.created_at),
        "batchStats": {name: str(count) for name, count in counts.items() if count},
        "state": f"BATCH_STATE_{state}",
        "name": job.id,
    }
    operation: Json = {"name": job.id, "metadata": metadata}
    if not job.ended:
        return operation
    operation["done"] = True
    metadata["endTime"] = _stamp(job.ended_at or job.created_at)
    if job.error or job.stand is Stand.CANCELLED:
        code = 8 if job.planned("queue_full") else 13 if job.stand is Stand.CANCELLED else 3
        operation["error"] = {"code": code, "message": job.error or "The batch was cancelled."}
    # An expired batch leaves no results at all.
    if "output" in job.named and job.stand is not Stand.EXPIRED:
        metadata["output"] = {"responsesFile": job.named["output"]}
        operation["response"] = {"@type": f"{_TYPE}GenerateContentBatchOutput", **metadata["output"]}
    return operation


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "000Z")


def batches(site: Site, call: Call) -> Reply:
    """GET /{v}/batches."""
    limit = call.number("pageSize", 100)
    rows, more = page(site.listed(NAME), limit, call.first("pageToken"), lambda job: str(job.id))
    following = {"nextPageToken": rows[-1].id} if more and rows else {}
    return Reply({"operations": [_operation(site, job) for job in rows]} | following)


def batch(site: Site, call: Call) -> Reply:
    """GET /{v}/batches/{id}."""
    return Reply(_operation(site, site.look(NAME, f"batches/{call.path['id']}")))


def cancel(site: Site, call: Call) -> Reply:
    """POST /{v}/batches/{id}:cancel."""
    site.cancel(NAME, f"batches/{call.path['id']}")
    return Reply({})


def delete(site: Site, call: Call) -> Reply:
    """DELETE /{v}/batches/{id}."""
    site.forget(NAME, f"batches/{call.path['id']}")
    return Reply({})


ROUTES = (
    Route("POST", "/upload/{v}/files", "upload", begin_upload),
    Route("POST", "/upload/session/{session}", "upload", go_on_upload, open=True),
    Route("GET", "/{v}/files/{id}:download", "download", file_content),
    Route("GET", "/{v}/files/{id}", "stat", file),
    Route("GET", "/{v}/files", "list", file_list),
    Route("DELETE", "/{v}/files/{id}", "delete", delete_file),
    Route("POST", "/{v}/models/{model}:batchGenerateContent", "create", create),
    Route("POST", "/{v}/batches/{id}:cancel", "cancel", cancel),
    Route("GET", "/{v}/batches/{id}", "poll", batch),
    Route("GET", "/{v}/batches", "list", batches),
    Route("DELETE", "/{v}/batches/{id}", "delete", delete),
)
