"""Counts of requests while a batch is out: the vendor's own counters, until the rows are there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from batchflow.ledger.records import JobRecord, Tally, are_tallies
from batchflow.records import Outcome
from batchflow.states import State

STILL_S = 600.0
"""Seconds without a further counted request after which counts are said to stand still."""


class Counting(StrEnum):
    """State of a vendor's counts for a job that is out."""

    MOVES = "moves"
    STILL = "still"  # the vendor answers, and has counted no further request for STILL_S
    NONE = "none"  # the vendor sends no counts, or none before the end


def counting(job: JobRecord, *, is_ours: bool, at_end: bool) -> Counting | None:
    """The state of a job's counts; None where it is not out or was not asked about yet.

    is_ours: no vendor counts. at_end: the vendor counts once the job has ended (`Traits.counts_at_end`).
    """
    if is_ours or job.state is not State.RUNNING or job.checked_at is None:
        return None
    if job.done is None and job.failed is None:
        return Counting.NONE
    if sum(of_job(job)) == job.n_requests or not is_stuck(job):
        return Counting.MOVES
    return Counting.NONE if at_end and not any(of_job(job)) else Counting.STILL


def is_stuck(job: JobRecord) -> bool:
    """Tells whether a vendor that answers has told nothing new of a job for STILL_S."""
    since = _since(job)
    if (
        since is None or job.checked_at is None or ((job.done or job.failed) and job.counted_at is None)
    ):  # heard before it was kept
        return False
    return (job.checked_at - since).total_seconds() >= STILL_S


def sentence(job: JobRecord, provider: str, state: Counting | None) -> str | None:
    """Sentence for a person about a job's counts; None where they move."""
    since = _since(job)
    if state is Counting.NONE:
        return f"{provider} counts nothing before the end: how many requests are done is known once the batch has ended"
    if state is Counting.STILL and since is not None:
        counted = f"{sum(of_job(job)):,} of {job.n_requests:,} requests since {since:%Y-%m-%d %H:%M} UTC"
        return f"{provider} has counted {counted}: its counts stand still, and so they do not tell how far it is"
    return None


def _since(job: JobRecord) -> datetime | None:
    """Time since which a job's counts stand as they do."""
    return max((at for at in (job.counted_at, job.accepted_at) if at), default=None)


def of_batch(parts: Sequence[JobRecord], tally: Tally) -> dict[str, int]:
    """Requests of a batch by what is known: outcomes where fetched, the vendor's own counters before that.

    done: answered. What was cancelled is told apart, where something was.
    """
    if not tally.pending:
        failed = sum(tally.unanswered.values()) - tally.outcomes.get(Outcome.CANCELLED.value, 0)
        summed = {"requests": tally.requests, "pending": 0, "done": tally.answered, "failed": failed}
        return {**summed, **tally.outcomes}
    done, failed, cancelled = (sum(column) for column in zip(*map(of_job, parts), strict=True))
    pending = max(0, tally.requests - done - failed - cancelled)
    counts = {"requests": tally.requests, "pending": pending, "done": done, "failed": failed}
    return counts | ({Outcome.CANCELLED.value: cancelled} if cancelled else {})


def of_job(job: JobRecord) -> tuple[int, int, int]:
    """Answered, failed and cancelled requests of a job, as last heard."""
    if job.state is State.CANCELLED:
        return 0, 0, job.n_requests
    if job.state is State.LOST:
        return 0, job.n_requests, 0
    if job.state not in {State.RUNNING, State.ENDED, State.FETCHED}:
        return 0, 0, 0
    if job.state is State.FETCHED and not (job.done or job.failed):  # it never counted
        return _of_rows(job)
    failed = min(job.failed or 0, job.n_requests)
    done = min(job.done or 0, job.n_requests - failed)  # older ledgers count the failed rows of local jobs as done too
    rest = job.n_requests - done - failed
    word = (job.word or "").lower()
    if job.state is not State.RUNNING and ("cancel" in word or word == "ended"):  # Anthropic's word for every end
        return done, failed, rest
    return (done, failed + rest, 0) if job.state is State.FETCHED else (done, failed, 0)


def _of_rows(job: JobRecord) -> tuple[int, int, int]:
    """Answered, failed and cancelled requests of a fetched job, by its rows; all answered where nobody kept these."""
    if not are_tallies(job.counts) or not job.counts:
        return job.n_requests, 0, 0
    done = sum(row[2] for row in job.counts if row[0] == Outcome.OK.value)
    cancelled = sum(row[2] for row in job.counts if row[0] == Outcome.CANCELLED.value)
    return done, job.n_requests - done - cancelled, cancelled
