"""Counts of requests while a batch is out: the vendor's own counters, until the rows are there."""

from __future__ import annotations

from collections.abc import Sequence

from batchflow.ledger.records import JobRecord, Tally
from batchflow.records import Outcome
from batchflow.states import State


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
    if job.state is State.FETCHED and job.done is None:  # it never counted
        return job.n_requests, 0, 0
    failed = min(job.failed or 0, job.n_requests)
    done = min(job.done or 0, job.n_requests - failed)  # older ledgers count the failed rows of local jobs as done too
    rest = job.n_requests - done - failed
    word = (job.word or "").lower()
    if job.state is not State.RUNNING and ("cancel" in word or word == "ended"):  # Anthropic's word for every end
        return done, failed, rest
    return (done, failed + rest, 0) if job.state is State.FETCHED else (done, failed, 0)
