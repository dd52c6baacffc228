"""The provider `local`: the user's own engine works the batch off, in a detached worker process on this machine.

It has the same verbs as a vendor, so that everything above it stays the same. The vendor-side batch is a folder
`processed_files/.local/<token>/`; `create` writes what to do into it and starts the worker, the other verbs only read
what the worker leaves there. The worker (`Settings.worker`) holds a lock on the folder as long as it lives, so a
killed one shows as `stopped`, and `resume` lets another one do the rows that are missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import EngineError, Trouble, VendorError
from batchflow.records import (
    Capabilities,
    Counts,
    Download,
    Found,
    Job,
    Json,
    Limits,
    Outcome,
    Phase,
    Progress,
    Request,
    Response,
)
from batchflow.settings import Settings
from batchflow.vendors.base import ELSEWHERE, OWN_ENGINE, no_clock, option_refused
from batchflow.vendors.shared import chat_completions, json_access, row_forms
from batchflow.vocabulary import (
    CANCELLED,
    COMPLETED,
    EMBEDDED_MODEL,
    ENGINE,
    FAILED,
    JOBS,
    LOADING,
    LOCK,
    LOG,
    OUTPUT,
    PROGRESS,
    QUEUED,
    RUNNING,
    SPAWNED,
    SPEC,
    SPEED,
    STOP,
    STOPPED,
    WORKER_OPTIONS,
)

NAME = "local"
LIMITS = Limits(requests=10_000_000, file_bytes=1 << 40, source="no vendor: this machine's disk")
ENDPOINTS = (chat_completions.CHAT,)
TRAITS = OWN_ENGINE
LINE = row_forms.posted("docs/local.md")
clock = no_clock
STATUSES: Mapping[str, Phase] = {
    QUEUED: Phase.WAITING,
    LOADING: Phase.WAITING,
    RUNNING: Phase.WAITING,
    STOPPED: Phase.WAITING,  # `batchflow start NAME` goes on with the rest
    COMPLETED: Phase.ENDED,
    CANCELLED: Phase.ENDED,
    FAILED: Phase.ENDED,
}

EMBEDDED_TOKENS = 256  # small models may go on for ever; a riddle's answer takes about 80
CHARS_PER_TOKEN = 3  # a little under what English has, so that bounded strings end before the token limit
FULL_BYTES = 64 << 10  # with less left, neither a report nor a line of the log can be counted on
SPAWN_S = 20.0  # a worker that was just spawned is given this long to take its lock

_DIALECT = replace(chat_completions.OPENAI, token_field="max_tokens")  # noqa: S106 - a JSON key; every local server knows this one
_BROKEN_OFF = frozenset({"abort", "error", "parse_error"})  # SGLang's and LMDeploy's words for an answer that failed


@dataclass(frozen=True, slots=True)
class LocalClient:
    """Folder of the jobs, and the settings whose environment (keys too) a worker inherits."""

    root: Path
    settings: Settings

    def folder(self, token: str) -> Path:
        """The folder of one job. Raises VendorError for an id that is none of ours."""
        if not token or not all(c.isalnum() or c in "-_" for c in token):
            raise VendorError(f"local: {token!r} is no job", trouble=Trouble.NOT_FOUND)
        return self.root / token


# ---- requests and answers


def is_embedded(model: str) -> bool:
    """True for models that the embedded engine runs: the small default, or any GGUF file."""
    return model == EMBEDDED_MODEL or model.endswith(".gguf")


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Refuse what the model is known not to take; the model of a custom server is unknown and may take all options."""
    chat_completions.check_choice(NAME, "--endpoint", endpoint, ENDPOINTS)
    chat_completions.check_choice(NAME, "--completion-window", window, ())
    if request.has_image and (can.images is False or is_embedded(request.model)):
        works = "use --split llm, a vendor's vision model, or --base-url with a server that takes pictures"
        raise option_refused(NAME, "a picture", f"{request.model} reads text only", works)
    chat_completions.check(NAME, request, can if can.known else replace(can, sampling=True, seed=True))


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """One line of the processed file.

    The batch's seed becomes one per row, derived from it and from what is asked, so that it is the same in every
    batch. For the embedded engine a token limit is always sent, and free strings of the schema are bounded so that
    the JSON is closed before that limit is reached.
    """
    params = request.params
    if params.seed is not None:
        params = replace(params, seed=row_seed(params.seed, request))
    schema = request.schema
    if is_embedded(request.model):
        params = replace(params, max_tokens=params.max_tokens or EMBEDDED_TOKENS)
        if schema is not None:
            schema = replace(schema, schema=bounded(schema.schema, params.max_tokens or EMBEDDED_TOKENS))
    capped = replace(request, params=params)
    line = chat_completions.line(capped, can, chat_completions.CHAT, _DIALECT)
    body = line["body"]
    if schema is not None and "response_format" in body:
        body["response_format"] = chat_completions.strict_format(schema)
    if not request.has_image:  # plain text: some servers' chat templates know no content parts
        body["messages"][-1]["content"] = "\n\n".join(part for part in request.parts if isinstance(part, str))
    return line


def row_seed(seed: int, request: Request) -> int:
    """A row's own seed, below 2**31, from the batch's seed and the texts of the request."""
    texts = [request.system, *(part if isinstance(part, str) else part.url for part in request.parts)]
    digest = hashlib.blake2b(files.dumps([seed, *texts]), digest_size=8).digest()
    return int.from_bytes(digest) >> 33


def bounded(schema: Json, tokens: int) -> Json:
    """The schema with a maxLength on every free string of the top level, such that all of them fit into the tokens."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    free = [name for name, kind in properties.items() if _is_free(kind)]
    if not free:
        return schema
    room = max(16, tokens * CHARS_PER_TOKEN * 2 // (3 * len(free)))  # a third is left for keys, quotes and rare words
    limited = {name: {**kind, "maxLength": room} if name in free else kind for name, kind in properties.items()}
    return {**schema, "properties": limited}


def _is_free(kind: Any) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "string" and not {"enum", "const", "maxLength"} & set(kind)


def decode(line: Json) -> Response:
    """One row of output.jsonl, which has the shape of OpenAI's batch output."""
    response = chat_completions.decode(line)
    if response.outcome is not Outcome.OK or response.text is None:
        return response
    if response.finish in _BROKEN_OFF:
        return replace(response, outcome=Outcome.ERROR, text=None, error=f"the server broke off: {response.finish}")
    return response


# ---- jobs


def connect(settings: Settings) -> LocalClient:
    """No connection: the worker makes its own."""
    return LocalClient(settings.processed / JOBS, settings)


def upload(client: LocalClient, job: Job) -> str | None:
    """Nothing to upload: the worker reads the processed file where it is."""
    return None


def create(client: LocalClient, job: Job) -> str:
    """Write the spec and start the worker. Harmless to repeat: a second worker ends when the first has the lock."""
    folder = client.folder(job.token)
    spec = {
        "version": 1,
        "input": str(job.path.resolve()),
        "sha256": job.sha256,
        "requests": job.requests,
        "model": job.model,
        "options": engine_options(client.settings, job.options),
        "created_at": time.time(),
    }
    with files.replacing(folder / SPEC) as handle:
        handle.write(files.dumps(spec))
    _spawn(client, folder)
    return job.token


def engine_options(settings: Settings, options: Mapping[str, Any]) -> Json:
    """Those of a batch's options that concern the worker, as a worker that is started now gets them."""
    own = {key: value for key, value in options.items() if key in WORKER_OPTIONS}
    if "base_url" not in own and "engine" not in own and (url := settings.base_url(NAME)):
        own["base_url"] = url
    return own


def _spawn(client: LocalClient, folder: Path) -> None:
    """Start a worker that outlives this process and its terminal. Keys and the ledger's URL go by the environment.

    Raises EngineError where it does not start, or where whoever made the settings named no worker.
    """
    if not client.settings.worker:
        raise EngineError("local: the settings name no worker", hint="Settings(worker=entry.COMMAND), steps.workers")
    ours = {"BATCHFLOW_HOME": str(client.settings.home), "BATCHFLOW_DATABASE_URL": client.settings.ledger_url}
    environment = {**os.environ, **client.settings.environment, **ours}
    command = [*client.settings.worker, str(folder.resolve())]
    (folder / SPAWNED).touch()
    with (folder / LOG).open("ab") as log:
        # The shell puts the worker into the background and ends, so that nobody has to wait for the worker:
        # a long-lived caller would keep it as a zombie.
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=client.settings.project,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise EngineError(f"local: the worker cannot be started (see {folder / LOG})")


def find(client: LocalClient, job: Job) -> Found:
    """The folder is named by the token, so the answer is sure."""
    return Found((job.token,) if (client.folder(job.token) / SPEC).is_file() else (), sure=True)


def poll(client: LocalClient, job: Job) -> Progress:
    """Reads the worker's progress file and its lock. Raises VendorError where the job's folder is not visible."""
    folder = _standing(client, job)
    seen = _progress(folder)
    word = json_access.text(seen.get("word")) or QUEUED
    if not _is_final(seen) and not _is_alive(folder):
        seen = _progress(folder)  # it may have finished between the two looks
        word = str(seen.get("word")) if _is_final(seen) else _word_without_worker(folder)
    elif not _is_final(seen) and (word == STOPPED or _owner(folder) not in {None, seen.get("pid")}):
        word = QUEUED  # the word of an earlier worker; a new one has the lock already
    error = json_access.text(seen.get("error")) if word != QUEUED else None  # what an earlier worker said is over
    if word == STOPPED:
        error = f"{error or _last_words(folder)}; `batchflow start {job.name}` goes on with the rest"
    if word not in {RUNNING, COMPLETED}:
        seen = {key: value for key, value in seen.items() if key not in SPEED}
    return Progress(STATUSES.get(word, Phase.WAITING), word, _counts(job, seen), error, speed=_speed(seen))


def resume(client: LocalClient, job: Job) -> bool:
    """Starts a new worker for the rows that are missing; False when one is at work or nothing is left to do.

    Raises VendorError where the job's folder is not to be seen.
    """
    folder = _standing(client, job)
    if _is_final(_progress(folder)) or _is_alive(folder):
        return False
    _note_pace(client, job, folder)
    _spawn(client, folder)
    return True


def _note_pace(client: LocalClient, job: Job, folder: Path) -> None:
    """Writes what was changed since the job was made, for the next worker."""
    spec = _table(folder / SPEC)
    options = engine_options(client.settings, job.options)
    if not job.options.get("base_url") and not job.options.get("engine"):  # where it was pointed when it was made
        options = {name: value for name, value in options.items() if name != "base_url"}
        options |= {name: value for name, value in json_access.table(spec.get("options")).items() if name == "base_url"}
    if spec and spec.get("options") != options:
        with files.replacing(folder / SPEC) as handle:
            handle.write(files.dumps(spec | {"options": options}))


def is_at_work(client: LocalClient, token: str) -> bool:
    """Tells whether a worker of this machine holds the job of a token. Not a verb of the protocol."""
    return _is_alive(client.folder(token)) if token else False


def facts(client: LocalClient, job: Job) -> Json:
    """Facts about the engine that answered: engine, version, arguments, concurrency; empty before it was up."""
    return _table(client.folder(job.remote_id or job.token) / ENGINE)


def fetch(client: LocalClient, job: Job) -> Iterator[Download]:
    """The rows so far, at any time; a line that is being written comes whole or not at all.

    Raises VendorError where the job's folder is not to be seen, or its output is gone: that is no end without rows.
    """
    folder = _standing(client, job)
    path = folder / OUTPUT
    if not path.is_file() and json_access.count(_progress(folder).get("done")):
        raise _unseen(path)
    if path.is_file():
        size = _whole(path)
        yield Download("output", files.chunks(path, size), size)


def cancel(client: LocalClient, job: Job) -> None:
    """Ask the worker to stop; what is done is kept, and the other rows get a line that says so.

    Raises VendorError where the job's folder is not to be seen: a worker may be at it elsewhere.
    """
    folder = _standing(client, job)
    if _is_final(_progress(folder)):
        return
    (folder / STOP).touch()
    if not _is_alive(folder):
        _spawn(client, folder)  # it writes the cancelled rows and ends


def remove(client: LocalClient, job: Job) -> None:
    """Delete the job's folder. Raises VendorError while its worker lives."""
    folder = client.folder(job.remote_id or job.token)
    if folder.is_dir():
        if _is_alive(folder) and not _is_final(_progress(folder)):  # a finished one needs an instant to end
            raise VendorError(
                "local: the worker is still running", trouble=Trouble.REFUSED, hint="batchflow cancel first"
            )
        shutil.rmtree(folder)


def explain(error: Exception) -> VendorError:
    """Only the disk can fail here."""
    if isinstance(error, VendorError):
        return error
    return VendorError(f"local: {error}", trouble=Trouble.REFUSED)


# ---- what the worker leaves


def _standing(client: LocalClient, job: Job) -> Path:
    """The job's folder. Raises VendorError where it is not to be seen.

    It may lie in the project folder of another host that shares the ledger, or on a disk that is not mounted now.
    """
    folder = client.folder(job.remote_id or job.token)
    if not (folder / SPEC).is_file():
        raise _unseen(folder)
    return folder


def _unseen(path: Path) -> VendorError:
    return VendorError(f"local: {path} is not here", trouble=Trouble.NOT_FOUND, hint=ELSEWHERE)


def _table(path: Path) -> Json:
    try:
        return json_access.table(files.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}


def _progress(folder: Path) -> Json:
    return _table(folder / PROGRESS)


def _is_final(progress: Json) -> bool:
    return STATUSES.get(str(progress.get("word"))) is Phase.ENDED


def _is_alive(folder: Path) -> bool:
    """True while a worker holds the lock; the kernel frees it however the worker dies."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _owner(folder: Path) -> int | None:
    """The process that took the lock last; None where it cannot be read."""
    try:
        return int((folder / LOCK).read_bytes())
    except (OSError, ValueError):
        return None


def _word_without_worker(folder: Path) -> str:
    """`queued` while a worker that was just spawned has not spoken yet, else `stopped`."""
    spawned, spoke = _mtime(folder / SPAWNED), _mtime(folder / PROGRESS)
    return QUEUED if spoke < spawned and abs(time.time() - spawned) < SPAWN_S else STOPPED


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _last_words(folder: Path) -> str:
    """The last line of the worker's log, which tells why it ended."""
    try:
        words = files.end(folder / LOG, 4096).decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        words = []
    lines = [line.strip() for line in words if line.strip()]
    if not lines or _OWN_LINE.match(lines[-1]):  # it was well when it spoke last
        return unheard(shutil.disk_usage(folder).free)
    return f"the worker ended: {_STAMP.sub('', lines[-1])[:500]}"


def unheard(free: int) -> str:
    """Returns the reason why a worker ended without a message. free: bytes left on the disk of its log."""
    return f"the worker ended without a word ({'killed?' if free > FULL_BYTES else 'the disk is full'})"


_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:]+Z ")
# what it says while it is well
_OWN_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z (?!stopped: |failed: )|worker started")


def _counts(job: Job, seen: Json) -> Counts:
    """Answered and failed rows; those that were cancelled are neither, as vendors count."""
    over, errors, cancelled = (json_access.count(seen.get(name)) for name in ("done", "errors", "cancelled"))
    return Counts(job.requests, max(0, over - errors), max(0, errors - cancelled))


def _speed(seen: Json) -> dict[str, float]:
    return {key: float(seen[key]) for key in SPEED if isinstance(seen.get(key), (int, float))}


def _whole(path: Path) -> int:
    """Bytes up to the last line end."""
    end = path.stat().st_size
    with path.open("rb") as handle:
        while end:
            start = max(0, end - files.CHUNK)
            handle.seek(start)
            at = handle.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0
