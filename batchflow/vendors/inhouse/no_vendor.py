"""Verbs that providers without a vendor share, whose jobs end when they are created: rules, and imported answers.

There is nobody to connect to and nothing to upload, wait for or stop; creating again costs nothing and gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.records import Counts, Found, Job, Limits, Phase, Progress
from batchflow.settings import Settings

LIMITS = Limits(requests=10_000_000, file_bytes=1 << 40, source="no vendor: this machine's disk")
STATUSES: Mapping[str, Phase] = {"completed": Phase.ENDED}


def connect(settings: Settings) -> None:
    """Nothing to connect to."""


def upload(client: Any, job: Job) -> str | None:
    """Nothing to upload."""
    return None


def find(client: Any, job: Job) -> Found:
    """Creating again costs nothing and gives the same: never adopt, always create anew."""
    return Found((), sure=True)


def cancel(client: Any, job: Job) -> None:
    """Nothing is running."""


def done(job: Job) -> Progress:
    """The progress of a job that ended as it was created."""
    return Progress(Phase.ENDED, "completed", Counts(job.requests, job.requests, 0))
