"""Together's files and batches, rehearsed (SDK 3.1.1, togethercomputer/openapi@090263a).

An upload is three calls: the name and checksum are told, the bytes are put where the answer's Location says, and the
file is declared whole. Files are addressed by their content: the same checksum is answered 409 with the id that is
there already, even when its bytes never arrived. Jobs have no tags and no counts, and lists have no pages or order.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked
from batchflow.rehearsal.fake_state import Fate, Refusal, RemoteFile, RemoteJob, Site, Stand
from batchflow.rehearsal.protocols import chat_completions, file_api
from batchflow.rehearsal.routes import Call, Reply, Route, bearer

NAME = "together"
SUFFIX = ""
ENDPOINT = "/v1/chat/completions"
LINE_BYTES = 10_000_000
NO_BATCH = ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-V3.1", "MiniMaxAI/MiniMax-M2.7", "moonshotai/Kimi-K2.5")


key = bearer


def refusal(status: int, message: str, code: str | None) -> Json:
    """An error body: text at the batch endpoints, an object where there is a code."""
    return {"error": {"message": message, "type": "invalid_request_error", "code": code} if code else message}


# -- rows


def ask(line: Json, job: RemoteJob) -> Asked:
    """One line; the first one's model is the job's. None of its models was seen to keep the beginning of a prompt."""
    request = replace(chat_completions.ask(line), beginning=None)
    if len(request.custom_id) > 64:
        raise Refusal(400, "custom_id must be at most 64 characters")
    if len(files.dumps(line)) > LINE_BYTES:
        raise Refusal(400, "error reading input file")
    job.model = job.model or request.model
    return request


def row(request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
    """One row; those of the error file have no response."""
    if fate in chat_completions.NOT_RUN or fate is Fate.ERROR:
        code = chat_completions.NOT_RUN.get(fate, "rehearsed")
        message = job.row_error(request)[1]
        return "error", {"custom_id": request.custom_id, "error": {"message": message, "code": code}}
    body = chat_completions.completion(request, fate, answered) | {
        "prompt": []
    }  # a field of its own, which its SDK requires
    response = {"status_code": 200, "body": body}
    return "output", {"id": f"br_{uuid.uuid4().hex[:12]}", "custom_id": request.custom_id, "response": response}


# -- files


def announce(site: Site, call: Call) -> Reply:
    """POST /v1/files: where to put the bytes, or 409 for a checksum that is known."""
    checksum, name = call.form.get("checksum", ""), call.form.get("file_name", "")
    if call.form.get("purpose") != "batch-api" or len(checksum) != 64 or not name.endswith(".jsonl"):
        raise Refusal(400, "purpose, file_name and checksum are required")
    with site.lock:
        earlier = next((held for held in site.files(NAME) if held.extra.get("checksum") == checksum), None)
        if earlier:
            return Reply({"file_id": earlier.id}, 409)
        file = site.keep(NAME, b"", id=f"file-{uuid.uuid4()}", name=name, extra={"checksum": checksum})
    place = {"location": f"{call.base}/storage/{file.id}", "x-together-file-id": file.id}
    return Reply(b"", 302, place)


def put(site: Site, call: Call) -> Reply:
    """PUT to the Location of an announced file; needs no key."""
    held = site.file(NAME, call.path["id"])
    site.keep(NAME, call.body, id=held.id, name=held.name, extra=held.extra)
    return Reply(b"")


def declare(site: Site, call: Call) -> Reply:
    """POST /v1/files/{id}/preprocess."""
    return Reply(_file(site.file(NAME, call.path["id"])))


def _file(held: RemoteFile) -> Json:
    return {
        "id": held.id,
        "object": "file",
        "bytes": held.size,
        "created_at": int(held.created_at),
        "filename": held.name,
        "FileType": "jsonl",
        "purpose": "batch-api",
        "Processed": True,
        "LineCount": 0,
    }


def list_files(site: Site, call: Call) -> Reply:
    """GET /v1/files."""
    return Reply({"data": [_file(held) for held in site.files(NAME)]})


def file_content(site: Site, call: Call) -> Reply:
    """GET /v1/files/{id}/content."""
    return Reply(site.path(NAME, call.path["id"]), media="application/binary")


def delete_file(site: Site, call: Call) -> Reply:
    """DELETE /v1/files/{id}."""
    site.drop(NAME, call.path["id"])
    return Reply({"id": call.path["id"], "deleted": True})


# -- batches


def create(site: Site, call: Call) -> Reply:
    """POST /v1/batches; a model that takes no batches is told by a warning and no job, with status 201 all the same."""
    body = call.json()
    if body.get("endpoint") != ENDPOINT or body.get("completion_window", "24h") != "24h":
        raise Refusal(400, "unsupported endpoint or completion_window")
    input_id = str(body.get("input_file_id"))
    if model := _refused_model(site, input_id):
        return Reply({"job": None, "warning": f"Model {model} is not available for batch inference"}, 201)
    job = site.create(NAME, job_id=str(uuid.uuid4()), input_id=input_id, model="", endpoint=ENDPOINT, tags={})
    return Reply({"job": _job(site, job), "warning": ""}, 201)


def _refused_model(site: Site, input_id: str) -> str | None:
    with site.path(NAME, input_id).open("rb") as handle:
        first = handle.readline()
    return next((model for model in NO_BATCH if f'"{model}"'.encode() in first), None)


_WORDS = {
    Stand.CANCELLING: "CANCELING",
    Stand.COMPLETED: "COMPLETED",
    Stand.FAILED: "FAILED",
    Stand.EXPIRED: "EXPIRED",
    Stand.CANCELLED: "CANCELLED",
}


def word(job: RemoteJob) -> str:
    """The vendor's word for where a job stands."""
    return file_api.word_of(job, _WORDS, "VALIDATING", "IN_PROGRESS")


def _job(site: Site, job: RemoteJob) -> Json:
    tally = site.counts(job)
    return {
        "id": job.id,
        "user_id": "rehearsal",
        "input_file_id": job.input_id,
        "file_size_bytes": 0,
        "status": word(job),
        "created_at": _iso(job.created_at),
        "job_deadline": _iso(job.created_at + 86_400),
        "completed_at": _iso(job.ended_at) if job.ended_at else None,
        "endpoint": job.endpoint,
        "progress": 100.0 * (tally.ok + tally.error) / (job.rows or 1),
        "model_id": job.model,
        "output_file_id": job.named.get("output"),
        "error_file_id": job.named.get("error"),
        "error": job.error,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def batches(site: Site, call: Call) -> Reply:
    """GET /v1/batches: a bare array in no order that means anything."""
    return Reply([_job(site, job) for job in sorted(site.listed(NAME), key=lambda job: job.id)])


def batch(site: Site, call: Call) -> Reply:
    """GET /v1/batches/{id}; every completed job has an error file, empty or not, as in the recorded run."""
    with site.lock:
        job = site.look(NAME, call.path["id"])
        if job.stand is Stand.COMPLETED and "error" not in job.outputs:
            job.outputs["error"] = site.keep(NAME, b"", id=f"file-{uuid.uuid4()}", name="error.jsonl").id
            site.save(job)
        return Reply(_job(site, job))


ROUTES = (
    Route("POST", "/v1/files", "upload", announce),
    Route("PUT", "/storage/{id}", "upload", put, open=True),
    Route("POST", "/v1/files/{id}/preprocess", "stat", declare),
    Route("GET", "/v1/files", "list", list_files),
    Route("GET", "/v1/files/{id}", "stat", file_api.file(_file)),
    Route("GET", "/v1/files/{id}/content", "download", file_content),
    Route("DELETE", "/v1/files/{id}", "delete", delete_file),
    Route("POST", "/v1/batches", "create", create),
    Route("GET", "/v1/batches", "list", batches),
    Route("GET", "/v1/batches/{id}", "poll", batch),
    Route("POST", "/v1/batches/{id}/cancel", "cancel", file_api.cancel(_job)),
)
