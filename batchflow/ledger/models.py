"""The tables, declared once. Alembic's migrations create them; a test holds the two together.

Core tables, not mapped classes: queries are Core, and the ORM's import would double the start of every command.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from batchflow.ledger.columns import LONG, Count, UtcDateTime, one_of
from batchflow.records import Kind, Outcome, Parsed, VoteStatus
from batchflow.states import Event, State

SEQ_BITS = 32
"""A request's id is its batch's id and its place in the batch in one number: a batch is one range of the key."""

METADATA = MetaData(
    naming_convention={  # constraints have fixed names, so that migrations can name them
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _batch(name: str = "batch_id", *, doc: str, nullable: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey("batches.id"), index=True, nullable=nullable, doc=doc)


META = Table(
    "meta",
    METADATA,
    Column("key", String(64), primary_key=True, doc="`ledger_id`"),
    Column("value", Text, nullable=False, doc="a random id that keeps the tags of two ledgers apart at one vendor"),
    info={"doc": "Facts about the ledger itself."},
)

BATCHES = Table(
    "batches",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number"),
    Column("name", String(200), unique=True, nullable=False, doc="the user's name for it"),
    Column("kind", String(16), nullable=False, doc="what its requests are for"),
    _batch("parent_id", nullable=True, doc="of a judge batch: the batch that it judges"),
    _batch("retries_id", nullable=True, doc="of a retry: the batch whose unanswered requests it asks again"),
    Column("provider", String(32), nullable=False, doc="vendor, `local`, `rule` or `import`"),
    Column("model", Text, nullable=False, doc="the model's id as it is sent"),
    Column("endpoint", Text, nullable=False, doc="API path, if the vendor has several"),
    Column("task", Text, nullable=False, doc="source of items and prompts"),
    Column("split", Text, nullable=False, doc="part of the data set"),
    Column("hints", Integer, nullable=False, doc="maximum number of hints given"),
    Column("dataset", Text, nullable=False, doc="source of the data set: `builtin:…`, `hub:…` or a path"),
    Column("dataset_path", Text, nullable=False, doc="its absolute path on the machine that prepared"),
    Column("dataset_sha256", String(64), nullable=False, doc="hash of its bytes; `jury` and `retry` refuse other data"),
    Column("template", Text, nullable=False, doc="prompt template: `builtin:…` or a path"),
    Column("template_sha256", String(64), nullable=False, doc="hash of its text"),
    Column("params", JSON, nullable=False, doc="token limit, temperature, seed, thinking"),
    Column("options", JSON, nullable=False, doc="of the provider: completion window, base URLs, concurrency"),
    Column("spec", JSON, nullable=False, doc="everything that determines the bytes that are sent"),
    Column("spec_sha256", String(64), nullable=False, doc="its hash; preparing the same again changes nothing"),
    Column("nonce", String(16), nullable=False, doc="part of every custom_id of the batch"),
    Column("n_requests", Integer, nullable=False, doc="number of requests"),
    Column("hint_counts", JSON, nullable=False, doc="number of items that have a first, second, … hint"),
    Column("notes", JSON, nullable=False, doc="lines for the card"),
    Column("rehearsal", Boolean, nullable=False, doc="true if made in a rehearsal"),
    Column("created_at", UtcDateTime, nullable=False, doc="when it was prepared"),
    Column("results_path", Text, doc="results file, relative to the project"),
    Column("results_sha256", String(64), doc="hash of the results file as last written"),
    Column("results_at", UtcDateTime, doc="time of that write"),
    Column("estimate", JSON, doc="what it was expected to cost before it was sent; NULL without an estimate"),
    Column("title", Text, doc="a person's title for it (`batchflow update`)"),
    Column("description", Text, doc="a person's description of it"),
    Column("flagged", JSON, doc="answers that seem to address the judge, and the hash of the raw files then"),
    CheckConstraint(one_of("kind", Kind), name="kind"),
    sqlite_autoincrement=True,  # as PostgreSQL's sequences: what was deleted gives its id to nobody
    info={
        "doc": "All requests for one model on one data set; the user names, starts and watches a batch. A judge "
        "batch has the batch that it judges as its parent."
    },
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number"),
    Column("batch_id", Integer, ForeignKey("batches.id"), nullable=False, doc="its batch"),  # in a unique pair
    Column("part", Integer, nullable=False, doc="its place in the batch, from 0"),
    Column("state", String(16), nullable=False, index=True, doc="where it stands"),
    Column("path", Text, nullable=False, doc="the file that is sent, relative to the project"),
    Column("sha256", String(64), nullable=False, doc="hash of that file; `start` refuses a changed one"),
    Column("bytes", BigInteger, nullable=False, doc="size of that file"),
    Column("n_requests", Integer, nullable=False, doc="requests in that file"),
    Column("token", String(64), unique=True, doc="of this attempt to start; a lost create is found again by it"),
    Column("claimed_by", Text, doc="host, mark of the project folder and process that claimed it"),
    Column("claimed_at", UtcDateTime, doc="time of the claim, or of its last sign of life"),
    Column("sending_at", UtcDateTime, doc="time at which the intent was committed, right before the create"),
    Column("remote_file", Text, doc="the vendor's id of the uploaded file"),
    Column("remote_id", String(256), unique=True, doc="the vendor's id of the batch"),
    Column("adopted", Boolean, nullable=False, doc="true if found again, and to be confirmed by its custom_ids"),
    Column("base_url", Text, doc="base URL at which it was sent, if not the vendor's own"),
    Column("word", Text, doc="the vendor's status, unchanged"),
    Column("done", Count, doc="rows that the vendor counts as done"),
    Column("failed", Count, doc="rows that the vendor counts as failed"),
    Column("speed", JSON, doc="JSON, local jobs: rates and remaining time"),
    Column("error", Text, doc="the latest error about it"),
    Column("checked_at", UtcDateTime, doc="time of the vendor's latest answer about it"),
    Column("next_check_at", UtcDateTime, doc="earliest next poll: somebody is asking, or the vendor wants a pause"),
    Column("accepted_at", UtcDateTime, doc="time at which the vendor accepted it"),
    Column("ended_at", UtcDateTime, doc="time at which its end was first seen"),
    Column("raw", JSON, nullable=False, doc="kind, path, size and hash of each raw output file"),
    Column("oddities", JSON, nullable=False, doc="garbage lines, unknown ids and duplicates in the raw output"),
    Column("usage", JSON, doc="tokens of its own requests, by the length of the prompt in thousands"),
    Column("cost", JSON, doc="what they cost in USD, by which prices ([money.md](money.md))"),
    Column("reserved_usd", Float, doc="the most that it may cost, while it is out under a cap"),
    Column("enqueued_tokens", BigInteger, doc="tokens of its prompts, as they count in a queue with a limit"),
    Column("counts", JSON, doc="its requests by outcome, with their tokens, while no request changes"),
    Column("counted_at", UtcDateTime, doc="time at which the vendor's counts or status last changed"),
    UniqueConstraint("batch_id", "part"),
    CheckConstraint(one_of("state", State), name="state"),
    sqlite_autoincrement=True,
    info={
        "doc": "One batch at the vendor, or one run of a local engine. Only one function writes `state` "
        "([states.md](states.md))."
    },
)

LEASES = Table(
    "leases",
    METADATA,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True, autoincrement=False, doc="the job"),
    Column("holder", String(64), nullable=False, doc="random name of the process, because pids are used again"),
    Column("host", Text, nullable=False, doc="host of the process, and mark of the project folder"),
    Column("pid", Integer, nullable=False, doc="process id on that host"),
    Column("taken_at", UtcDateTime, nullable=False, doc="time at which it got the lease"),
    Column("beat_at", UtcDateTime, nullable=False, doc="its last heartbeat"),
    Column("length_s", Float, nullable=False, doc="after a longer silence, another worker may take it"),
    info={
        "doc": "The worker process of a local job, and its last sign of life ([local.md](local.md)). There is "
        "at most one per job; it is removed when the worker ends by itself. It lasts `length_s` after "
        "`beat_at`, by the clock of the PostgreSQL server, or of SQLite's host."
    },
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number"),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False, doc="the job"),  # in a unique pair
    Column("remote_file", Text, nullable=False, doc="the vendor's id of the file"),
    Column("sha256", String(64), nullable=False, doc="hash of the bytes that were sent"),
    Column("base_url", Text, doc="base URL of the upload, if not the vendor's own"),
    Column("uploaded_at", UtcDateTime, nullable=False, doc="time at which the upload was complete"),
    Column("spare", Boolean, nullable=False, doc="true if the vendor certainly made no batch of it"),
    UniqueConstraint("job_id", "remote_file"),
    info={
        "doc": "Files uploaded to a vendor for a job. If the vendor had no room to make a batch of an upload, "
        "the next create uses it again, for half a day. `delete --remote` removes all of them."
    },
)

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", LONG, primary_key=True, autoincrement=False, doc="its batch and its place there, in one number"),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True, nullable=False, doc="its job"),
    Column("custom_id", String(64), nullable=False, doc="its id at the vendor"),
    Column("item_id", Text, nullable=False, doc="the item's id in the data set"),
    Column("sample", Integer, nullable=False, doc="number of the sample, from 0"),
    Column("content", String(32), nullable=False, doc="hash of the request without its id"),
    Column("columns", Text, nullable=False, doc="JSON text: columns for `score --by`"),
    Column("subject_id", BigInteger, doc="of a judge batch or a retry: the request that it is about"),
    Column("outcome", String(16), doc="how it ended; NULL while pending"),
    Column("parsed", String(16), doc="how its answer was read, if the outcome is `ok`"),
    Column("error", Text, doc="why it is unanswered"),
    Column("model", Text, doc="model that served it, as the vendor names it"),
    Column("input_tokens", Integer, doc="whole prompt, cached part included"),
    Column("cached_tokens", Integer, doc="the part of it that was read from a cache"),
    Column("output_tokens", Integer, doc="everything generated and billed as output, reasoning included"),
    Column("reasoning_tokens", Integer, doc="that part of it"),
    Column("raw_job_id", Integer, doc="job whose raw file holds the answer, if a retry brought it"),
    Column("raw_file", Integer, doc="number of the job's raw file"),
    Column("raw_offset", BigInteger, doc="offset of the row in that file"),
    Column("raw_length", Integer, doc="its length in bytes"),
    Column("written_tokens", Integer, doc="the part of the input that was written to a cache"),
    Column("written_1h_tokens", Integer, doc="that part of it which is kept for an hour"),
    CheckConstraint(one_of("outcome", Outcome), name="outcome"),
    CheckConstraint(one_of("parsed", Parsed), name="parsed"),
    info={"doc": "One item as sent to one model. `raw_*` locate the answer's bytes."},
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number, in order of time"),
    _batch(doc="the job's batch"),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True, nullable=False, doc="the job"),
    Column("event", String(16), nullable=False, doc="what happened"),
    Column("state", String(16), nullable=False, doc="the state after it"),
    Column("at", UtcDateTime, nullable=False, doc="when"),
    Column("detail", JSON, nullable=False, doc="details"),
    CheckConstraint(one_of("event", Event), name="event"),
    CheckConstraint(one_of("state", State), name="state"),
    info={"doc": "The history of jobs: one row per move, written in the transaction of the move."},
)

VOTES = Table(
    "votes",
    METADATA,
    Column(
        "request_id",
        LONG,
        ForeignKey("requests.id"),
        primary_key=True,
        autoincrement=False,
        doc="the request to the judge",
    ),
    Column("field", String(64), primary_key=True, doc="the field; with `request_id` the key"),
    Column("subject_id", BigInteger, nullable=False, doc="the judged request"),
    Column("status", String(16), nullable=False, doc="whether it counts, or why it does not"),
    Column("value", Float, doc="a number on the field's scale, 0 or 1 for booleans; NULL: no vote"),
    Column("label", Text, doc="the judge's word, where the scale has words or letters"),
    Column("reason", Text, doc="why an `unparsed` reply could not be read"),
    CheckConstraint(one_of("status", VoteStatus), name="status"),
    sqlite_with_rowid=False,  # one tree instead of two, written in the order of its key
    info={
        "doc": "One judge's vote on one field of one answer. The judge kind defines the fields and their scales "
        "([jury](jury.md))."
    },
)

LABELS = Table(
    "labels",
    METADATA,
    Column(
        "request_id", LONG, ForeignKey("requests.id"), primary_key=True, autoincrement=False, doc="the labelled request"
    ),
    Column("field", String(64), primary_key=True, doc="as files name it behind `human_`: `answer_correct`, `grade`, …"),
    Column("value", Float, nullable=False, doc="number on the field's scale; 0 and 1 for wrong and right"),
    Column("label", Text, doc="what was said, where the scale has words or letters"),
    Column("source", Text, nullable=False, doc="file of the label"),
    Column("line", Integer, doc="line of that file; NULL for labels of before revision 0009"),
    Column("made_at", UtcDateTime, nullable=False, doc="when"),
    sqlite_with_rowid=False,  # as of votes
    info={"doc": "A person's label of one field of one answer; the latest one counts."},
)

SHEETS = Table(
    "sheets",
    METADATA,
    Column("id", Integer, primary_key=True, doc="number of the draw"),
    _batch(doc="the batch"),
    Column("field", String(64), nullable=False, doc="the field whose verdicts the strata are of"),
    Column("seed", BigInteger, nullable=False, doc="seed of the draw"),
    Column(
        "marks",
        Text,
        nullable=False,
        doc="a letter for each request in order: its stratum (`a` 0 points, `b` below 50, `c` from 50, `d` 100), "
        "a capital if it was drawn, `-` outside",
    ),
    Column("drawn_at", UtcDateTime, nullable=False, doc="when"),
    info={"doc": "A stratified sheet of labels as it was drawn; scores weight labels by it."},
)

RUNS = Table(
    "runs",
    METADATA,
    Column("batch_id", Integer, ForeignKey("batches.id"), primary_key=True, autoincrement=False, doc="the batch"),
    Column("wish", JSON, nullable=False, doc="batches, jury, number of retries, last step, way of scoring"),
    Column("asked_at", UtcDateTime, nullable=False, doc="when"),
    info={
        "doc": "What `batchflow run` was asked to do with a batch of questions; `batchflow tick` goes on by it. "
        "The latest run of a batch stands."
    },
)

SUITES = Table(
    "suites",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number"),
    Column("name", String(200), unique=True, nullable=False, doc="its name, which no batch has"),
    Column(
        "members",
        JSON,
        nullable=False,
        doc="label and batch of each, in order; a batch may not be there yet, or no more",
    ),
    Column("groups", JSON, nullable=False, doc="name, mean, labels and weights of each group of its table"),
    Column("made_at", UtcDateTime, nullable=False, doc="when"),
    info={"doc": "Batches that one name starts, judges and scores ([suites.md](suites.md))."},
)

SCORES = Table(
    "scores",
    METADATA,
    Column("id", Integer, primary_key=True, doc="its number"),
    _batch(doc="the judged batch"),
    Column("field", String(64), nullable=False, doc="what was scored"),
    Column("method", String(32), nullable=False, doc="how votes are combined"),
    Column("made_at", UtcDateTime, nullable=False, doc="when"),
    Column("summary", JSON, nullable=False, doc="the whole summary of `score`"),
    info={"doc": "A score that was shown, with its method."},
)
