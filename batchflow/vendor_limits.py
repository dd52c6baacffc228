"""Limits of vendors that a project states in batchflow.toml.

[limits.openai]
requests = 1000                   # of one job, below the vendor's own
enqueued_jobs = 20                # of all jobs that are out together, as the vendor allows this account
[limits.openai."gpt-6-sol"]
enqueued_tokens = 2_000_000       # the same for one model
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchflow.errors import UsageError

OF_A_JOB = ("requests", "file_bytes")
OF_THE_QUEUE = ("enqueued_tokens", "enqueued_requests", "enqueued_jobs")
"""Keys of `[limits.<vendor>]`; those of the queue may stand in a table for a model too."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The most that may be out at a vendor at once; None: no limit is known. of_model: keys that count one model."""

    tokens: int | None = None
    requests: int | None = None
    jobs: int | None = None
    of_model: frozenset[str] = frozenset({"tokens"})  # vendors count enqueued tokens model by model

    @property
    def any(self) -> bool:
        """Tells whether anything is limited."""
        return (self.tokens, self.requests, self.jobs) != (None, None, None)


def checked(vendor: str, section: Any) -> Mapping[str, Any]:
    """The table of a vendor. Raises UsageError for anything but whole numbers above 0, and for keys nobody reads."""
    where = f"batchflow.toml: [limits.{vendor}]"
    if not isinstance(section, dict):
        raise UsageError(f"{where} has to be a table", hint="requests = 1000")
    for name, value in section.items():
        if isinstance(value, dict):
            for key, number in value.items():
                _check(f'batchflow.toml: [limits.{vendor}."{name}"]', key, number, OF_THE_QUEUE)
        else:
            _check(where, name, value, OF_A_JOB + OF_THE_QUEUE)
    return section


def _check(where: str, name: str, value: Any, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UsageError(f"{where} {name}: unknown", hint=f"it may hold {', '.join(known)}")
    if type(value) is not int or value < 1:
        raise UsageError(f"{where} {name} has to be a whole number above 0")


def of_the_queue(section: Mapping[str, Any], model: str, documented_jobs: int | None) -> QueueLimits:
    """The limits of a vendor's queue for a model. documented_jobs: the vendor's own, where the file says nothing."""
    own = section.get(model, {})
    names = [name.removeprefix("enqueued_") for name in OF_THE_QUEUE]
    values = {name: own.get(f"enqueued_{name}", section.get(f"enqueued_{name}")) for name in names}
    if values["jobs"] is None:
        values["jobs"] = documented_jobs
    return QueueLimits(**values, of_model=frozenset({"tokens", *(name.removeprefix("enqueued_") for name in own)}))
