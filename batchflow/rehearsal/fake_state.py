"""Memory of the rehearsed vendors: uploaded files, jobs and every create that took effect.

One `Site` serves all vendors. Payloads lie in files of its folder, records in small JSON files beside them, so a
server that is stopped and started again on the same folder goes on where it was. Nothing here knows HTTP.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from batchflow import files
from batchflow.records import Json
from batchflow.rehearsal.answers import Answered, Asked, Beginning, Rule
from batchflow.rehearsal.faults import Fault, Faults


class Stand(StrEnum):
    """Stage of a rehearsed job; each protocol has its own words for these."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_LATE = ("late_file", "late_output", "late_rows")
ENDED = frozenset(Stand) - {Stand.RUNNING, Stand.CANCELLING}


BILL = "bill.jsonl"
"""The file of what the vendors bill; a job that is deleted stays in it."""

KEPT = "kept.json"
"""The file of the beginnings of prompts that the vendors' caches hold, with the time until which they do."""

ROW_ERROR = "Rehearsed row error."
"""Error text of a failing row, unless the script gives one."""


class Fate(StrEnum):
    """Outcome of one row."""

    OK = "ok"
    ERROR = "error"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MISSING = "missing"


class Refusal(Exception):
    """A request that the rehearsed vendor refuses; the protocol gives the body its shape."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Pace:
    """Duration of a job: it ends after `polls` polls and `seconds` seconds."""

    polls: int = 2
    seconds: float = 0.0


@dataclass(slots=True)
class RemoteFile:
    """One file at the vendor. extra: what a protocol wants to remember of its own."""

    id: str
    vendor: str
    name: str
    purpose: str
    size: int
    created_at: float
    extra: Json = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Rows of a job that ended so far, by fate."""

    ok: int = 0
    error: int = 0
    expired: int = 0
    cancelled: int = 0

    def add(self, fate: Fate) -> None:
        """Count one row. A refusal is an answer; a missing row is counted nowhere."""
        if fate in {Fate.OK, Fate.REFUSED}:
            self.ok += 1
        elif fate is not Fate.MISSING:
            setattr(self, fate.value, getattr(self, fate.value) + 1)


@dataclass(slots=True)
class RemoteJob:
    """One batch at the vendor. outputs: kind → file id, once there are any. hidden: looks until they are named."""

    id: str
    vendor: str
    model: str
    endpoint: str
    tags: Json
    input_id: str
    rows: int
    created_at: float
    polls: int = 0
    stand: Stand = Stand.RUNNING
    ended_at: float | None = None
    tally: Tally = field(default_factory=Tally)
    outputs: dict[str, str] = field(default_factory=dict)
    hidden: int = 0
    lists: int = 0  # it was left out of
    error: str | None = None
    error_code: str | None = None
    plan: list[Json] = field(default_factory=list)  # the faults of its life, as tables
    extra: Json = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Tells whether nothing more will happen to it."""
        return self.stand in ENDED

    @property
    def named(self) -> Mapping[str, str]:
        """Its result files as far as the vendor names them yet."""
        if self.hidden < 1 or self.planned("late_rows"):
            return self.outputs
        return {kind: held for kind, held in self.outputs.items() if kind != "output" and self.planned("late_output")}

    def planned(self, kind: str) -> Fault | None:
        """The fault of that kind in this job's life."""
        return next((Fault(**entry) for entry in self.plan if entry["kind"] == kind), None)

    def row_error(self, request: Asked) -> tuple[int, str]:
        """HTTP status and text of a row that fails: what is wrong with it, else what the script says."""
        fault = self.planned("errors")
        if request.wrong or fault is None:
            return 400, request.wrong or ROW_ERROR
        return fault.status, fault.message or ROW_ERROR


@dataclass(frozen=True, slots=True)
class Created:
    """One create that took effect. tags: what the client tagged it with."""

    vendor: str
    job_id: str
    tags: Json
    custom_ids: tuple[str, ...]


class Language(Protocol):
    """A rehearsed vendor's protocol: one module each."""

    @property
    def ROUTES(self) -> Sequence[Any]:  # noqa: N802 - a module's constant
        """Its calls, as `wire.Route`."""

    @property
    def SUFFIX(self) -> str:  # noqa: N802 - a module's constant
        """Suffix that its SDK wants on the base URL."""

    def key(self, call: Any) -> str:
        """The key of a `wire.Call`, "" for one that is not where the vendor wants it."""

    def refusal(self, status: int, message: str, code: str | None) -> Json:
        """The body of an HTTP error."""

    def ask(self, line: Json, job: RemoteJob) -> Asked:
        """One input line as a request. Raises Refusal for a line that the vendor's validation would refuse."""

    def row(self, request: Asked, job: RemoteJob, fate: Fate, answered: Answered) -> tuple[str, Json]:
        """(kind of file, row) for one request that ended; never called for a missing one."""


def _billed(request: Asked, job: RemoteJob, answered: Answered) -> Json:
    """One entry of the bill: whose, and the tokens as `records.Usage` defines them."""
    return {
        "vendor": job.vendor,
        "model": request.model or job.model,
        "job": job.id,
        "custom_id": request.custom_id,
        "input_tokens": answered.input_tokens,
        "cached_tokens": answered.cached_tokens,
        "written_tokens": answered.written_tokens,
        "written_1h_tokens": answered.written_1h_tokens,
        "output_tokens": answered.output_tokens,
    }


class Site:
    """The memory of all rehearsed vendors. Every public method is safe to call from several threads."""

    def __init__(
        self,
        folder: Path,
        languages: Mapping[str, Language],
        *,
        rule: Rule | None = None,
        faults: Faults | None = None,
        pace: Pace | None = None,
        kill: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.languages = languages
        self.rule = rule or Rule()
        self.faults = faults or Faults()
        self.pace = pace or Pace()
        self.kill = kill
        self.clock = clock
        self.lock = threading.RLock()
        self.creates: list[Created] = []
        self.calls: list[tuple[str, str]] = []  # (vendor, call) in the order of arrival
        self._files: dict[tuple[str, str], RemoteFile] = {}
        self._jobs: dict[tuple[str, str], RemoteJob] = {}
        self._kept: dict[str, float] = {}  # by vendor and beginning: until when a cache holds it
        self._load()

    # -- files

    def keep(self, vendor: str, content: Path | bytes, **facts: Any) -> RemoteFile:
        """Take a file in; a path is moved, not copied. facts: id, name, purpose, extra; an id is made up if absent."""
        file_id = facts.pop("id", None) or uuid.uuid4().hex
        with self.lock:
            path = self._payload(vendor, file_id)
            if isinstance(content, Path):
                shutil.move(content, path)
            else:
                path.write_bytes(content)
            facts.setdefault("name", file_id)
            facts.setdefault("purpose", "batch")
            file = RemoteFile(file_id, vendor, size=path.stat().st_size, created_at=self.clock(), **facts)
            self._files[vendor, file_id] = file
            self.save(file)
            return file

    def file(self, vendor: str, file_id: str) -> RemoteFile:
        """A file's record. Raises Refusal 404."""
        with self.lock:
            if (vendor, file_id) not in self._files:
                raise Refusal(404, f"No such File object: {file_id}", "not_found")
            return self._files[vendor, file_id]

    def files(self, vendor: str) -> list[RemoteFile]:
        """A vendor's files, newest first."""
        with self.lock:
            return [held for (owner, _), held in reversed(self._files.items()) if owner == vendor]

    def path(self, vendor: str, file_id: str) -> Path:
        """Returns the path of a file's bytes. Raises Refusal 404."""
        self.file(vendor, file_id)
        return self._payload(vendor, file_id)

    def drop(self, vendor: str, file_id: str) -> None:
        """Delete a file. Raises Refusal 404."""
        with self.lock:
            path = self.path(vendor, file_id)
            del self._files[vendor, file_id]
            path.unlink(missing_ok=True)
            self._record(vendor, "file", file_id).unlink(missing_ok=True)

    # -- jobs

    def create(self, vendor: str, *, job_id: str, input_id: str, **facts: Any) -> RemoteJob:
        """Accept a batch: from here on it is paid for. facts: model, endpoint, tags, extra."""
        with self.lock:
            path = self.path(vendor, input_id)
            plan = [_plain(fault) for fault in self.faults.take(vendor, "job")]
            job = RemoteJob(job_id, vendor, input_id=input_id, rows=0, created_at=self.clock(), plan=plan, **facts)
            custom_ids = tuple(self._accepted(job, path))
            job.rows = len(custom_ids)
            event = Created(vendor, job_id, job.tags, custom_ids)
            self._jobs[vendor, job_id] = job
            self.creates.append(event)
            with (self.folder / "creates.jsonl").open("ab") as handle:
                handle.write(files.dumps(asdict(event)) + b"\n")
            self.save(job)
            return job

    def job(self, vendor: str, job_id: str) -> RemoteJob:
        """A job's record as it stands. Raises Refusal 404."""
        with self.lock:
            if (vendor, job_id) not in self._jobs:
                raise Refusal(404, f"No batch found with id '{job_id}'.")
            return self._jobs[vendor, job_id]

    def jobs(self, vendor: str) -> list[RemoteJob]:
        """A vendor's jobs, newest first."""
        with self.lock:
            return [job for (owner, _), job in reversed(self._jobs.items()) if owner == vendor]

    def listed(self, vendor: str) -> list[RemoteJob]:
        """A vendor's jobs as its list shows them: one that lists lag behind comes in with a later one."""
        with self.lock:
            shown = []
            for job in self.jobs(vendor):
                late = job.planned("late_list")
                if late and job.lists < late.polls:
                    job.lists += 1
                    self.save(job)
                else:
                    shown.append(job)
            return shown

    def look(self, vendor: str, job_id: str) -> RemoteJob:
        """Returns a job's record and advances it: rehearsed jobs move when they are polled. Raises Refusal 404."""
        with self.lock:
            job = self.job(vendor, job_id)
            if job.ended:
                job.hidden = max(0, job.hidden - 1)
                self._bring_late_rows(job)
            else:
                job.polls += 1
                self._advance(job)
            self.save(job)
            return job

    def cancel(self, vendor: str, job_id: str) -> RemoteJob:
        """Begin to cancel; it ends at the next look, with half its rows. Raises Refusal 404, or 409 once it ended."""
        with self.lock:
            job = self.job(vendor, job_id)
            if job.ended:
                raise Refusal(409, f"Cannot cancel a batch with status '{job.stand.value}'.")
            job.stand = Stand.CANCELLING
            self.save(job)
            return job

    def forget(self, vendor: str, job_id: str) -> None:
        """Delete a job. Raises Refusal 404."""
        with self.lock:
            self.job(vendor, job_id)
            del self._jobs[vendor, job_id]
            self._record(vendor, "job", job_id).unlink(missing_ok=True)

    def counts(self, job: RemoteJob) -> Tally:
        """The counts that the vendor tells: growing with every look, and wrong where the script says so."""
        if job.planned("wrong_counts"):
            return Tally(ok=1, error=0)
        if job.planned("still_counts"):
            return Tally()
        if job.ended or self.pace.polls < 1:
            return job.tally
        return Tally(ok=min(job.rows, job.rows * job.polls // (self.pace.polls + 1)))

    def _accepted(self, job: RemoteJob, path: Path) -> Iterator[str]:
        """The custom_ids of the input; a line that would not pass validation makes the job fail at its first look."""
        language = self.languages[job.vendor]
        seen: set[str] = set()
        for number, (_, _, line) in enumerate(files.lines(path), start=1):
            if not line.strip():
                continue
            try:
                custom_id = _unique(language.ask(_object(line), job).custom_id, seen)
            except Refusal as refusal:
                job.plan.append(_plain(Fault("fail", message=f"line {number}: {refusal}", code=refusal.code)))
                return
            seen.add(custom_id)
            yield custom_id
        if not seen:
            job.plan.append(_plain(Fault("fail", message="the file holds no request", code="empty_file")))

    def _advance(self, job: RemoteJob) -> None:
        if job.stand is Stand.CANCELLING:
            self._finish(job, Stand.CANCELLED, 0.5)
            return
        if failed := job.planned("queue_full") or job.planned("fail"):
            self._fail(job, failed)
            return
        if job.polls < self.pace.polls or self.clock() - job.created_at < self.pace.seconds:
            return
        for kind, stand in (("expire", Stand.EXPIRED), ("cancel", Stand.CANCELLED)):
            if fault := job.planned(kind):
                self._finish(job, stand, fault.fraction)
                return
        self._finish(job, Stand.COMPLETED, 1.0)

    def _fail(self, job: RemoteJob, fault: Fault) -> None:
        job.stand, job.ended_at = Stand.FAILED, self.clock()
        if fault.kind == "queue_full":
            job.error_code = "token_limit_exceeded"
            job.error = f"Enqueued token limit reached for {job.model}. Limit: 1,000,000 enqueued tokens."
        else:
            job.error_code = fault.code or "invalid_request"
            job.error = fault.message or "The input file did not pass validation."

    def _finish(self, job: RemoteJob, stand: Stand, share: float) -> None:
        """Write the result files. share: how many of the rows ran; the rest expired or was cancelled."""
        rest = Fate.EXPIRED if stand is Stand.EXPIRED else Fate.CANCELLED
        bill: list[bytes] = []
        begun: dict[str, Beginning] = {}
        with contextlib.ExitStack() as stack:
            out = _Outputs(stack, self.folder / "making")
            for index, (_, _, line) in enumerate(files.lines(self.path(job.vendor, job.input_id))):
                if line.strip():
                    fate = _fate(job, index) if index < share * job.rows else rest
                    self._write_row(job, _object(line), fate, out, bill, begun)
            if job.planned("dirty"):
                out.soil()
        for kind, path in out.paths.items():
            file = self.keep(job.vendor, path, id=_output_id(job, kind), name=f"{kind}.jsonl", purpose=f"batch_{kind}")
            job.outputs[kind] = file.id
        late = next((fault for kind in _LATE if (fault := job.planned(kind))), None)
        job.hidden = late.polls if late else 0
        if late and late.kind == "late_rows":
            self._hold_rows_back(job, late.fraction)
        job.stand, job.ended_at = stand, self.clock()
        self._keep_beginnings(job, begun)
        with (self.folder / BILL).open("ab") as handle:
            handle.write(b"".join(bill))

    def _hold_rows_back(self, job: RemoteJob, fraction: float) -> None:
        """Cut the last rows off each result file until the job was looked at often enough."""
        for file_id in job.outputs.values():
            path = self._payload(job.vendor, file_id)
            rows = path.read_bytes().splitlines(keepends=True)
            path.rename(_whole(path))
            path.write_bytes(b"".join(rows[: len(rows) - ceil(len(rows) * fraction)]))
            self._measure(job.vendor, file_id)

    def _bring_late_rows(self, job: RemoteJob) -> None:
        for file_id in job.outputs.values() if job.hidden == 0 and job.planned("late_rows") else ():
            path = self._payload(job.vendor, file_id)
            if _whole(path).exists():
                _whole(path).replace(path)
                self._measure(job.vendor, file_id)

    def _measure(self, vendor: str, file_id: str) -> None:
        held = self._files[vendor, file_id]
        held.size = self._payload(vendor, file_id).stat().st_size
        self.save(held)

    def _keep_beginnings(self, job: RemoteJob, begun: Mapping[str, Beginning]) -> None:
        """Caches hold what the rows of a job began with, once the job has ended: they do not see each other's."""
        self._kept |= {f"{job.vendor} {key}": self.clock() + beginning.keeps_s for key, beginning in begun.items()}
        if begun:
            (self.folder / KEPT).write_bytes(files.dumps(self._kept))

    def _write_row(
        self, job: RemoteJob, line: Json, fate: Fate, out: _Outputs, bill: list[bytes], begun: dict[str, Beginning]
    ) -> None:
        language = self.languages[job.vendor]
        request = language.ask(line, job)
        if request.wrong and fate in {Fate.OK, Fate.REFUSED}:
            fate = Fate.ERROR
        job.tally.add(fate)
        if fate is Fate.MISSING:
            return
        beginning = request.beginning if request.beginning and request.beginning.tokens else None
        is_there = beginning is not None and self._kept.get(f"{job.vendor} {beginning.key}", 0.0) > job.created_at
        answered = self.rule.reply(request).kept(beginning, is_there=is_there)
        kind, row = language.row(request, job, fate, answered)
        out.write(kind, row)
        if fate in {Fate.OK, Fate.REFUSED}:
            if beginning is not None:
                begun[beginning.key] = beginning
            bill.append(files.dumps(_billed(request, job, answered)) + b"\n")

    def bill(self) -> list[Json]:
        """The vendors' bill so far: one entry for each request that a model has worked on, whatever was fetched."""
        with self.lock:
            path = self.folder / BILL
            return [_object(line) for _, _, line in files.lines(path)] if path.exists() else []

    # -- records on disk

    def save(self, record: RemoteFile | RemoteJob) -> None:
        """Write a record that a protocol has changed."""
        kind = "file" if isinstance(record, RemoteFile) else "job"
        self._record(record.vendor, kind, record.id).write_bytes(files.dumps(asdict(record)))

    def _payload(self, vendor: str, file_id: str) -> Path:
        return self.folder / "files" / f"{vendor}.{_safe(file_id)}"

    def _record(self, vendor: str, kind: str, record_id: str) -> Path:
        return self.folder / "records" / f"{kind}.{vendor}.{_safe(record_id)}.json"

    def _load(self) -> None:
        for name in ("files", "records", "incoming", "making"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        records = [files.loads(path.read_bytes()) for path in (self.folder / "records").glob("*.json")]
        for record in sorted(records, key=lambda table: table["created_at"]):
            if "rows" in record:
                tally = Tally(**record.pop("tally"))
                job = RemoteJob(**{**record, "tally": tally, "stand": Stand(record["stand"])})
                self._jobs[job.vendor, job.id] = job
            else:
                self._files[record["vendor"], record["id"]] = RemoteFile(**record)
        if (kept := self.folder / KEPT).exists():
            self._kept = files.loads(kept.read_bytes())
        log = self.folder / "creates.jsonl"
        for _, _, line in files.lines(log) if log.exists() else ():
            entry = files.loads(line)
            self.creates.append(Created(**{**entry, "custom_ids": tuple(entry["custom_ids"])}))


class _Outputs:
    """The result files of one job while they are written."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._handles: dict[str, BinaryIO] = {}
        self._last: dict[str, Json] = {}
        self.paths: dict[str, Path] = {}

    def write(self, kind: str, row: Json) -> None:
        """One more row."""
        if kind not in self._handles:
            self.paths[kind] = self._folder / uuid.uuid4().hex
            self._handles[kind] = self._stack.enter_context(self.paths[kind].open("wb"))
        self._handles[kind].write(files.dumps(row) + b"\n")
        self._last[kind] = row

    def soil(self) -> None:
        """Add to each file what should never be in one: a duplicate, an unknown id, garbage and blank lines."""
        for kind, handle in self._handles.items():
            row = self._last[kind]
            stranger = {name: "nobody-asked-this" if name in {"custom_id", "key"} else row[name] for name in row}
            for line in (
                files.dumps(row),
                b"\xef\xbb\xbf" + files.dumps(row),
                b"",
                b"{broken",
                b"[1, 2]",
                b'"\xe2\x80\xa8"',
                files.dumps(stranger),
            ):
                handle.write(line + b"\n")


def _whole(path: Path) -> Path:
    """Path of a result file whose last rows come late."""
    return path.with_name(f"{path.name}.whole")


def _fate(job: RemoteJob, index: int) -> Fate:
    """The fate of a row that ran, spread evenly over the job."""
    for kind, fate in (("errors", Fate.ERROR), ("refusals", Fate.REFUSED), ("missing", Fate.MISSING)):
        fault = job.planned(kind)
        if fault and int((index + 1) * fault.fraction) > int(index * fault.fraction):
            return fate
    return Fate.OK


def _object(line: bytes) -> Json:
    try:
        value = files.loads(line)
    except ValueError:
        raise Refusal(400, "This line is not parseable as valid JSON.", "invalid_json_line") from None
    if not isinstance(value, dict):
        raise Refusal(400, "This line is not a JSON object.", "invalid_json_line")
    return value


def _unique(custom_id: str, seen: set[str]) -> str:
    if custom_id in seen:
        raise Refusal(400, f"The custom_id '{custom_id}' is not unique.", "duplicate_custom_id")
    return custom_id


def _plain(fault: Fault) -> Json:
    return asdict(fault)


def _output_id(job: RemoteJob, kind: str) -> str | None:
    """Result files whose id a protocol derives from its job are named by it."""
    pattern = job.extra.get("output_id")
    return str(pattern).format(kind=kind) if pattern else None


def _safe(name: str) -> str:
    """A name that cannot leave its folder."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:120]
