"""Frozen values that leave the ledger: no lazy loads, no detached rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import UnionType
from typing import Any, NamedTuple, Self, Union, get_args, get_origin, get_type_hints

import sqlalchemy as sa

from batchflow import files
from batchflow.errors import DamagedLedger
from batchflow.records import Kind, Outcome, Parsed
from batchflow.states import Event, State

DAMAGE_HINT = (
    "batchflow ledger check lists all damage; put a backup in the ledger's place (batchflow ledger backup makes them),"
    " or ask sqlite3's .recover for its rows"
)

_Fits = Callable[[Any], bool]


class _FromRow:
    """Builds a record from a result row by column name."""

    __slots__ = ()

    @classmethod
    def from_row(cls, row: sa.Row[Any]) -> Self:
        """The record of a row. Raises DamagedLedger for a value that is none of its column's."""
        values = row._asdict()
        kinds = {name: kind for name, kind in _kinds(cls).items() if name in values}
        for name, (fits, _) in kinds.items():
            if not fits(values[name]):
                raise damaged(cls.__name__, values, name)
        fields = {name: make(values[name]) if make else values[name] for name, (_, make) in kinds.items()}
        return cls(**fields)

    @classmethod
    def deep(cls) -> Mapping[str, _Fits]:
        """Further checks of columns whose type says too little."""
        return {}


def damaged(record: str, values: Mapping[str, Any], column: str) -> DamagedLedger:
    """The error for a value that no batchflow writes."""
    kind = record.removesuffix("Record").lower()
    whose = values.get("name") or values.get("id") or values.get("job_id")
    text = f"the ledger is damaged: {kind} {whose}: {column} holds {str(values[column])[:60]!r}"
    return DamagedLedger(text, hint=DAMAGE_HINT)


_Kinds = Mapping[str, tuple[_Fits, type[StrEnum] | None]]
_KINDS: dict[str, _Kinds] = {}


def _kinds(record: type[_FromRow]) -> _Kinds:
    """For each column of a record: whether a value fits, and the enumeration that is made of it."""
    if record.__name__ not in _KINDS:
        deep = record.deep()
        _KINDS[record.__name__] = {name: _kind(hint, deep.get(name)) for name, hint in get_type_hints(record).items()}
    return _KINDS[record.__name__]


def _kind(hint: Any, deep: _Fits | None) -> tuple[_Fits, type[StrEnum] | None]:
    members = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    types = tuple({Mapping: dict}.get(get_origin(one) or one, get_origin(one) or one) for one in members)
    enum = next((one for one in types if issubclass(one, StrEnum)), None)
    if enum is not None:
        words = frozenset(enum)
        return (lambda value: isinstance(value, str) and value in words), enum
    if types == (float,):
        types = (float, int)
    if deep is not None:
        return (lambda value: value is None or (isinstance(value, types) and deep(value))), None
    return (lambda value: isinstance(value, types)), None


def _are_raw_files(value: list[Any]) -> bool:
    kinds = {"kind": str, "path": str, "bytes": int, "sha256": str}
    return all(
        isinstance(file, dict) and all(isinstance(file.get(name), kind) for name, kind in kinds.items())
        for file in value
    )


def _are_counts(value: Any) -> bool:
    return all(isinstance(count, int) for count in (value.values() if isinstance(value, dict) else value))


def _are_rows_of_counts(value: list[Any]) -> bool:
    return all(isinstance(row, list) and _are_counts(row) for row in value)


def are_tallies(value: Any) -> bool:
    """Tells whether a value is what `request_rows.keep_counts` writes: outcome, parsed and five numbers a row."""
    return isinstance(value, list) and all(
        isinstance(row, list)
        and len(row) == 7
        and all(one is None or isinstance(one, str) for one in row[:2])
        and all(type(number) is int for number in row[2:])
        for row in value
    )


def _are_flags(value: dict[str, Any]) -> bool:
    rows = value.get("rows")
    return isinstance(value.get("sha256"), str) and isinstance(rows, list) and all(map(_is_flag, rows))


def _is_flag(row: Any) -> bool:
    if not isinstance(row, list) or [type(one) for one in row] != [str, int, list, str]:
        return False
    return _are_texts(row[2])


def _are_texts(value: list[Any]) -> bool:
    return all(isinstance(line, str) for line in value)


BROUGHT = "brought_sha256"
"""The key of a batch's spec that holds the hash of an imported file of requests."""


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
    estimate: Mapping[str, Any] | None
    flagged: Mapping[str, Any] | None
    title: str | None
    description: str | None

    @property
    def handle(self) -> str:
        """Short name that stays its own: `@` and its number in the ledger, which no other batch ever gets."""
        return f"@{self.id}"

    @property
    def is_brought(self) -> bool:
        """True for requests that were imported as lines in a vendor's own form."""
        return BROUGHT in self.spec

    @classmethod
    def deep(cls) -> Mapping[str, _Fits]:
        """Lists of numbers and of lines."""
        return {"hint_counts": _are_counts, "notes": _are_texts, "flagged": _are_flags}


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
    counted_at: datetime | None
    speed: Mapping[str, Any] | None
    error: str | None
    checked_at: datetime | None
    next_check_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    raw: list[Mapping[str, Any]]
    oddities: Mapping[str, int]
    usage: list[list[int]] | None
    counts: list[list[Any]] | None
    cost: Mapping[str, Any] | None
    reserved_usd: float | None
    enqueued_tokens: int | None

    @classmethod
    def deep(cls) -> Mapping[str, _Fits]:
        """Places of raw files, and counts."""
        return {"raw": _are_raw_files, "oddities": _are_counts, "usage": _are_rows_of_counts, "counts": are_tallies}


@dataclass(frozen=True, slots=True)
class EventRecord(_FromRow):
    """A row of `events`."""

    job_id: int
    event: Event
    state: State
    at: datetime
    detail: Mapping[str, Any]


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
        """Tells whether its holder was silent for too long. now: by `leases.now`."""
        return now - self.beat_at > timedelta(seconds=self.length_s)


class SettledRecord(NamedTuple):
    """A request that has ended, as a results file tells of it: a `RequestRecord` of fewer columns, which take time."""

    id: int
    job_id: int
    raw_job_id: int | None
    raw_file: int | None
    raw_offset: int | None
    raw_length: int | None
    custom_id: str
    item_id: str
    sample: int
    outcome: str
    parsed: str | None
    error: str | None
    model: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    written_tokens: int | None


SettledRow = tuple[
    int, int, int | None, int | None, int | None, int | None, str, str, int, str, str | None, str | None, str | None,
    int | None, int | None, int | None, int | None, int | None,
]  # fmt: skip
"""A `SettledRecord` as a bare tuple, which saves 0.6 µs."""


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
    written_tokens: int | None
    raw_job_id: int | None
    raw_file: int | None
    raw_offset: int | None
    raw_length: int | None

    @property
    def groups(self) -> dict[str, Any]:
        """Columns for `score --by`. Raises DamagedLedger as `columns_of`."""
        return columns_of(self.id, self.columns)

    @property
    def has_answer(self) -> bool:
        """As `is_answered`."""
        return is_answered(self.outcome, self.parsed)


class OutcomeRecord(NamedTuple):
    """Columns of `requests` that a jury's statistics need."""

    id: int
    item_id: str
    sample: int
    outcome: str | None
    parsed: str | None
    error: str | None
    columns: str
    content: str

    @property
    def groups(self) -> dict[str, Any]:
        """As those of a RequestRecord."""
        return columns_of(self.id, self.columns)

    @property
    def has_answer(self) -> bool:
        """As `is_answered`."""
        return is_answered(self.outcome, self.parsed)


def columns_of(request_id: int | str, text: str) -> dict[str, Any]:
    """The columns of a request's item. Raises DamagedLedger for text that is no JSON object."""
    try:
        value = files.loads(text)
    except (ValueError, TypeError):
        value = None
    if not isinstance(value, dict):
        raise damaged("RequestRecord", {"id": request_id, "columns": text}, "columns")
    return value


_OK, _UNPARSED = Outcome.OK.value, Parsed.UNPARSED.value  # an enum takes its time to tell its value


def is_answered(outcome: str | None, parsed: str | None) -> bool:
    """Tells whether a request is answered: a text came back and was read as the schema asks. All commands mean this."""
    return outcome == _OK and parsed != _UNPARSED


def kind_of(outcome: str, parsed: str | None) -> str:
    """Returns the end of a request: its outcome, or `unparsed` for a text that could not be read."""
    return parsed if outcome == _OK and parsed == _UNPARSED else outcome


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
