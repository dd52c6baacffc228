"""What leaves the ledger: frozen values, no lazy loads, no detached rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from batchflow.records import Kind, Outcome, Parsed
from batchflow.states import Event, State


class _FromRow:
    """Builds a record from a result row by column name."""

    __slots__ = ()

    @classmethod
    def from_row(cls, row: sa.Row[Any]) -> Self:
        values = row._asdict()
        made = {name: kind(values[name]) for name, kind in cls._kinds().items()}
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name not in made}, **made)  # type: ignore[arg-type]

    @classmethod
    def _kinds(cls) -> Mapping[str, type]:
        return {}


@dataclass(frozen=True, slots=True)
class BatchRecord(_FromRow):
    """A row of `batches`."""

    id: int
    name: str
    kind: Kind
    parent_id: int | None
    retries_id: int | None
    provider: str
    model: str
    endpoint: str
    task: str
    split: str
    hints: int
    dataset: str
    dataset_path: str
    dataset_sha256: str
    template: str
    template_sha256: str
    params: Mapping[str, Any]
    options: Mapping[str, Any]
    spec: Mapping[str, Any]
    spec_sha256: str
    nonce: str
    n_requests: int
    hint_counts: list[int]
    notes: list[str]
    rehearsal: bool
    created_at: datetime
    results_path: str | None
    results_sha256: str | None
    results_at: datetime | None

    @classmethod
    def _kinds(cls) -> Mapping[str, type]:
        return {"kind": Kind}


@dataclass(frozen=True, slots=True)
class JobRecord(_FromRow):
    """A row of `jobs`."""

    id: int
    batch_id: int
    part: int
    state: State
    path: str
    sha256: str
    bytes: int
    n_requests: int
    token: str | None
    claimed_by: str | None
    claimed_at: datetime | None
    sending_at: datetime | None
    remote_file: str | None
    remote_id: str | None
    adopted: bool
    base_url: str | None
    word: str | None
    done: int | None
    failed: int | None
    speed: Mapping[str, Any] | None
    error: str | None
    checked_at: datetime | None
    next_check_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    raw: list[Mapping[str, Any]]
    oddities: Mapping[str, int]

    @classmethod
    def _kinds(cls) -> Mapping[str, type]:
        return {"state": State}


@dataclass(frozen=True, slots=True)
class EventRecord(_FromRow):
    """A row of `events`."""

    job_id: int
    event: Event
    state: State
    at: datetime
    detail: Mapping[str, Any]

    @classmethod
    def _kinds(cls) -> Mapping[str, type]:
        return {"event": Event, "state": State}


@dataclass(frozen=True, slots=True)
class LeaseRecord(_FromRow):
    """A row of `leases`. It holds for length_s after beat_at."""

    job_id: int
    holder: str
    host: str
    pid: int
    taken_at: datetime
    beat_at: datetime
    length_s: float

    def has_run_out(self, now: datetime) -> bool:
        """Whether its holder was silent for too long. now: by `leases.now`."""
        return now - self.beat_at > timedelta(seconds=self.length_s)


class RequestRecord(NamedTuple):
    """A row of `requests`; a tuple, because they are read by the hundred thousand."""

    id: int
    job_id: int
    custom_id: str
    item_id: str
    sample: int
    columns: str
    subject_id: int | None
    outcome: str | None
    parsed: str | None
    error: str | None
    model: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    raw_job_id: int | None
    raw_file: int | None
    raw_offset: int | None
    raw_length: int | None

    @property
    def has_answer(self) -> bool:
        """As `is_answered`."""
        return is_answered(self.outcome, self.parsed)


class OutcomeRecord(NamedTuple):
    """What a jury's statistics need of a row of `requests`."""

    id: int
    item_id: str
    sample: int
    outcome: str | None
    parsed: str | None
    columns: str
    content: str

    @property
    def has_answer(self) -> bool:
        """As `is_answered`."""
        return is_answered(self.outcome, self.parsed)


def is_answered(outcome: str | None, parsed: str | None) -> bool:
    """Whether a request is answered: a text came back, and it was read as the schema asks. Every command means this."""
    return outcome == Outcome.OK.value and parsed != Parsed.UNPARSED.value


def kind_of(outcome: str, parsed: str | None) -> str:
    """What became of a request: its outcome, or `unparsed` for a text that could not be read."""
    return parsed if outcome == Outcome.OK.value and parsed == Parsed.UNPARSED.value else outcome


class Failure(NamedTuple):
    """Unanswered requests of one kind whose error text is the same: how many, and the id of the first one."""

    kind: str
    error: str | None
    requests: int
    first: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the requests of a batch. `pending` have no outcome yet; all others add up to the rest."""

    requests: int
    pending: int
    outcomes: Mapping[str, int]
    parsed: Mapping[str, int]
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @property
    def unanswered(self) -> dict[str, int]:
        """Requests that ended without an answer, by kind: `unparsed`, `refused`, `error`, ..."""
        unread = self.parsed.get(Parsed.UNPARSED.value, 0)
        kinds = {Parsed.UNPARSED.value: unread} | {
            kind: count for kind, count in self.outcomes.items() if kind != Outcome.OK.value
        }
        return {kind: count for kind, count in kinds.items() if count}

    @property
    def answered(self) -> int:
        """Requests that `is_answered` holds for."""
        return sum(self.outcomes.values()) - sum(self.unanswered.values())
