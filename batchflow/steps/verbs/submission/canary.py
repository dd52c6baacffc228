"""A canary: the first rows of a batch go alone, the rest only when they came back parsed.

Vendors are known to ignore a schema in batch mode and to bill for the answers all the same. Where a vendor keeps the
beginning of the prompts in a cache, the canary fills it: rows that run together do not see each other's writes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import NeedsYou, NotReady, StaleState, UsageError
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import State
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import alone
from batchflow.steps.base.money.prompt_cache import CANARY_FOR, KEY, PromptCache, is_filled_by
from batchflow.steps.collecting.fetch import collect
from batchflow.steps.collecting.poll import refresh
from batchflow.steps.sending import journal
from batchflow.steps.sending.send import check_file
from batchflow.vocabulary import REFRESH_S

MOST_FILLS = 3
"""Requests that go alone to fill a batch's cache, at most: then the rest goes as it is."""

_FILLS = "cache_fills"
_OUT = frozenset({State.STARTING, State.SENDING, State.UNSURE, State.RUNNING, State.ENDED})


def split(
    context: Context, batch: BatchRecord, size: int, *, accept_edit: bool = False, only_fills: bool = False
) -> BatchRecord:
    """Cut the first job of a prepared batch in two, the first of them `size` requests long; done once.

    only_fills: it fills a cache, and the rest goes whatever its answers are.

    The new files are written first and the old one is removed last, so that a cut in between leaves both readable;
    all under the first job's lock, which a `start` with another size has to wait for. Raises UsageError for a batch
    that has been sent already or is not longer than its canary, DataError (edited file), StaleState where another
    `start` was faster.
    """
    with context.ledger.read() as tx:
        first = jobs.of_batch(tx, batch.id)[0]
    with alone(context, batch, first):
        with context.ledger.read() as tx:
            batch, parts = batches.by_id(tx, batch.id), jobs.of_batch(tx, batch.id)
        standing = batch.options.get("canary")
        if standing is None:
            _refuse_unfit(context, batch, parts, size)
            check_file(context, batch, parts[0], accept=accept_edit)
            options = {"canary": size, **({CANARY_FOR: KEY} if only_fills else {})}
            return _cut(context, batch, parts, 0, size, options)
    if standing != size:
        raise UsageError(f"{batch.name} has a canary of {standing} requests already, not of {size}")
    return batch


def _refuse_unfit(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...], size: int) -> None:
    is_sent = any(job.state is not State.PREPARED for job in parts)
    if is_sent or journal.unheard_of(context, batch, parts[0]):
        text = f"{batch.name} has been sent already: it is too late for a canary"
        raise UsageError(text, hint=f"batchflow start {batch.name}")
    if not 0 < size < parts[0].n_requests:
        raise UsageError(f"--canary {size}: {batch.name}'s first job has {parts[0].n_requests} requests", hint="fewer")


def _cut(
    context: Context,
    batch: BatchRecord,
    job_records: tuple[JobRecord, ...],
    at: int,
    size: int,
    options: dict[str, Any],
) -> BatchRecord:
    old = context.settings.project / job_records[at].path
    head, tail = _named(old, "canary"), _named(old, "rest")
    parts = [_copy(old, head, 0, size), _copy(old, tail, size, None)]
    for path, facts in zip((head, tail), parts, strict=True):
        payloads.keep(context, path, facts["sha256"])
    with context.ledger.write(batch.id) as tx:
        if [_stand(job) for job in jobs.of_batch(tx, batch.id)] != [_stand(job) for job in job_records]:
            raise StaleState(f"{batch.name}: another start was faster", hint="run the same command again")
        _write(tx, context, batch, job_records, at, (head, tail), parts)
        now = batches.by_id(tx, batch.id).options  # a cap may have been set while the file was copied
        batches.note(tx, batch.id, options={**now, **options})
        updated = batches.by_id(tx, batch.id)
    old.unlink(missing_ok=True)
    return updated


def _stand(job: JobRecord) -> tuple[int, State, str]:
    """Facts that another `start` changes first: the state by its claim, the path by its canary."""
    return job.id, job.state, job.path


def _named(path: Path, what: str) -> Path:
    """A name that no batch can have: `b.canary` may be another batch's."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}~{what}.jsonl")


def _copy(source: Path, target: Path, first: int, size: int | None) -> dict[str, Any]:
    """Copy lines first..first+size (None: to the end) aside and rename; returns the job's facts."""
    digest, count, length = hashlib.sha256(), 0, 0
    with files.replacing(target) as out, source.open("rb") as lines:
        for number, line in enumerate(lines):
            if number >= first and (size is None or number < first + size):
                out.write(line)
                digest.update(line)
                count, length = count + 1, length + len(line)
    return {"sha256": digest.hexdigest(), "n_requests": count, "bytes": length}


def _write(
    tx: Tx,
    context: Context,
    batch: BatchRecord,
    job_records: tuple[JobRecord, ...],
    at: int,
    paths: tuple[Path, Path],
    parts: list[dict[str, Any]],
) -> None:
    relative = [str(path.relative_to(context.settings.project)) for path in paths]
    jobs.note(tx, job_records[at].id, path=relative[0], **parts[0])
    rest = jobs.insert(tx, batch.id, part=len(job_records), path=relative[1], **parts[1])
    request_rows.hand_over(tx, job_records[at].id, parts[0]["n_requests"], rest)


def gate(context: Context, batch: BatchRecord, *, ignore: bool = False) -> frozenset[int]:
    """Ids of the jobs that may be sent now. Asks after a canary that is out.

    Raises NeedsYou when the canary came back unparsed, NotReady while it has not come back.
    """
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
    everything = frozenset(job.id for job in parts)
    canary = parts[0]
    unsent = {State.PREPARED, State.REFUSED, State.STARTING, State.SENDING, State.UNSURE}
    if "canary" not in batch.options or ignore:
        return everything
    if canary.state in unsent:
        return frozenset({canary.id})
    if canary.state is State.RUNNING:
        refresh(context, batch, (canary,), REFRESH_S)
    collect(context, batch)
    with context.ledger.read() as tx:
        canary = jobs.get(tx, canary.id)
        good = request_rows.count_parsed(tx, canary.id)
    if canary.state in {State.RUNNING, State.ENDED}:
        follow = f"get {batch.name} --wait" if canary.state is State.RUNNING else f"results {batch.name}"
        raise NotReady(f"{batch.name}: its canary is {canary.state.value}", hint=f"batchflow {follow}")
    if good < canary.n_requests and CANARY_FOR not in batch.options:
        raise NeedsYou(
            f"{batch.name}: {good:,} of {canary.n_requests:,} canary requests came back parsed; the rest was not sent",
            hint=f"look: batchflow results {batch.name}; to go on: batchflow start {batch.name} --past-canary",
        )
    return everything if PromptCache.of(batch.spec) is None else _with_a_filled_cache(context, batch)


def _with_a_filled_cache(context: Context, batch: BatchRecord) -> frozenset[int]:
    """Ids of the jobs that may be sent now, so that they read what the vendor keeps.

    Where nothing was written, or too long ago, one more request goes alone first. Raises NotReady while one is out.
    """
    with context.ledger.read() as tx:
        batch, parts = batches.by_id(tx, batch.id), jobs.of_batch(tx, batch.id)
    size, now = int(batch.options["canary"]), context.clock()
    everything = frozenset(job.id for job in parts)
    waiting = [(place, job) for place, job in enumerate(parts) if job.state is State.PREPARED]
    if not waiting or any(is_filled_by(job, size, now) for job in parts):
        return everything
    if any(job.state in _OUT for job in parts):
        raise NotReady(
            f"{batch.name}: a request that fills the cache is out", hint=f"batchflow get {batch.name} --wait"
        )
    alone_first = [job for _, job in waiting if job.n_requests <= size]
    fills = int(batch.options.get(_FILLS, 1))
    if alone_first:
        return frozenset({alone_first[0].id})
    place, job = waiting[0]
    if fills >= MOST_FILLS or journal.unheard_of(context, batch, job):
        return everything
    context.say(f"{batch.name}: the vendor's cache has run out: one request goes alone first, to fill it again")
    with alone(context, batch, job):
        check_file(context, batch, job, accept=False)
        _cut(context, batch, parts, place, 1, {_FILLS: fills + 1})
    return frozenset({job.id})
