"""results: raw bytes to disk, then outcomes into the ledger, then one row per request into the results file.

Each stage can be cut anywhere and done again: a download is written aside and renamed, decoding is one transaction
that starts from nothing, and the results file is made anew from the raw bytes every time.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from batchflow import files, requests, responses
from batchflow.errors import NeedsYou, NotReady, Trouble, VendorError
from batchflow.ledger import Tx, batches, jobs
from batchflow.ledger import requests as rows
from batchflow.ledger.records import BatchRecord, JobRecord, RequestRecord, Tally
from batchflow.records import Download, Kind, Outcome, Parsed, Response, Usage
from batchflow.states import Event, Stage, State, stage
from batchflow.steps import ballots
from batchflow.steps.calls import connected, patiently, vendor_job
from batchflow.steps.context import Context
from batchflow.steps.follow import NOT_FOUND, next_command
from batchflow.steps.poll import REFRESH_S, refresh
from batchflow.steps.raw import RawReader
from batchflow.steps.reading import Form
from batchflow.steps.worlds import refuse_elsewhere
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

LANES = 4
MOST_TOKENS = 2**31 - 1  # of one request; more is a vendor's mistake, and no database's INTEGER
IN_MEMORY = 8 << 20  # bytes of decoded rows that wait in memory for their transaction; more wait on the disk
RECHECKS = 3  # further downloads, at most, of an output that seems short


@dataclass(frozen=True, slots=True)
class ResultsReport:
    """What `results` wrote. outcomes add up to requests once finished; pending requests have no row yet."""

    name: str
    path: str
    finished: bool
    requests: int
    pending: int
    outcomes: dict[str, int]
    parsed: dict[str, int]
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    oddities: dict[str, int]
    rehearsal: bool
    next: str


def results(context: Context, name: str, *, refresh_after_s: float = REFRESH_S) -> ResultsReport:
    """Get whatever is there and write results/<name>.jsonl. Raises NotReady when there is nothing yet, VendorError."""
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        retries = batches.retries_of(tx, batch.id)
    for member in (*retries, batch):  # a retry that ended meanwhile is part of what is there
        catch_up(context, member, refresh_after_s)
    with context.ledger.read() as tx:
        found, tally = jobs.of_batch(tx, batch.id), rows.tally(tx, batch.id)
    if not tally.outcomes:
        where = stage(job.state for job in found)
        error = NeedsYou if where is Stage.NEEDS_YOU else NotReady
        raise error(f"{name} is {where.value}: there are no results yet", hint=_hint(name, where))
    for folder in (context.settings.processed, context.settings.results):
        files.sweep(folder)
    path = write_results(context, batch)
    with context.ledger.read() as tx:
        follow = next_command(tx, batches.by_id(tx, batch.id), found, tally)
    return _report(context, batch, found, tally, path, follow)


def _hint(name: str, where: Stage) -> str:
    verb = "get" if where is Stage.RUNNING else "start"
    return f"batchflow {verb} {name}"


def catch_up(context: Context, batch: BatchRecord, refresh_after_s: float) -> None:
    """Ask about a batch where it runs, and collect what has ended. Raises VendorError."""
    with context.ledger.read() as tx:
        found = jobs.of_batch(tx, batch.id)
    if any(job.state is State.RUNNING for job in found):
        refresh(context, batch, found, refresh_after_s)
    collect(context, batch)


def collect(context: Context, batch: BatchRecord) -> None:
    """Download and decode every job that ended and is not fetched; local jobs that still run give what they have."""
    with context.ledger.read() as tx:
        found = jobs.of_batch(tx, batch.id)
    partial = batch.provider == "local"
    due = [job for job in found if job.state is State.ENDED or (partial and job.state is State.RUNNING)]
    if not due:
        return
    refuse_elsewhere(context, batch)
    vendor = registry.get(batch.provider)
    with connected(context, vendor) as client, ThreadPoolExecutor(min(LANES, len(due))) as pool:
        downloads = list(pool.map(lambda job: _downloaded(context, vendor, client, batch, job), due))
    for job, raw in zip(due, downloads, strict=True):
        if not isinstance(raw, VendorError):
            decode(context, vendor, batch, job, raw)
        elif raw.trouble is Trouble.NOT_FOUND:
            with context.ledger.write() as tx:
                jobs.note(tx, job.id, word=NOT_FOUND, error=str(raw))
    failed = next((raw for raw in downloads if isinstance(raw, VendorError)), None)
    if failed is not None:
        raise failed


# -- downloading ------------------------------------------------------------------------------------------------------

Raw = list[dict[str, Any]]


def _downloaded(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> Raw | VendorError:
    """Bring a job's raw files to disk, whole.

    Fewer lines than requests may be a cut that nothing reported, so they are believed only when two downloads agree.
    """
    try:
        raw = patiently(context, vendor, lambda: _download(context, vendor, client, batch, job))
        for _ in range(RECHECKS):
            if job.state is not State.ENDED or _lines(context, raw) >= job.n_requests:
                break
            before, raw = raw, patiently(context, vendor, lambda: _download(context, vendor, client, batch, job))
            if raw == before:
                break
    except VendorError as error:
        return error
    return raw


def _download(context: Context, vendor: Vendor, client: Any, batch: BatchRecord, job: JobRecord) -> Raw:
    """All files of a job, each written aside and renamed. Raises VendorError GARBLED for one that was cut."""
    made: Raw = []
    for download in vendor.fetch(client, vendor_job(context, batch, job)):
        path = (context.settings.project / job.path).with_suffix(f".{download.kind}.raw")
        with files.replacing(path) as handle:
            size = _stream(download, handle, path, whole=job.state is State.ENDED)
        made.append(
            {
                "kind": download.kind,
                "path": str(path.relative_to(context.settings.project)),
                "bytes": size,
                "sha256": files.sha256(path),
            }
        )
    return made


def _stream(download: Download, handle: BinaryIO, path: Path, *, whole: bool) -> int:
    size, last = 0, b"\n"
    for chunk in download.chunks:
        handle.write(chunk)
        size += len(chunk)
        last = chunk[-1:] or last
    if download.size is not None and size != download.size:
        raise VendorError(f"{path.name}: {size:,} of {download.size:,} bytes came", trouble=Trouble.GARBLED)
    if whole and size and last not in {b"\n", b"}"}:
        raise VendorError(f"{path.name}: the download ends inside a line", trouble=Trouble.GARBLED)
    return size


def _lines(context: Context, raw: Raw) -> int:
    return sum(1 for file in raw for _, _, line in files.lines(context.settings.project / file["path"]) if line.strip())


# -- decoding ---------------------------------------------------------------------------------------------------------


def decode(context: Context, vendor: Vendor, batch: BatchRecord, job: JobRecord, raw: Raw) -> None:
    """Turn a job's raw files into outcomes: one transaction, so that a cut leaves either none or all.

    They are read before it begins, since others wait for it: how long an answer takes to read is its model's choice.
    """
    with context.ledger.read() as tx:
        if not _is_due(tx, job):
            return
    with _Reading(context, vendor, batch, job) as reading:
        for number, file in enumerate(raw):
            reading.read(context.settings.project / file["path"], number)
        with context.ledger.write() as tx:
            if _is_due(tx, job):
                _settle(context, tx, vendor, batch, job, raw, reading)


def _is_due(tx: Tx, job: JobRecord) -> bool:
    """Whether no other process was faster."""
    return jobs.get(tx, job.id).state in {State.ENDED, State.RUNNING}


def _settle(
    context: Context, tx: Tx, vendor: Vendor, batch: BatchRecord, job: JobRecord, raw: Raw, reading: _Reading
) -> None:
    now = context.clock()
    rows.clear(tx, job.id)
    sorter = _Sorter(tx, job, reading.oddities)
    for rank, answered in reading.in_order():
        sorter.sort(rank, answered)
    sorter.flush()
    if job.state is State.RUNNING:
        jobs.note(tx, job.id, raw=raw, oddities=sorter.oddities)
    elif job.adopted and sorter.reached == 0 and sorter.oddities.get("unknown_id"):
        why = f"{job.remote_id} was adopted, but its rows are another batch's"
        jobs.move(tx, job.id, Event.DISOWN, now=now, error=why, remote_id=None, adopted=False)
    else:
        rows.close_open(tx, job.id, *_unanswered(job))
        jobs.move(tx, job.id, Event.FETCH, now=now, raw=raw, oddities=sorter.oddities)
    if batch.retries_id is not None:
        rows.merge_retry(tx, batch.id, batch.retries_id)
    if batch.kind is Kind.JUDGE:
        voter = batch if batch.retries_id is None else batches.by_id(tx, batch.retries_id)
        ballots.count(context, tx, voter, vendor, reading.votes)


def _unanswered(job: JobRecord) -> tuple[str, str]:
    """Outcome and text for requests that no row speaks of, by how the job ended."""
    word = (job.word or "").lower()
    if "expired" in word or "timeout" in word:
        return Outcome.EXPIRED.value, job.error or f"the vendor's window closed ({job.word})"
    if "cancel" in word:
        return Outcome.CANCELLED.value, job.error or f"cancelled ({job.word})"
    if "fail" in word:
        return Outcome.ERROR.value, job.error or f"the vendor failed the batch ({job.word})"
    return Outcome.MISSING.value, "the vendor returned no row for this request"


class _Reading:
    """A job's raw rows, decoded and kept aside, so that the transaction that sorts them in is short."""

    def __init__(self, context: Context, vendor: Vendor, batch: BatchRecord, job: JobRecord) -> None:
        self._context, self._vendor, self._form, self._nonce = context, vendor, Form.of(batch), batch.nonce
        self._low = batches.request_range(batch.id)[0]
        self._aside = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(context.settings.processed))  # noqa: SIM115 - `__exit__` closes it
        self._chunk: list[tuple[int, tuple[Any, ...]]] = []
        self.oddities: dict[str, int] = {}
        self.votes = ballots.Votes(job.id) if batch.kind is Kind.JUDGE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()

    def read(self, path: Path, number: int) -> None:
        """Decode one raw file."""
        with self._context.ledger.read() if self._form.needs_columns else nullcontext() as tx:
            for row in responses.scan(path, self._vendor.decode):
                place = requests.place(row.response.custom_id, self._nonce) if row.response is not None else None
                if row.response is None or place is None:
                    kind = "garbage_line" if row.response is None else "unknown_id"
                    self.oddities[kind] = self.oddities.get(kind, 0) + 1
                    continue
                rank = 2 if row.response.outcome is Outcome.OK else 1
                columns = rows.columns_of(tx, self._low + place) if tx is not None else ""
                self._chunk.append((rank, tuple(self._answered(self._low + place, row, row.response, number, columns))))
                if len(self._chunk) >= rows.CHUNK:
                    self._put_aside()

    def in_order(self) -> Iterator[tuple[int, rows.Answered]]:
        """(1 for a failure, 2 for an answer; the row) of each row with an id in the form of ours, in their order."""
        self._put_aside()
        self._aside.seek(0)
        for line in self._aside:
            for rank, answered in files.loads(line):
                yield rank, rows.Answered._make(answered)

    def _put_aside(self) -> None:
        self._aside.write(files.dumps(self._chunk) + b"\n")
        self._chunk = []

    def _answered(
        self, request_id: int, row: responses.RawRow, response: Response, number: int, columns: str
    ) -> rows.Answered:
        answer = self._answer(response, columns)
        if self.votes is not None:
            self.votes.read(number, row.offset, response, answer)
        error = response.error or (answer.why if answer else None)
        return rows.Answered(
            request_id,
            str(response.custom_id),
            response.outcome.value,
            answer.parsed.value if answer else None,
            error[:4000] if error else None,
            response.model,
            *_tokens(response.usage),
            number,
            row.offset,
            row.length,
        )

    def _answer(self, response: Response, columns: str) -> responses.Answer | None:
        if response.outcome is not Outcome.OK:
            return None
        if self._vendor.NAME == "rule":  # its verdict leaves the justification open, which is no fault of its form
            return responses.Answer(Parsed.STRICT, files.loads(response.text or "{}"))
        return self._form.read(response, columns)


class _Sorter:
    """Assigns rows to their requests: the first answer counts, an answer beats a failure, all else is an oddity."""

    def __init__(self, tx: Tx, job: JobRecord, oddities: dict[str, int]) -> None:
        self._tx, self.oddities = tx, oddities
        self._first, self._last = rows.span(tx, job.id)
        self._seen = bytearray(self._last - self._first + 1)  # 0 nothing, 1 a failure, 2 an answer
        self._chunk: list[rows.Answered] = []
        self.reached = 0

    def sort(self, rank: int, row: rows.Answered) -> None:
        """Take one row. rank: 1 for a failure, 2 for an answer."""
        if not self._first <= row.id <= self._last:
            return self._odd("unknown_id")
        if self._seen[row.id - self._first]:
            self.flush()  # what was seen may turn out to be a stranger with an id that only looks like ours
        seen = self._seen[row.id - self._first]
        if seen:
            self._odd("duplicate")
        if rank > seen:
            self._seen[row.id - self._first] = rank
            self._chunk.append(row)
            if len(self._chunk) >= rows.CHUNK:
                self.flush()
        return None

    def flush(self) -> None:
        """Write what is collected. Rows whose id is ours in form but was never sent reach no request."""
        chunk, self._chunk = self._chunk, []
        touched = rows.settle(self._tx, chunk)
        self.reached += touched
        if touched != len(chunk):
            for row in chunk:
                if not rows.settle(self._tx, [row]):
                    self._odd("unknown_id")
                    self._seen[row.id - self._first] = 0

    def _odd(self, kind: str) -> None:
        self.oddities[kind] = self.oddities.get(kind, 0) + 1


def _tokens(usage: Usage | None) -> tuple[int | None, int | None, int | None, int | None]:
    """Input, cached, output and reasoning tokens, as far as a database's INTEGER goes."""
    if usage is None:
        return None, None, None, None
    told = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
    if max(told) <= MOST_TOKENS:
        return told
    a, b, c, d = (min(count, MOST_TOKENS) for count in told)
    return a, b, c, d


# -- the results file -------------------------------------------------------------------------------------------------


def write_results(context: Context, batch: BatchRecord) -> Path:
    """Write results/<name>.jsonl from the raw bytes: one row per settled request, in request order."""
    path = context.settings.results / f"{batch.name}.jsonl"
    digest = hashlib.sha256()
    with files.replacing(path) as handle:
        for row in result_rows(context, batch):
            line = files.dumps(row) + b"\n"
            digest.update(line)
            handle.write(line)
    with context.ledger.write() as tx:
        facts = {"results_path": str(path.relative_to(context.settings.project)), "results_sha256": digest.hexdigest()}
        batches.note(tx, batch.id, **facts, results_at=context.clock())
    return path


def result_rows(context: Context, batch: BatchRecord) -> Iterator[dict[str, Any]]:
    """Rows of the results file: layton-eval's five keys first, then what a reader needs to trust them."""
    vendor, form = registry.get(batch.provider), Form.of(batch)
    marked = {"rehearsal": True} if batch.rehearsal else {}  # never to be taken for the real thing
    with context.ledger.read() as tx:
        found = jobs.with_retries(tx, batch.id)
        with RawReader(context.settings.project, vendor, found) as reader:
            for request in rows.stream(tx, batch.id):
                if request.outcome is not None:
                    yield {**_result_row(request, reader, form), **marked}


def _result_row(request: RequestRecord, reader: RawReader, form: Form) -> dict[str, Any]:
    response, original = reader.original(reader.line(request))
    text = response.text if response else None
    value = form.read(response, request.columns).value if response and request.outcome == Outcome.OK.value else None
    row: dict[str, Any] = {
        "id": response.row_id if response else None,
        "custom_id": request.item_id,
        "answer": text if value is None else form.shown(value),
        "model": request.model,
        "original": original,
        "outcome": request.outcome,
        "parsed": request.parsed,
        "error": request.error,
        "usage": _usage(request),
        "sample": request.sample,
        "retried": request.raw_job_id is not None,
        "request": request.custom_id,
    }
    return row


def _usage(request: RequestRecord) -> Mapping[str, int] | None:
    if request.input_tokens is None:
        return None
    return {
        "input_tokens": request.input_tokens,
        "cached_tokens": request.cached_tokens or 0,
        "output_tokens": request.output_tokens or 0,
        "reasoning_tokens": request.reasoning_tokens or 0,
    }


def _report(
    context: Context, batch: BatchRecord, found: tuple[JobRecord, ...], tally: Tally, path: Path, follow: str
) -> ResultsReport:
    oddities: dict[str, int] = {}
    for job in found:
        for kind, count in job.oddities.items():
            oddities[kind] = oddities.get(kind, 0) + count
    where = stage(job.state for job in found)
    relative = str(path.relative_to(context.settings.project))
    return ResultsReport(
        name=batch.name,
        path=relative,
        finished=where is Stage.FINISHED,
        requests=tally.requests,
        pending=tally.pending,
        outcomes=dict(tally.outcomes),
        parsed=dict(tally.parsed),
        input_tokens=tally.input_tokens,
        cached_tokens=tally.cached_tokens,
        output_tokens=tally.output_tokens,
        reasoning_tokens=tally.reasoning_tokens,
        oddities=oddities,
        rehearsal=batch.rehearsal,
        next=follow,
    )
