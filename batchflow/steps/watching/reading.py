"""Reading of progress: what the ledger knows of batches, as a snapshot. Asks no vendor and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.records import Kind
from batchflow.states import State, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import cost_of
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.failure_reasons import reasons
from batchflow.steps.base.progress.next_command import next_command
from batchflow.steps.base.progress.situation import Role, read_situation
from batchflow.steps.watching import counts, expected_end, problems
from batchflow.steps.watching.expected_end import Earlier, End
from batchflow.steps.watching.snapshot import BatchSnapshot, JobSnapshot, Problem, Snapshot, Spent
from batchflow.vendors.registry import traits_of

REASONS = 3
"""Reasons for unanswered rows that a snapshot holds."""
HISTORY = 200
"""Earlier jobs of a vendor that are looked at."""
_NO_END = {
    **dict.fromkeys((State.PREPARED, State.STARTING, State.SENDING), "a part is not sent yet"),
    **dict.fromkeys((State.UNSURE, State.REFUSED), "a part needs you"),
}
_HAS_ROWS = frozenset({State.FETCHED, State.LOST, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class _Rows:
    """Facts that a batch's rows tell, once some are here."""

    tally: Tally | None = None
    why: tuple[Problem, ...] = ()


_Key = tuple[object, ...]


class ProgressReader:
    """Reads snapshots again and again: rows are counted only when something was fetched, and history is read once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows: dict[int, tuple[_Key, _Rows]] = {}
        self._history: dict[tuple[str, bool], tuple[Earlier, ...]] = {}

    def read(self, names: Iterable[str] | None = None, troubles: Mapping[str, str] | None = None) -> Snapshot:
        """Batches of these names (None: all), each followed by its retries and judges.

        troubles: why a vendor could not be asked just now, by batch. Raises UnknownBatch.
        """
        with self._context.ledger.read() as tx:
            if names is None:
                records = _in_families(batches.listing(tx))
            else:
                members = (one for name in names for one in _family(tx, batches.get(tx, name)))
                records = tuple({one.id: one for one in members}.values())
            return self._snapshot(tx, records, troubles or {})

    def read_alone(self, name: str, trouble: str | None = None) -> Snapshot:
        """One batch without those that retry or judge it. Raises UnknownBatch."""
        with self._context.ledger.read() as tx:
            return self._snapshot(tx, (batches.get(tx, name),), {name: trouble} if trouble else {})

    def _snapshot(self, tx: Tx, records: Sequence[BatchRecord], troubles: Mapping[str, str]) -> Snapshot:
        now, of_name = self._context.clock(), {batch.id: batch.name for batch in records}
        return Snapshot(now, tuple(self._batch(tx, batch, of_name, now, troubles) for batch in records))

    def _batch(
        self, tx: Tx, batch: BatchRecord, of_name: Mapping[int, str], now: datetime, troubles: Mapping[str, str]
    ) -> BatchSnapshot:
        recorded = jobs.of_batch(tx, batch.id)
        beats = worker_liveness.pulses(tx, batch, recorded)
        parts = tuple(worker_liveness.judged(self._context, batch, job, beats.get(job.id)) for job in recorded)
        rows = self._rows_of(tx, batch, parts)
        command = _Command(tx, batch, parts, rows.tally)
        several = tuple(self._job(tx, batch, job, now, command) for job in parts)
        noticed = [problems.unreachable(troubles[batch.name])] if batch.name in troubles else []
        noticed += [job.problem for job in several if job.problem]
        done, failed, cancelled = _over(several, rows.tally)
        begun_at, over_at = _span(several)
        end, why = _end_of(several, self._context.clock())
        return BatchSnapshot(
            name=batch.name, handle=batch.handle, role=_role(batch), of=of_name.get(_above(batch)),
            provider=batch.provider, model=batch.model, stage=stage(job.state for job in parts),
            rehearsal=batch.rehearsal, requests=batch.n_requests, done=done, failed=failed, cancelled=cancelled,
            outcomes=_outcomes(rows.tally), rate=_rate_of(several, begun_at, over_at),
            spent=_spent(tx, batch, parts, several), begun_at=begun_at, over_at=over_at, end=end, unknown_end=why,
            problems=problems.in_order([*noticed, *rows.why]), jobs=several,
        )  # fmt: skip

    def _rows_of(self, tx: Tx, batch: BatchRecord, parts: Sequence[JobRecord]) -> _Rows:
        """Counts of rows and the reasons for those without an answer; from memory where nothing has changed since."""
        if not any(job.state in _HAS_ROWS for job in parts):
            return _Rows()
        key = (*(f"{job.state}{job.ended_at}" for job in parts), batch.results_at)
        known = self._rows.get(batch.id)
        if known is None or known[0] != key:
            tally = request_rows.tally(tx, batch.id)
            why = problems.of_rows(reasons(tx, batch, tally)[:REASONS]) if tally.unanswered else ()
            known = self._rows[batch.id] = (key, _Rows(tally, why))
        return known[1]

    def _job(self, tx: Tx, batch: BatchRecord, job: JobRecord, now: datetime, command: _Command) -> JobSnapshot:
        done, failed, cancelled = counts.of_job(job)
        end, why = self._end(tx, batch, job, done + failed, now)
        traits = traits_of(batch.provider)
        counting = counts.counting(job, is_ours=traits.own_engine, at_end=traits.counts_at_end)
        still = counts.sentence(job, batch.provider, counting) if counting is counts.Counting.STILL else None
        problem = problems.of_job(job, command) or (problems.of_counts(still) if still else None)
        return JobSnapshot(
            part=job.part, state=job.state, word=job.word, requests=job.n_requests, done=done, failed=failed,
            cancelled=cancelled, rate=_rate(job, done + failed), begun_at=job.accepted_at, over_at=job.ended_at,
            end=end, unknown_end=why, counting=counting, problem=problem,
        )  # fmt: skip

    def _end(self, tx: Tx, batch: BatchRecord, job: JobRecord, over: int, now: datetime) -> tuple[End | None, str]:
        """The expected end of a job, else why it is unknown; neither where it has ended."""
        if job.state is not State.RUNNING or job.accepted_at is None:
            return None, _NO_END.get(job.state, "")
        seen_at = job.checked_at or now
        left_s = (job.speed or {}).get("eta_s")
        if isinstance(left_s, int | float):
            return expected_end.by_worker(float(left_s), seen_at=seen_at), ""
        if end := expected_end.by_counts(over, job.n_requests, begun_at=job.accepted_at, seen_at=seen_at):
            return end, ""
        if traits_of(batch.provider).own_engine:
            return None, "no row is finished yet"
        return expected_end.by_history(
            self._earlier(tx, batch), batch.model, job.n_requests, begun_at=job.accepted_at, now=now
        )

    def _earlier(self, tx: Tx, batch: BatchRecord) -> tuple[Earlier, ...]:
        key = (batch.provider, batch.rehearsal)
        if key not in self._history:
            rows = jobs.durations(tx, batch.provider, rehearsal=batch.rehearsal, most=HISTORY)
            self._history[key] = tuple(Earlier(*row) for row in rows)
        return self._history[key]


class _Command:
    """The next command for a batch, found out when it is first asked for."""

    def __init__(self, tx: Tx, batch: BatchRecord, parts: Sequence[JobRecord], tally: Tally | None) -> None:
        self._tx, self._batch, self._found, self._tally = tx, batch, parts, tally
        self._text = ""

    def __call__(self) -> str:
        if not self._text:
            self._text = str(next_command(read_situation(self._tx, self._batch, self._found, self._tally)))
        return self._text


def _in_families(records: Iterable[BatchRecord]) -> tuple[BatchRecord, ...]:
    """Batches in the order of their roots, each followed by those that retry or judge it."""
    several = tuple(records)
    there = {batch.id for batch in several}
    below: dict[int, list[BatchRecord]] = {}
    for batch in several:
        above = _above(batch)
        below.setdefault(above if above in there else 0, []).append(batch)

    def walk(above: int) -> Iterable[BatchRecord]:
        for batch in below.get(above, ()):
            yield batch
            yield from walk(batch.id)

    return tuple(walk(0))


def _family(tx: Tx, root: BatchRecord) -> Iterable[BatchRecord]:
    """A batch, its retries, and its judges with theirs."""
    yield root
    yield from batches.retries_of(tx, root.id)
    for judge in batches.judges_of(tx, root.id):
        yield judge
        yield from batches.retries_of(tx, judge.id)


def _above(batch: BatchRecord) -> int:
    """Id of the batch that a batch retries or judges; 0 for a root."""
    return batch.retries_id or batch.parent_id or 0


def _role(batch: BatchRecord) -> Role:
    if batch.retries_id is not None:
        return Role.RETRY
    return Role.JUDGE if batch.kind is Kind.JUDGE else Role.ROOT


def _over(several: Sequence[JobSnapshot], tally: Tally | None) -> tuple[int, int, int]:
    """Answered, failed and cancelled requests: by the rows once all are here, else as the vendor counts."""
    if tally is not None and not tally.pending:
        cancelled = tally.outcomes.get("cancelled", 0)
        return tally.answered, sum(tally.unanswered.values()) - cancelled, cancelled
    return (
        sum(job.done for job in several), sum(job.failed for job in several), sum(job.cancelled for job in several)
    )  # fmt: skip


def _outcomes(tally: Tally | None) -> dict[str, int]:
    """Rows by how they ended, the answered ones first."""
    if tally is None:
        return {}
    counted = {"answered": tally.answered, **tally.unanswered}
    return {kind: count for kind, count in counted.items() if count}


def _rate(job: JobRecord, over: int) -> float | None:
    """Rows per second of a job: as its worker says, else over the whole time."""
    rate = (job.speed or {}).get("rows_per_s")
    if job.state is State.RUNNING and isinstance(rate, int | float):
        return float(rate)
    until = job.ended_at or job.checked_at
    if job.accepted_at is None or until is None or not over:
        return None
    seconds = (until - job.accepted_at).total_seconds()
    return over / seconds if seconds > 0 else None


def _rate_of(several: Sequence[JobSnapshot], begun_at: datetime | None, over_at: datetime | None) -> float | None:
    """Rows per second of a batch: of the jobs that run, else over the whole time."""
    running = [job.rate for job in several if job.state is State.RUNNING and job.rate is not None]
    if running or begun_at is None or over_at is None:
        return sum(running) if running else None
    seconds = (over_at - begun_at).total_seconds()
    return sum(job.done + job.failed for job in several) / seconds if seconds > 0 else None


def _span(several: Sequence[JobSnapshot]) -> tuple[datetime | None, datetime | None]:
    """Times at which a batch's first job was taken by its vendor and its last one ended; None while one is open."""
    begun = [job.begun_at for job in several if job.begun_at]
    over = [] if any(job.is_open for job in several) else [job.over_at for job in several if job.over_at]
    return min(begun, default=None), max(over, default=None)


def _end_of(several: Sequence[JobSnapshot], now: datetime) -> tuple[End | None, str]:
    """The end of a batch: of its last job; by the counts of all where that of one that runs is unknown."""
    going = [job for job in several if job.is_open]
    if why := next((job.unknown_end for job in going if job.end is None), None):
        begun = [job.begun_at for job in going if job.begun_at is not None and job.state is State.RUNNING]
        if len(begun) == len(going):
            over, total = sum(job.done + job.failed for job in going), sum(job.requests for job in going)
            end = expected_end.by_counts(over, total, begun_at=min(begun), seen_at=now)
            return end, "" if end else why
        return None, why
    return expected_end.last_of(job.end for job in going if job.end is not None), ""


def _spent(tx: Tx, batch: BatchRecord, parts: Sequence[JobRecord], several: Sequence[JobSnapshot]) -> Spent:
    cost = cost_of(tx, batch, parts)
    counted = sum(seen.done for job, seen in zip(parts, several, strict=True) if job.cost is None)
    spent = Spent(
        low_usd=cost.low_usd, high_usd=cost.high_usd, billed=cost.requests, unpriced=cost.unknown,
        is_free=not traits_of(batch.provider).pays,
    )  # fmt: skip
    low, high = cost.estimate_low_usd, cost.estimate_high_usd
    if counted and not spent.is_free:
        share = counted / max(batch.n_requests, 1)
        by_estimate = Spent(
            low_usd=None if low is None else low * share, high_usd=None if high is None else high * share,
            estimated=counted if low is not None else 0, unpriced=0 if high is not None else counted,
        )  # fmt: skip
        spent += by_estimate
    return replace(spent, expected_low_usd=low, expected_high_usd=high)
