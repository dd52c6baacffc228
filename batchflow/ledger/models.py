"""The tables, declared once. Alembic's migrations create them; a test holds the two together.

Core tables, not mapped classes: queries are Core, and the ORM's import would double the start of every command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

from batchflow.errors import DamagedLedger
from batchflow.records import Kind, Outcome, Parsed, VoteStatus
from batchflow.states import Event, State

MOST = 2**31 - 1
"""The largest INTEGER of every database."""

SEQ_BITS = 32
"""A request's id is its batch's id and its place in the batch in one number: a batch is one range of the key."""


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """SQL text of a CHECK that a column holds one of the values (or NULL).

    Not IN: SQLite builds a table of its list for every row that is checked, which costs more than writing the row.
    """
    return " OR ".join(f"{column} = {value.value!r}" for value in values)


class UtcDateTime(TypeDecorator[datetime]):
    """UTC-aware times on every database; SQLite, which has no zones, holds them as naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be read back as something else."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the ledger needs a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], datetime | None] | None:
        """Returns the reader of a stored time, which raises DamagedLedger for anything else."""
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            try:
                return read(value) if read is not None else value
            except (ValueError, TypeError):
                text = f"the ledger is damaged: {str(value)[:60]!r} is not a time"
                raise DamagedLedger(text, hint="batchflow ledger check shows where") from None

        return process


class Count(TypeDecorator[int]):
    """A number that a vendor tells: one that is larger than any INTEGER becomes the largest."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base class's signature
        """Bound it: 10**30 failed rows are a vendor's mistake, and no reason to fail with it."""
        return None if value is None else min(value, MOST)


METADATA = MetaData(
    naming_convention={  # constraints have fixed names, so that migrations can name them
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_LONG = BigInteger().with_variant(Integer, "sqlite")  # SQLite's INTEGER key is 64 bits wide, and is the rowid


def _batch(name: str = "batch_id", *, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey("batches.id"), index=True, nullable=nullable)


# Facts about the ledger itself: `ledger_id`, which keeps tags of two ledgers apart at one vendor.
META = Table(
    "meta",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# All requests of one model on one task: what the user names, starts and watches.
BATCHES = Table(
    "batches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), unique=True, nullable=False),
    Column("kind", String(16), nullable=False),
    _batch("parent_id", nullable=True),  # judge: the batch it judges
    _batch("retries_id", nullable=True),  # retry: the batch it mends
    Column("provider", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("hints", Integer, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("dataset_path", Text, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("template", Text, nullable=False),
    Column("template_sha256", String(64), nullable=False),
    Column("params", JSON, nullable=False),  # what the user set for the model
    Column("options", JSON, nullable=False),  # provider-specific: completion window, base_url, concurrency, engine
    Column("spec", JSON, nullable=False),  # everything that decides the bytes that are sent
    Column("spec_sha256", String(64), nullable=False),
    Column("nonce", String(16), nullable=False),
    Column("n_requests", Integer, nullable=False),
    Column("hint_counts", JSON, nullable=False),  # items that really have a first, second, ... hint
    Column("notes", JSON, nullable=False),  # lines for the card
    Column("rehearsal", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("results_path", Text),
    Column("results_sha256", String(64)),
    Column("results_at", UtcDateTime),
    Column("estimate", JSON),  # what it was expected to cost, before it was sent
    CheckConstraint(one_of("kind", Kind), name="kind"),
    sqlite_autoincrement=True,  # as PostgreSQL's sequences: what was deleted gives its id to nobody
)

# One vendor-side batch. `state` is written by `jobs.move` only.
JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("batch_id", Integer, ForeignKey("batches.id"), nullable=False),  # found by its unique pair with part
    Column("part", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("path", Text, nullable=False),  # relative to the project folder
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("n_requests", Integer, nullable=False),
    Column("token", String(64), unique=True),
    Column("claimed_by", Text),
    Column("claimed_at", UtcDateTime),
    Column("sending_at", UtcDateTime),
    Column("remote_file", Text),
    Column("remote_id", String(256), unique=True),
    Column("adopted", Boolean, nullable=False),  # found again, to be confirmed by its custom_ids
    Column("base_url", Text),  # where the vendor was pointed when it was sent
    Column("word", Text),  # the vendor's own status, as it is
    Column("done", Count),
    Column("failed", Count),
    Column("speed", JSON),
    Column("error", Text),
    Column("checked_at", UtcDateTime),
    Column("next_check_at", UtcDateTime),
    Column("accepted_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("raw", JSON, nullable=False),  # [{kind, path, sha256, bytes}], in the order of requests.raw_file
    Column("oddities", JSON, nullable=False),  # counts of garbage lines, unknown ids, duplicates
    Column("usage", JSON),  # tokens of its own requests by the length of the prompt, see `request_rows.usage_of`
    Column("cost", JSON),  # what they cost, and by which prices
    Column("reserved_usd", Float),  # the most that it may cost, while it is out under a cap
    Column("enqueued_tokens", BigInteger),  # of its prompts, as they count in a queue with a limit
    UniqueConstraint("batch_id", "part"),
    CheckConstraint(one_of("state", State), name="state"),
    sqlite_autoincrement=True,
)

# Which process works a local job off; at most one a job. The holder beats while it lives.
LEASES = Table(
    "leases",
    METADATA,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("holder", String(64), nullable=False),  # random: a later process may have the same pid
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),  # by the ledger's clock, see `leases.now`
    Column("length_s", Float, nullable=False),  # it holds for so long after beat_at
)

# Files that a vendor was given. `spare`: it certainly made no batch of it, so that the next create may take it.
UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),  # found by its unique pair with remote_file
    Column("remote_file", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("base_url", Text),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("spare", Boolean, nullable=False),
    UniqueConstraint("job_id", "remote_file"),
)

# One item as sent to one model. Payloads stay in files; raw_* says where the answer's bytes are.
REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", _LONG, primary_key=True, autoincrement=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True, nullable=False),
    Column("custom_id", String(64), nullable=False),
    Column("item_id", Text, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("content", String(32), nullable=False),  # hash of what is asked, without the id
    Column("columns", Text, nullable=False),  # JSON text: what `score --by` may group by
    Column("subject_id", BigInteger),  # judge or retry: the request it is about
    Column("outcome", String(16)),
    Column("parsed", String(16)),
    Column("error", Text),
    Column("model", Text),
    Column("input_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("output_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("raw_job_id", Integer),  # the job whose raw output holds the answer, when a retry gave it; else job_id's
    Column("raw_file", Integer),
    Column("raw_offset", BigInteger),
    Column("raw_length", Integer),
    Column("written_tokens", Integer),  # of the input: written to a cache
    Column("written_1h_tokens", Integer),  # of those: kept there for an hour
    CheckConstraint(one_of("outcome", Outcome), name="outcome"),
    CheckConstraint(one_of("parsed", Parsed), name="parsed"),
)

# The history of a job: one row per move, written in the same transaction.
EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    _batch(),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True, nullable=False),
    Column("event", String(16), nullable=False),
    Column("state", String(16), nullable=False),  # the state after it
    Column("at", UtcDateTime, nullable=False),
    Column("detail", JSON, nullable=False),
    CheckConstraint(one_of("event", Event), name="event"),
    CheckConstraint(one_of("state", State), name="state"),
)

# What one judge says about one field of one answer. Its key is the judge's own request, and the field.
VOTES = Table(
    "votes",
    METADATA,
    Column("request_id", _LONG, ForeignKey("requests.id"), primary_key=True, autoincrement=False),
    Column("field", String(64), primary_key=True),
    Column("subject_id", BigInteger, nullable=False),  # the judged request
    Column("status", String(16), nullable=False),
    Column("value", Float),  # on the field's scale; of booleans 0 and 1
    Column("label", Text),  # what was said, where the value does not tell it
    Column("reason", Text),  # why there is no value
    CheckConstraint(one_of("status", VoteStatus), name="status"),
    sqlite_with_rowid=False,  # one tree instead of two, written in the order of its key
)

# What a person said about one field of one answer; the last label stands. Its key: the answer and the field.
LABELS = Table(
    "labels",
    METADATA,
    Column("request_id", _LONG, ForeignKey("requests.id"), primary_key=True, autoincrement=False),
    Column("field", String(64), primary_key=True),  # as files name it, behind `human_`
    Column("value", Float, nullable=False),  # on the field's scale; of booleans 0 and 1
    Column("label", Text),  # what was said, where the value does not tell it
    Column("source", Text, nullable=False),  # the file that it came in
    Column("line", Integer),  # where in that file; older ledgers do not know
    Column("made_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,  # as of votes
)

# Answers that were drawn for labels by the jury's verdict.
SHEETS = Table(
    "sheets",
    METADATA,
    Column("id", Integer, primary_key=True),
    _batch(),
    Column("field", String(64), nullable=False),  # whose verdicts the strata are of
    Column("seed", BigInteger, nullable=False),
    Column("marks", Text, nullable=False),  # a letter for each request: its stratum, a capital where it was drawn
    Column("drawn_at", UtcDateTime, nullable=False),
)

# What `batchflow run` was asked to do with a batch of questions.
RUNS = Table(
    "runs",
    METADATA,
    Column("batch_id", Integer, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    Column("wish", JSON, nullable=False),  # batches of the run, jury, retries, last step
    Column("asked_at", UtcDateTime, nullable=False),
)

# Batches that one name starts, judges and scores.
SUITES = Table(
    "suites",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), unique=True, nullable=False),
    Column("members", JSON, nullable=False),  # [[label, name of a batch]], in order; the batch may not be there yet
    Column("groups", JSON, nullable=False),  # [[name, how, labels, weights]]
    Column("made_at", UtcDateTime, nullable=False),
)

# A score that was shown, with how it was made.
SCORES = Table(
    "scores",
    METADATA,
    Column("id", Integer, primary_key=True),
    _batch(),
    Column("field", String(64), nullable=False),
    Column("method", String(32), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("summary", JSON, nullable=False),
)
