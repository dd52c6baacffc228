"""Contents of a report, as plain values: `steps.viewing.gather` fills it, and every format reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One batch of a report.

    summary: as `score --json` has it (docs/statistics.md), empty where the batch is not scored; trouble says why.
    corrected: the same, corrected with human labels; empty without them. outcomes: requests by how they ended.
    reasons: why requests are unanswered, as `results --json` has them. cost: in words. made: how the batch was made.
    judges: how each judge batch was made.
    """

    name: str
    provider: str
    model: str
    task: str
    split: str
    rehearsal: bool
    requests: int
    answered: int
    outcomes: Mapping[str, int]
    reasons: tuple[Json, ...]
    tokens: Mapping[str, int]
    cost: str
    made: tuple[tuple[str, str], ...]
    judges: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    summary: Json = field(default_factory=dict)
    corrected: Json = field(default_factory=dict)
    trouble: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportData:
    """Batches, best score first, and their comparison. pairs: as `compare --json` has them. columns: those of groups.

    made_at: RFC 3339 UTC. versions: of this program and what it computes with. cost: of all batches with their retries
    and juries, in words. biases: of the judges, as `score --bias --json` has them. cost_notes, bias_notes: what is
    missing.
    """

    title: str
    made_at: str
    field: str
    level: float
    batches: tuple[BatchPart, ...]
    pairs: tuple[Json, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    cost: str = "unknown"
    cost_notes: tuple[str, ...] = ()
    biases: tuple[Json, ...] = ()
    bias_notes: tuple[str, ...] = ()

    @property
    def rehearsal(self) -> bool:
        """Tells whether any of the answers are made up."""
        return any(batch.rehearsal for batch in self.batches)

    @property
    def scored(self) -> tuple[BatchPart, ...]:
        """Batches that have a score."""
        return tuple(batch for batch in self.batches if batch.summary)


def points(share: float | None, digits: int = 1) -> str:
    """A share of the scale as points of 100; a dash for none.

    >>> points(0.5), points(None)
    ('50.0', '–')
    """
    return "–" if share is None else f"{100 * share:.{digits}f}"


def gain(share: float, digits: int = 1) -> str:
    """A difference in points of 100, with its sign.

    >>> gain(0.05), gain(-0.05)
    ('+5.0', '−5.0')
    """
    return f"{100 * share:+.{digits}f}".replace("-", "−")


def between(low: float | None, high: float | None) -> str:
    """An interval in points of 100."""
    return "–" if low is None or high is None else f"{points(low)} – {points(high)}"


def plural(count: int, noun: str) -> str:
    """`1 item`, `2,000 items`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
