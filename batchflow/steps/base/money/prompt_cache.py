"""The prompt cache of a batch, as its spec records it: the beginning that all its requests share, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from batchflow.ledger.records import JobRecord
from batchflow.states import State

KEY = "cache"
OFF = "off"
"""The recorded value where a user wants no cache; nothing is recorded where a cache could not help."""

TTL = "1h"
LIFE = timedelta(minutes=50)
"""Time after a job was accepted for which its cache is relied on: the vendor keeps it for an hour after each use."""

CANARY_FOR = "canary_for"
"""The option of a batch whose canary only fills the cache, so that the rest goes whatever its answers are."""


@dataclass(frozen=True, slots=True)
class PromptCache:
    """The shared beginning. parts: leading parts of the user turn, behind the system text; bytes: of its text."""

    parts: int
    bytes: int
    pictures: int
    ttl: str = TTL

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self | None:
        """The cache that a spec records; None where nothing is cached on request."""
        recorded = spec.get(KEY)
        return cls(**recorded) if isinstance(recorded, dict) else None

    def to_json(self) -> dict[str, Any]:
        """As the spec records it."""
        return asdict(self)


def is_filled_by(job: JobRecord, size: int, now: datetime) -> bool:
    """Tells whether requests that are sent now find what a job wrote. size: of a job that goes alone first."""
    if job.state is State.RUNNING:
        return job.n_requests > size  # it reads, and so renews, what was written before it
    is_recent = job.accepted_at is not None and now - job.accepted_at < LIFE
    return job.state is State.FETCHED and bool(job.usage) and is_recent
