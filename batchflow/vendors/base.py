"""The protocol of a vendor: one module with these functions, checked by mypy at its line in `registry`.

`create` is the one call that spends money: it is called once per token with the SDK's retries off, and only `find`
may follow it when its answer is lost. Every other verb may be repeated at will. `poll` asks and changes nothing.
`encode` and `decode` are pure and total. SDK exceptions leave through `explain`.
What a vendor has not is absent by name: `resume = base.cannot_resume`. Its `TRAITS` are what the steps ask instead of
its name, and its `LINE` says how a line of its file is laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from batchflow.errors import UsageError, VendorError
from batchflow.records import Capabilities, Download, Found, Job, Json, Limits, Phase, Progress, Request, Response
from batchflow.settings import Settings

ELSEWHERE = (
    "type the command in the project folder and on the host where the batch was started, with all disks mounted;"
    " if it is really gone: batchflow get NAME, then batchflow cancel NAME --lost"
)
"""Hint for a job of one's own whose files are not visible."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Traits that distinguish kinds of providers, so that no step compares names.

    pays: a vendor is behind it, which is reached over the network and paid; else the work is done on this machine.
    judges_only: a rule, not a model: it only gives verdicts, the same ones each time. imported: its rows came in a
    file, so nobody can be asked again. own_engine: workers on this machine do its jobs, under leases, with options and
    base URLs of the batch's own. partial: a job that runs gives the rows that it has so far. caches_on_request: it
    keeps the beginning of a prompt in a cache only where the request asks for it. counts_at_end: its counts are zero
    until a batch has ended.
    """

    pays: bool = True
    judges_only: bool = False
    imported: bool = False
    own_engine: bool = False
    partial: bool = False
    caches_on_request: bool = False
    counts_at_end: bool = False

    @property
    def asks_models(self) -> bool:
        """Tells whether a model answers, and may answer otherwise when it is asked again."""
        return not (self.judges_only or self.imported)


PAID = Traits()
ANTHROPICS = Traits(caches_on_request=True, counts_at_end=True)  # Anthropic; `request_counts` of its SDK
OWN_ENGINE = Traits(pays=False, own_engine=True, partial=True)
BY_RULE = Traits(pays=False, judges_only=True)
IMPORTED = Traits(pays=False, imported=True)

NOTHING: Mapping[str, Any] = MappingProxyType({})


def _as_it_is(line: Json) -> Json:
    return line


class RowForm(NamedTuple):
    """A line of one vendor's file.

    id, asked: the keys of the line's id and of what is asked. fixed: keys that have to be there with this value.
    may: keys that files for other vendors have and that are let through. urls: by endpoint, the keys that its body has
    to have. refused: keys of the body, with why the vendor refuses them whatever their value. values: keys of the body,
    with values that it refuses. known: all keys that a body may have, where every other one is refused. source: where
    the vendor says so. renewed: a line in the vendor's words of today, the same object where it is that already.
    """

    id: str
    asked: str
    source: str
    urls: Mapping[str, tuple[str, ...]]
    has_url: bool = False
    fixed: Mapping[str, str] = NOTHING
    may: frozenset[str] = frozenset()
    refused: Mapping[str, str] = NOTHING
    values: Mapping[str, tuple[Any, ...]] = NOTHING
    known: frozenset[str] | None = None
    renewed: Callable[[Json], Json] = _as_it_is

    @property
    def line_keys(self) -> frozenset[str]:
        """All keys that a line may have."""
        url = {"url"} if self.has_url else set[str]()
        return frozenset({self.id, self.asked, *self.fixed, *self.may, *url})


class Vendor(Protocol):
    """A provider of batches. A module satisfies it; no state but the client that `connect` returns."""

    @property
    def NAME(self) -> str: ...
    @property
    def LIMITS(self) -> Limits: ...
    @property
    def ENDPOINTS(self) -> tuple[str, ...]:
        """Accepted `--endpoint` values; the first is the default."""

    @property
    def STATUSES(self) -> Mapping[str, Phase]: ...
    @property
    def TRAITS(self) -> Traits: ...
    @property
    def LINE(self) -> RowForm: ...

    def check(self, request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
        """Raise UsageError (vendor, option, what would work) for anything `encode` could not send."""

    def encode(self, request: Request, can: Capabilities, endpoint: str) -> Json:
        """One line of the processed file. Pure; raises for a field it cannot send."""

    def decode(self, line: Json) -> Response:
        """One row of raw output. Never raises for a row that is a JSON object: oddities become an error outcome."""

    def connect(self, settings: Settings) -> Any:
        """The SDK's client; the SDK is imported in here and nowhere else. Raises UsageError without a key."""

    def upload(self, client: Any, job: Job) -> str | None:
        """Put the file where `create` finds it and return its remote id; None where `create` carries the rows."""

    def create(self, client: Any, job: Job) -> str:
        """Create the vendor-side batch, once, and return its id. `job.remote_file` is set. Never retried."""

    def find(self, client: Any, job: Job) -> Found:
        """Look for a batch that a lost `create` of this token may have made: the whole list, whatever any clock says.

        What proves a presence and what an absence at each vendor stands in docs/crash-safety.md.
        """

    def poll(self, client: Any, job: Job) -> Progress:
        """Polls job.remote_id."""

    def fetch(self, client: Any, job: Job) -> Iterator[Download]:
        """The output and error files, whichever exist, also of expired, cancelled and failed jobs."""

    def cancel(self, client: Any, job: Job) -> None:
        """Ask the vendor to stop; what ran is kept."""

    def remove(self, client: Any, job: Job) -> None:
        """Delete the vendor's copies of our files; files that are already gone are no error."""

    def explain(self, error: Exception) -> VendorError:
        """One of the SDK's (or its transport's) exceptions, as ours."""

    def clock(self, client: Any) -> float | None:
        """The vendor's own time (unix seconds), noted before each create; or `no_clock`, where batches carry a tag."""

    def resume(self, client: Any, job: Job) -> bool:
        """Resumes work that has stopped half-way; False: nothing to do. Or `cannot_resume`."""

    def facts(self, client: Any, job: Job) -> Json:
        """Facts about the engine that answered, as far as known: name, version, arguments; or `no_facts`."""


def no_clock(client: Any) -> float | None:
    """Stock answer of a vendor whose batches carry a tag: none has to be told apart by time."""
    return None


def cannot_resume(client: Any, job: Job) -> bool:
    """Stock answer of a provider whose jobs do not stop half-way."""
    return False


def no_facts(client: Any, job: Job) -> Json:
    """Stock answer of a provider that tells nothing of what answered."""
    return {}


def option_refused(vendor: str, option: str, why: str, works: str) -> UsageError:
    """The one wording for an option that a vendor or model does not take."""
    return UsageError(f"{vendor}: {option} cannot be used: {why}", hint=works)
