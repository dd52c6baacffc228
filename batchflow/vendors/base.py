"""What a vendor is: one module with these functions, checked by mypy at its line in `registry`.

`create` is the one call that spends money: it is called once per token with the SDK's retries off, and only `find`
may follow it when its answer is lost. Every other verb may be repeated at will. `poll` asks and changes nothing.
A vendor whose batches carry no tag also has `clock(client)`, the vendor's own time, which is noted before each create.
`encode` and `decode` are pure and total. SDK exceptions leave through `explain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from batchflow.errors import UsageError, VendorError
from batchflow.records import Capabilities, Download, Found, Job, Json, Limits, Phase, Progress, Request, Response
from batchflow.settings import Settings

ELSEWHERE = (
    "type the command in the project folder and on the host where the batch was started, with all disks mounted;"
    " if it is really gone: batchflow get NAME, then batchflow cancel NAME --lost"
)
"""What to do about a job of one's own whose files are not to be seen."""


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
        """How job.remote_id is going."""

    def fetch(self, client: Any, job: Job) -> Iterator[Download]:
        """The output and error files, whichever exist, also of expired, cancelled and failed jobs."""

    def cancel(self, client: Any, job: Job) -> None:
        """Ask the vendor to stop; what ran is kept."""

    def remove(self, client: Any, job: Job) -> None:
        """Delete the vendor's copies of our files; files that are already gone are no error."""

    def explain(self, error: Exception) -> VendorError:
        """One of the SDK's (or its transport's) exceptions, as ours."""


def option_refused(vendor: str, option: str, why: str, works: str) -> UsageError:
    """The one wording for an option that a vendor or model does not take."""
    return UsageError(f"{vendor}: {option} cannot be used: {why}", hint=works)
