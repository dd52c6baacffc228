"""Frozen values that travel between layers. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]
"""One JSON object as it stands on the wire; used at the edges only."""


class Kind(StrEnum):
    """The purpose of a batch."""

    PREDICTION = "prediction"
    JUDGE = "judge"


class Outcome(StrEnum):
    """The end of one request. The outcomes of a batch add up to its requests."""

    OK = "ok"  # the model answered
    REFUSED = "refused"  # the model or its safety filter declined to answer
    ERROR = "error"  # the vendor reports an error for this row
    EXPIRED = "expired"  # the vendor's window closed before the row ran
    CANCELLED = "cancelled"  # the batch was cancelled before the row ran
    MISSING = "missing"  # the vendor returned nothing for this row


class Parsed(StrEnum):
    """Result of parsing the text of an `ok` answer that has to be JSON."""

    STRICT = "strict"  # matched the schema as it came
    REPAIRED = "repaired"  # matched after it was mended; the original is kept
    UNPARSED = "unparsed"  # did not match; counted, never guessed


LIMIT_REACHED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""The vendors' words, in small letters, for a text that the token limit ended."""

CUT_SHORT = LIMIT_REACHED | {"error", "abort", "incomplete", "parse_error", "cancelled"}
"""Their words for a text that did not come to its own end."""


class VoteStatus(StrEnum):
    """Status of one judge's vote on one answer."""

    VALID = "valid"
    MISSING = "missing"  # the judge's request has no ok outcome: to be asked again, never wrong by default
    UNPARSED = "unparsed"  # it answered, but not with a verdict
    ABSTAINED = "abstained"  # a rule that does not apply to this item


class Phase(StrEnum):
    """Meaning of a vendor's status word."""

    WAITING = "waiting"  # ask again later
    ENDED = "ended"  # terminal at the vendor, well or badly: fetch whatever is there
    LOST = "lost"  # the vendor no longer has it


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as it is sent: MIME type (`image/png`, `image/jpeg`, ...) and base64 text without line breaks.

    path: as the data set names its file; empty where the data set holds the bytes.
    """

    mime: str
    data: str
    path: str = field(default="", compare=False)

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:{self.mime};base64,{self.data}"

    @property
    def size(self) -> int:
        """Bytes of the picture."""
        return len(self.data) * 3 // 4 - self.data.endswith("=") - self.data.endswith("==")


Part = str | Image
"""One part of a user turn: text, or a picture."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A strict JSON schema for an answer. `name` is what vendors that want a name are told."""

    name: str
    schema: Json


def strict(name: str, kinds: Mapping[str, str]) -> Schema:
    """A closed object whose properties are all required; their order is the order in which a model writes them.

    kinds: the JSON type of each property.
    """
    schema: Json = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in kinds.items()},
        "required": list(kinds),
        "additionalProperties": False,
    }
    return Schema(name, schema)


class Level(StrEnum):
    """Level of measurement of a scale's values; agreement is measured by it."""

    NOMINAL = "nominal"  # equal or not
    ORDINAL = "ordinal"  # less or more
    INTERVAL = "interval"  # how much more


@dataclass(frozen=True, slots=True)
class Params:
    """Options that a user may set for a model. None: not sent, the vendor's default holds."""

    max_tokens: int | None = None  # upper bound of generated tokens, reasoning included
    temperature: float | None = None
    seed: int | None = None
    thinking_level: str | None = None  # the vendor's own word: low, medium, high, ...
    thinking_budget: int | None = None  # tokens; 0 asks for no thinking


@dataclass(frozen=True, slots=True)
class Request:
    """One item as sent to one model with one set of parameters; what a vendor encodes.

    custom_id: matches ^[a-zA-Z0-9_-]{1,64}$ and is unique in its batch (the strictest vendor's rule).
    data: structured payload for providers that compute instead of generate (rules); None for models.
    cached: leading parts that the vendor is asked to keep in its cache, behind the system text; None: nothing is.
    """

    custom_id: str
    model: str
    system: str
    parts: tuple[Part, ...]
    schema: Schema | None = None
    params: Params = Params()
    data: Json | None = None
    cached: int | None = None

    @property
    def has_image(self) -> bool:
        """True when any part is a picture."""
        return any(isinstance(part, Image) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities of one model, from the dated table in `models.toml` or `batchflow.toml`; never from an SDK.

    The defaults are the safest request: an unknown model gets no sampling and no thinking parameters.
    """

    known: bool = False
    images: bool | None = None  # None: not known, so not refused
    sampling: bool = False  # takes temperature
    seed: bool = False
    levels: tuple[str, ...] = ()  # accepted --thinking-level words
    level: str = ""  # the one that is sent when none is asked for; "" = the field is left out
    budget: bool = False  # takes --thinking-budget
    schema: str = "json_schema"  # json_schema | response_schema | prompt (told in the prompt only)
    token_field: str = ""  # "" = the vendor's usual field for the token limit
    min_tokens: int = 0  # floor of the token limit, for models that think before they answer
    cache_from: int = 0  # tokens of the shortest prefix that is cached; 0 = not known
    windows: tuple[str, ...] = ()  # --completion-window words beyond the vendor's own, for compatible servers
    ends_on: str = ""  # ISO date on which the vendor shuts the model down; "" = none was announced
    checked_on: str = ""  # ISO date on which the row was last checked


@dataclass(frozen=True, slots=True)
class Limits:
    """A vendor's limits for one job. Bytes count the file as uploaded."""

    requests: int
    file_bytes: int
    line_bytes: int | None = None
    source: str = ""  # where the numbers come from
    enqueued_jobs: int | None = None  # jobs that may be out at once, whatever the account

    def lowered(self, requests: int | None, file_bytes: int | None) -> Limits:
        """The same limits, lowered (never raised) by the user's settings."""
        return Limits(
            min(self.requests, requests or self.requests),
            min(self.file_bytes, file_bytes or self.file_bytes),
            self.line_bytes,
            self.source,
            self.enqueued_jobs,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Facts that a vendor needs to create, find, poll or fetch one vendor-side batch.

    token: unique to this attempt to start; a vendor that can carry a tag carries it.
    nonce: part of every custom_id of the batch.
    sending_at: unix seconds (UTC) of the committed intent, by the ledger's clock: it proves nothing at the vendor.
    vendor_time: unix seconds by the vendor's own clock, read before the create; None where it was not.
    options: provider-specific settings of the batch (local: base_url, concurrency, engine, ...).
    """

    name: str
    path: Path
    sha256: str
    requests: int
    model: str
    endpoint: str
    token: str
    nonce: str
    sending_at: float
    window: str | None = None
    remote_file: str | None = None
    remote_id: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    known_ids: frozenset[str] = frozenset()  # vendor ids that other jobs of the ledger already own
    vendor_time: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a job as the vendor counts them; None where it does not say. Never used to decide an outcome.

    done: answered. failed: tried and not answered. Neither: still open, or cancelled once the job has ended.
    """

    total: int | None = None
    done: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One answer to "how is it going". `word` is the vendor's own status, shown as it is."""

    phase: Phase
    word: str
    counts: Counts = Counts()
    error: str | None = None  # the vendor's own text for a failed job
    retry_after_s: float | None = None
    queue_full: bool = False  # it ended because the vendor's queue had no room: nothing ran, send again later
    speed: Mapping[str, float] = field(default_factory=dict)  # local jobs: rows_per_s, tokens_per_s, eta_s, retries


@dataclass(frozen=True, slots=True)
class Download:
    """One remote file: its kind (`output` or `error`), its bytes in chunks, and its length where known."""

    kind: str
    chunks: Iterator[bytes]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Result of `find`. ids: vendor ids that match. sure: an empty answer proves that nothing was created, and a
    single id is certainly ours; when False the id is a likely candidate that the fetched custom_ids must confirm.
    unlikely: ids that fit too badly to be adopted unseen, and that keep an empty answer from proving anything.
    guess: what matches does so by likeness only (size, time), so that it may be a stranger's; else it carries our rows.
    """

    ids: tuple[str, ...]
    sure: bool
    unlikely: tuple[str, ...] = ()
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, in one definition for all vendors.

    input_tokens: whole prompt, cached part included. cached_tokens: the part of it read from a cache.
    output_tokens: everything generated and billed as output, reasoning included. reasoning_tokens: that part of it.
    written_tokens: the part of the prompt that was written to a cache. written_1h_tokens: that part of it which is kept
    for an hour.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    written_tokens: int = 0
    written_1h_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """One decoded row of a vendor's output. `text` is the model's answer text (ok rows only)."""

    custom_id: str | None
    outcome: Outcome
    text: str | None = None
    error: str | None = None
    usage: Usage | None = None
    model: str | None = None  # the model that served the request, as the vendor names it
    row_id: str | None = None
    finish: str | None = None  # the vendor's word for why generation stopped


class Item(NamedTuple):
    """One data-set row. fields: the row's own columns (texts, numbers, None), what has a field of its own left out.

    image: the picture, the first of several; `pictures` are all. references: right answers, the first one first;
    none where the data set has no answers. options: of a choice, `A` first.
    """

    id: str
    split: str
    fields: Mapping[str, Any]
    image: Image | None = None
    more_images: tuple[Image, ...] = ()
    question: str = ""
    context: str | None = None
    references: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[Image, ...]:
        """All pictures, in order."""
        return () if self.image is None else (self.image, *self.more_images)
