"""Expected end of a job: from its worker, from the vendor's counts, or from how long earlier jobs took. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOW, HIGH = 0.1, 0.9
"""Quantiles of the time that earlier jobs took: the ends of a range."""
LEAST_ROWS = 5
"""Rows that have to be counted before their pace says anything."""
ALIKE = 10
"""Jobs of at most so many times more or fewer requests are of a like size."""
FAR = timedelta(days=3650)
"""Time after which no end is expected."""


class Basis(StrEnum):
    """Source of an expected end."""

    WORKER = "worker"  # one's own engine tells its pace
    COUNTS = "counts"  # the vendor counts rows
    MODEL = "model"  # earlier jobs of this model at this vendor
    VENDOR = "vendor"  # earlier jobs of other models at this vendor


@dataclass(frozen=True, slots=True)
class Earlier:
    """A job that has ended: how many requests it had, and how long its vendor took for it."""

    model: str
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """Expected end: eight of ten jobs end between `earliest` and `latest`. jobs: earlier ones that it comes from."""

    earliest: datetime
    likely: datetime
    latest: datetime
    basis: Basis
    jobs: int = 0


def _after(at: datetime, seconds: float) -> datetime:
    """A time so many seconds later, at most FAR: the pace of a few slow rows may name a year that no calendar has."""
    return at + timedelta(seconds=min(max(seconds, 0.0), FAR.total_seconds()))


def by_worker(left_s: float, *, seen_at: datetime) -> End:
    """The end that a worker expects, from the pace of its last rows."""
    at = _after(seen_at, left_s)
    return End(at, at, at, Basis.WORKER)


def by_counts(over: int, total: int, *, begun_at: datetime, seen_at: datetime) -> End | None:
    """The end if the pace of the rows that are over holds; the range grows as they are few. None for too few.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    >>> by_counts(25, 100, begun_at=noon, seen_at=noon + timedelta(minutes=10)).likely.minute
    40
    """
    elapsed_s = (seen_at - begun_at).total_seconds()
    if over < LEAST_ROWS or elapsed_s <= 0:
        return None
    left_s = (max(total - over, 0)) * elapsed_s / over
    spread = 2 / math.sqrt(over)
    times = left_s / (1 + spread), left_s, left_s / max(1 - spread, 0.1)
    earliest, likely, latest = (_after(seen_at, seconds) for seconds in times)
    return End(earliest, likely, latest, Basis.COUNTS)


def by_history(
    earlier: Iterable[Earlier], model: str, requests: int, *, begun_at: datetime, now: datetime
) -> tuple[End | None, str]:
    """The end by alike earlier jobs that took longer than this one has taken by now; else why there is none."""
    chosen, basis = _alike(tuple(earlier), model, requests)
    if not chosen:
        return None, "no earlier job of this vendor in the ledger"
    elapsed_s = (now - begun_at).total_seconds()
    longer = sorted(job.seconds for job in chosen if job.seconds > elapsed_s)
    if not longer:
        return None, f"it takes longer than each of {len(chosen)} earlier {_jobs(len(chosen))}"
    times = (quantile(longer, LOW), quantile(longer, 0.5), quantile(longer, HIGH))
    earliest, likely, latest = (_after(begun_at, seconds) for seconds in times)
    return End(earliest, likely, latest, basis, len(longer)), ""


def _alike(earlier: Sequence[Earlier], model: str, requests: int) -> tuple[Sequence[Earlier], Basis]:
    """The earlier jobs that are most like this one: of its model and size, of its model, or of its vendor."""
    of_model = [job for job in earlier if job.model == model]
    of_size = [job for job in of_model if requests <= ALIKE * job.requests and job.requests <= ALIKE * requests]
    if of_model:
        return of_size or of_model, Basis.MODEL
    return earlier, Basis.VENDOR


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile of numbers in ascending order, with straight lines between them.

    >>> quantile([10.0, 20.0, 40.0], 0.5), quantile([10.0, 20.0], 0.9)
    (20.0, 19.0)
    """
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def last_of(ends: Iterable[End]) -> End | None:
    """The end of all of them: the latest of each bound; None where there is none."""
    several = tuple(ends)
    if not several:
        return None
    last = max(several, key=lambda end: end.likely)
    return End(
        max(end.earliest for end in several), last.likely, max(end.latest for end in several), last.basis, last.jobs
    )
