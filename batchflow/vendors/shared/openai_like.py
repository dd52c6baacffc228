"""The verbs of vendors whose batches are OpenAI's: a file is uploaded, a job names it, two files come back.

A vendor's module takes by name those that fit it (`find = _BATCHES.find`) and writes down what differs; one that
differs in nothing is its facts alone. Its SDK has the shape of OpenAI's, or is that: `files`, `batches`, raw responses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from batchflow.errors import VendorError
from batchflow.records import Capabilities, Download, Found, Job, Json, Phase, Progress, Request
from batchflow.settings import Settings
from batchflow.vendors.shared import chat_completions, error_mapping, file_batches, json_access, sdk_answers

Page = Callable[[str, Any, str], tuple[list[Json], str | None]]
"""From vendor, client and cursor ("" first) to a page of the account's batches and the next cursor; None ends it."""

STATUSES: Mapping[str, Phase] = {
    "validating": Phase.WAITING,
    "in_progress": Phase.WAITING,
    "finalizing": Phase.WAITING,
    "cancelling": Phase.WAITING,
    "completed": Phase.ENDED,
    "failed": Phase.ENDED,  # the file did not pass validation: no row ran
    "expired": Phase.ENDED,  # what ran is in the output file
    "cancelled": Phase.ENDED,
}


def after_the_last(vendor: str, client: Any, after: str) -> tuple[list[Json], str | None]:
    """A page of the project's batches, and the id after which the next begins."""
    page = sdk_answers.facts(vendor, client.batches.list(limit=100, **({"after": after} if after else {})))
    rows = file_batches.rows_of(vendor, page)
    is_last = not page.get("has_more") or not rows
    return rows, None if is_last else json_access.text(rows[-1].get("id")) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Facts in which vendors differ. base_url: the vendor's own. window: what is sent where none is chosen.

    windows: those that the vendor takes. statuses: its words; done and failed are those of a batch whose answers are
    there, and of one of which no row ran. page: how its list goes on. explained: in place of `explain`.
    """

    name: str
    base_url: str
    window: str = "24h"
    windows: tuple[str, ...] = ("24h",)
    endpoints: tuple[str, ...] = (chat_completions.CHAT,)
    statuses: Mapping[str, Phase] = field(default_factory=lambda: STATUSES)
    done: str = "completed"
    failed: str = "failed"
    page: Page = after_the_last
    explained: Callable[[Exception], VendorError] | None = None

    def check(self, request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
        """Raise UsageError for anything that `encode` or `create` could not send."""
        chat_completions.check(self.name, request, can)
        chat_completions.check_choice(self.name, "--endpoint", endpoint, self.endpoints)
        chat_completions.check_choice(self.name, "--completion-window", window, (*self.windows, *can.windows))

    def connect(self, settings: Settings) -> Any:
        """OpenAI's client at the vendor's address, its retries off: `steps` retries, and never a create."""
        from openai import DefaultHttpxClient, OpenAI, Timeout

        base_url = settings.base_url(self.name) or self.base_url
        return OpenAI(
            api_key=settings.need_key(self.name).reveal(),
            base_url=base_url,
            max_retries=0,
            timeout=Timeout(120.0, connect=10.0),
            http_client=sdk_answers.homebound(DefaultHttpxClient, base_url),
        )

    def upload(self, client: Any, job: Job) -> str:
        """Stream the file from disk. Raises VendorError GARBLED when another number of bytes arrived."""
        with job.path.open("rb") as handle:
            file = (job.path.name, handle)
            answer = client.files.create(file=file, purpose="batch", timeout=sdk_answers.PATIENCE_S)
        return sdk_answers.stored(self.name, answer, job)

    def create(self, client: Any, job: Job) -> str:
        """Create the batch with the token in its metadata."""
        answer = client.batches.create(
            input_file_id=job.remote_file,
            endpoint=job.endpoint,
            completion_window=job.window or self.window,
            metadata={"batchflow": job.token},
            timeout=sdk_answers.PATIENCE_S,
        )
        return sdk_answers.created(self.name, answer)

    def find(self, client: Any, job: Job) -> Found:
        """Batches with our token; else those on our upload, as candidates. Every upload gets an id of its own."""
        listed = file_batches.pages(self.name, partial(self.page, self.name, client))
        return file_batches.found(listed, job, "input_file_id", void={self.failed, "cancelled"})

    def batch(self, client: Any, job: Job) -> Json:
        """The batch as the vendor tells it."""
        return sdk_answers.facts(self.name, client.batches.retrieve(job.remote_id))

    def poll(self, client: Any, job: Job) -> Progress:
        """Polls a job. An unknown status word counts as waiting and is shown as it is."""
        raw = client.batches.with_raw_response.retrieve(job.remote_id)
        batch = sdk_answers.facts(self.name, raw.parse())
        errors, rows = batch.get("errors"), json_access.table(batch.get("request_counts"))
        error = json_access.error_text(json_access.dig(errors, "data") or errors)
        counts = sdk_answers.counts(rows.get("total"), rows.get("completed"), rows.get("failed"))
        progress = file_batches.progress(batch, self.statuses, counts, error, void=self.failed)
        return replace(progress, retry_after_s=error_mapping.retry_after(raw.headers))

    def fetch(self, client: Any, job: Job) -> Iterator[Download]:
        """Output and error file, whichever exist. Raises VendorError UNPUBLISHED where a batch is done without any."""
        content = client.files.with_streaming_response.content
        batch = self.batch(client, job)
        yield from file_batches.downloads(self.name, batch, file_batches.FILES, self.done, content)

    def cancel(self, client: Any, job: Job) -> None:
        """Ask the vendor to stop; it may take ten minutes, and what ran is kept. One that has ended is no error."""
        ask, poll = partial(client.batches.cancel, job.remote_id), partial(self.poll, client, job)
        file_batches.cancel(ask, poll, self.explain)

    def remove(self, client: Any, job: Job) -> None:
        """Delete input, output and error file at the vendor."""
        batch = partial(self.batch, client, job)
        file_batches.remove(job, batch, file_batches.FILES, client.files.delete, self.explain)

    def explain(self, error: Exception) -> VendorError:
        """An exception of the SDK or its transport, as ours."""
        return self.explained(error) if self.explained else error_mapping.explain(self.name, error)
