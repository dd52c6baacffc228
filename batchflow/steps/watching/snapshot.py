"""Progress of batches as frozen values: what a live view, a line in a log and `watch` all show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batchflow.states import Stage, State
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.counts import Counting
from batchflow.steps.watching.expected_end import End


class ProblemKind(StrEnum):
    """Cause of a job's delay or failure."""

    REFUSED = "refused"  # the vendor said no to it
    UNSURE = "unsure"  # nobody knows whether the vendor has it
    NO_ROOM = "no room"  # the vendor's queue is full, or it could not be sent just now
    COUNTS = "counts"  # the vendor's counts stand still
    NOT_FOUND = "not found"  # its vendor does not know it
    WORKER = "worker"  # the process that works it off has stopped or hangs
    TROUBLE = "trouble"  # the last error of a job that goes on
    UNREACHABLE = "unreachable"  # the vendor or server gives no answer
    FAILED = "failed"  # the vendor's own error about the job
    ROWS = "rows"  # requests that ended without an answer


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. needs_you: it does not pass by itself. advice: what to do, or that nothing is to be done."""

    kind: ProblemKind
    text: str
    advice: str
    needs_you: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost so far, in USD: of fetched requests by their usage, of those that are only counted by the estimate.

    low_usd, high_usd: equal where usage and prices are known. low_usd None: nothing is known. high_usd None: there is
    no upper end, for some price is unknown. billed, estimated, unpriced: requests by where their part comes from.
    expected_low_usd, expected_high_usd: of the whole batch, as estimated before.
    """

    low_usd: float | None = None
    high_usd: float | None = None
    billed: int = 0
    estimated: int = 0
    unpriced: int = 0
    expected_low_usd: float | None = None
    expected_high_usd: float | None = None
    is_free: bool = False

    def __add__(self, other: Spent) -> Spent:
        """Both together; without an upper end where one has none although it counts requests."""
        parts = [spent for spent in (self, other) if spent.billed or spent.estimated or spent.unpriced]
        lows = [spent.low_usd for spent in parts if spent.low_usd is not None]
        highs = [spent.high_usd for spent in parts]
        known = [high for high in highs if high is not None]
        return Spent(
            low_usd=sum(lows) if lows else None,
            high_usd=sum(known) if known and len(known) == len(highs) else None,
            billed=self.billed + other.billed,
            estimated=self.estimated + other.estimated,
            unpriced=self.unpriced + other.unpriced,
            expected_low_usd=_sum(self.expected_low_usd, other.expected_low_usd),
            expected_high_usd=_sum(self.expected_high_usd, other.expected_high_usd),
            is_free=self.is_free and other.is_free,
        )


def _sum(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """One job. rate: rows per second so far. end: None where it is over or unknown; then unknown_end says why.

    begun_at, over_at: when the vendor took it, and when it was seen to have ended.
    """

    part: int
    state: State
    word: str | None
    requests: int
    done: int
    failed: int
    cancelled: int
    rate: float | None
    begun_at: datetime | None
    over_at: datetime | None
    end: End | None
    unknown_end: str
    counting: Counting | None
    problem: Problem | None

    @property
    def is_uncounted(self) -> bool:
        """Tells whether nobody counts its requests while it is out."""
        return self.counting is Counting.NONE

    @property
    def is_open(self) -> bool:
        """Tells whether more is to come from its vendor."""
        return self.over_at is None and self.state in {
            State.PREPARED, State.STARTING, State.SENDING, State.RUNNING, State.UNSURE,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """One batch. of: the batch that it retries or judges. outcomes: of the rows that are here. others as in its jobs.

    problems: without repetition, those that need a person first.
    """

    name: str
    handle: str
    role: Role
    of: str | None
    provider: str
    model: str
    stage: Stage
    rehearsal: bool
    requests: int
    done: int
    failed: int
    cancelled: int
    outcomes: Mapping[str, int]
    rate: float | None
    spent: Spent
    begun_at: datetime | None
    over_at: datetime | None
    end: End | None
    unknown_end: str
    problems: tuple[Problem, ...]
    jobs: tuple[JobSnapshot, ...]

    @property
    def is_open(self) -> bool:
        """Tells whether more is to come from its vendor."""
        return any(job.is_open for job in self.jobs)

    @property
    def is_uncounted(self) -> bool:
        """Tells whether nothing is known of its requests, for its vendor does not count."""
        return not (self.done or self.failed or self.cancelled) and any(job.is_uncounted for job in self.jobs)

    @property
    def words(self) -> tuple[str, ...]:
        """The vendor's or worker's own words for its jobs."""
        return tuple(sorted({job.word for job in self.jobs if job.word} - {self.stage.value}))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Batches at one moment, each followed by its retries and judges."""

    at: datetime
    batches: tuple[BatchSnapshot, ...]

    @property
    def spent(self) -> Spent:
        """Cost so far of all of them."""
        return sum((batch.spent for batch in self.batches), Spent(is_free=True))
