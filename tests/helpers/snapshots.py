"""Snapshots of progress for tests that draw or tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from batchflow.states import Stage, State
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.snapshot import BatchSnapshot, JobSnapshot, Snapshot, Spent

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def job(**facts: Any) -> JobSnapshot:
    """A job of 50 requests that runs since noon."""
    known: dict[str, Any] = {
        "part": 0, "state": State.RUNNING, "word": None, "requests": 50, "done": 0, "failed": 0, "cancelled": 0,
        "rate": None, "begun_at": NOON, "over_at": None, "end": None, "unknown_end": "", "counting": None,
        "problem": None,
    }  # fmt: skip
    return JobSnapshot(**known | facts)


def batch(name: str = "b", *jobs: JobSnapshot, **facts: Any) -> BatchSnapshot:
    """A batch of questions with one job, or with these."""
    several = jobs or (job(done=facts.get("done", 0), failed=facts.get("failed", 0)),)
    known: dict[str, Any] = {
        "name": name, "handle": "@1", "role": Role.ROOT, "of": None, "provider": "openai", "model": "m",
        "stage": Stage.RUNNING, "rehearsal": False, "requests": sum(one.requests for one in several),
        "done": sum(one.done for one in several), "failed": sum(one.failed for one in several), "cancelled": 0,
        "outcomes": {}, "rate": None, "spent": Spent(is_free=True), "begun_at": NOON, "over_at": None, "end": None,
        "unknown_end": "", "problems": (), "jobs": several,
    }  # fmt: skip
    return BatchSnapshot(**known | facts)


def snapshot(*several: BatchSnapshot, minutes: float = 5) -> Snapshot:
    """Batches at five minutes past noon."""
    return Snapshot(NOON + timedelta(minutes=minutes), several)
