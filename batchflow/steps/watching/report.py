"""watch: progress of batches as a report, for `--json` and for the card that stays when the view is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from batchflow.steps.watching.expected_end import End
from batchflow.steps.watching.snapshot import BatchSnapshot, JobSnapshot, Problem, Snapshot


@dataclass(frozen=True, slots=True)
class EndRow:
    """Expected end. Times: RFC 3339 UTC. basis: `worker`, `counts`, `model` or `vendor`. jobs: earlier ones, if any."""

    earliest: str
    likely: str
    latest: str
    basis: str
    jobs: int


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """Cause of a delay of a batch or job. needs_you: it does not pass by itself."""

    kind: str
    text: str
    advice: str
    needs_you: bool


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job. rows_per_s: so far. unknown_end: why an open one has no expected end.

    counting: of one that is out, whether its vendor's counts move: `moves`, `still` or `none`.
    """

    part: int
    state: str
    word: str | None
    requests: int
    done: int
    failed: int
    cancelled: int
    rows_per_s: float | None
    begun_at: str | None
    ended_at: str | None
    expected_end: EndRow | None
    unknown_end: str
    counting: str | None
    problem: ProblemRow | None


@dataclass(frozen=True, slots=True)
class CostRow:
    """Cost so far in USD; by usage for `billed` requests, by the estimate for `estimated` ones. None: unknown."""

    low_usd: float | None
    high_usd: float | None
    billed: int
    estimated: int
    unpriced: int
    expected_low_usd: float | None
    expected_high_usd: float | None
    is_free: bool


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch. role: `root`, `retry` or `judge`; of: the batch that it retries or judges."""

    name: str
    handle: str
    role: str
    of: str | None
    provider: str
    model: str
    state: str
    rehearsal: bool
    requests: int
    done: int
    failed: int
    cancelled: int
    outcomes: dict[str, int]
    rows_per_s: float | None
    cost: CostRow
    begun_at: str | None
    ended_at: str | None
    expected_end: EndRow | None
    unknown_end: str
    problems: tuple[ProblemRow, ...]
    jobs: tuple[JobRow, ...]


@dataclass(frozen=True, slots=True)
class WatchReport:
    """Batches at one moment. at: RFC 3339 UTC."""

    at: str
    batches: tuple[BatchRow, ...]
    next: str


def report_of(snapshot: Snapshot) -> WatchReport:
    """The report of a snapshot."""
    command = next((batch.problems[0].advice for batch in snapshot.batches if _needs_you(batch)), "")
    is_open = any(batch.is_open for batch in snapshot.batches)
    follow = command if command.startswith("batchflow ") else "batchflow tick" if is_open else "batchflow list"
    return WatchReport(_time(snapshot.at) or "", tuple(map(_batch, snapshot.batches)), follow)


def _needs_you(batch: BatchSnapshot) -> bool:
    return bool(batch.problems) and batch.problems[0].needs_you


def _batch(batch: BatchSnapshot) -> BatchRow:
    spent = batch.spent
    return BatchRow(
        name=batch.name, handle=batch.handle, role=batch.role.value, of=batch.of, provider=batch.provider,
        model=batch.model, state=batch.stage.value, rehearsal=batch.rehearsal, requests=batch.requests, done=batch.done,
        failed=batch.failed, cancelled=batch.cancelled, outcomes=dict(batch.outcomes), rows_per_s=batch.rate,
        cost=CostRow(
            low_usd=spent.low_usd, high_usd=spent.high_usd, billed=spent.billed, estimated=spent.estimated,
            unpriced=spent.unpriced, expected_low_usd=spent.expected_low_usd,
            expected_high_usd=spent.expected_high_usd, is_free=spent.is_free,
        ),
        begun_at=_time(batch.begun_at), ended_at=_time(batch.over_at), expected_end=_end(batch.end),
        unknown_end=batch.unknown_end, problems=tuple(map(_problem, batch.problems)), jobs=tuple(map(_job, batch.jobs)),
    )  # fmt: skip


def _job(job: JobSnapshot) -> JobRow:
    return JobRow(
        part=job.part, state=job.state.value, word=job.word, requests=job.requests, done=job.done, failed=job.failed,
        cancelled=job.cancelled, rows_per_s=job.rate, begun_at=_time(job.begun_at), ended_at=_time(job.over_at),
        expected_end=_end(job.end), unknown_end=job.unknown_end,
        counting=job.counting.value if job.counting else None, problem=_problem(job.problem) if job.problem else None,
    )  # fmt: skip


def _problem(problem: Problem) -> ProblemRow:
    return ProblemRow(problem.kind.value, problem.text, problem.advice, problem.needs_you)


def _end(end: End | None) -> EndRow | None:
    if end is None:
        return None
    earliest, likely, latest = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (end.earliest, end.likely, end.latest))
    return EndRow(earliest, likely, latest, end.basis.value, end.jobs)


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
