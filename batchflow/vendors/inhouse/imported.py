"""The provider `import`: answers and verdicts that people bring in files, under the verbs of a vendor.

Each line of the processed file holds a brought row beside the custom_id that it gets here; "sending" it costs nothing
and what comes back is the file itself. So results, jury, score and crashes need to know nothing about imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchflow import files
from batchflow.errors import Trouble, UsageError, VendorError
from batchflow.records import Capabilities, Download, Job, Json, Outcome, Progress, Request, Response
from batchflow.vendors.base import IMPORTED, RowForm, cannot_resume, no_clock, no_facts
from batchflow.vendors.inhouse import no_vendor

NAME = "import"
LIMITS = no_vendor.LIMITS
ENDPOINTS = ("file",)
TRAITS = IMPORTED
STATUSES = no_vendor.STATUSES

LINE = RowForm(id="custom_id", asked="row", source="batchflow", urls={})

connect, upload, find, cancel = no_vendor.connect, no_vendor.upload, no_vendor.find, no_vendor.cancel
clock, resume, facts = no_clock, cannot_resume, no_facts


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Refuse everything that is not a brought row."""
    if request.data is None or "row" not in request.data:
        raise UsageError(
            "import: answers that were imported cannot be asked for", hint="batchflow import predictions FILE"
        )


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """The brought row, None where the file has none for this item."""
    return {"custom_id": request.custom_id, "row": (request.data or {})["row"]}


def decode(line: Json) -> Response:
    """A brought row: its answer as text; a row without one, or that tells another outcome, is no answer."""
    custom_id, row = line.get("custom_id"), line.get("row")
    request_id = custom_id if isinstance(custom_id, str) else None
    if not isinstance(row, dict):
        return Response(request_id, Outcome.MISSING, error="the imported file has no row for this item")
    model, row_id = _text(row.get("model")), _text(row.get("id"))
    status, answer = row.get("outcome", Outcome.OK.value), row.get("answer")
    if status != Outcome.OK.value or answer is None:
        outcome = Outcome(status) if status in set(Outcome) - {Outcome.OK} else Outcome.MISSING
        why = str(row.get("error") or "the imported row holds no answer")
        return Response(request_id, outcome, error=why, model=model, row_id=row_id)
    text = answer if isinstance(answer, str) else files.dumps(answer).decode()
    return Response(request_id, Outcome.OK, text, model=model, row_id=row_id)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def create(client: Any, job: Job) -> str:
    """The file is here already."""
    return f"import-{job.token}"


def poll(client: Any, job: Job) -> Progress:
    """Done as soon as created."""
    return no_vendor.done(job)


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """The processed file."""
    yield Download("output", files.chunks(job.path), job.path.stat().st_size)


def remove(client: Any, job: Job) -> None:
    """Nobody else has a copy."""


def explain(error: Exception) -> VendorError:
    """Only the disk can fail."""
    return VendorError(f"import: {error}", trouble=Trouble.REFUSED)
