"""Verbs that vendors with files share once a batch exists: find, poll, fetch, cancel, remove.

A vendor's own words (fields, statuses) come in as arguments, so its file still shows its protocol from top to bottom.
`pages` and `cancel` also serve the vendors without result files. Nothing here knows an SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.records import Counts, Download, Found, Job, Json, Phase, Progress
from batchflow.vendors.shared import error_mapping, json_access, sdk_answers

Fields = tuple[str, str]  # the names of a batch's output and error file
FILES: Fields = ("output_file_id", "error_file_id")  # as OpenAI calls them, and most after it

PAGES = 10_000  # a list that never ends is the server's fault, not a reason to ask for ever


def pages(vendor: str, ask: Callable[[str], tuple[list[Json], str | None]]) -> Iterator[Json]:
    """The rows of a list, page by page. ask: cursor ("" first) to rows and the next cursor; None ends the list.

    Raises VendorError GARBLED for a list without an end: it could not prove an absence.
    """
    cursor: str | None = ""
    seen: set[str] = set()
    while cursor is not None:
        if cursor in seen or len(seen) == PAGES:
            raise VendorError(f"{vendor}: the list of batches is broken or never ends", trouble=Trouble.GARBLED)
        seen.add(cursor)
        rows, cursor = ask(cursor)
        yield from rows


def rows_of(vendor: str, page: Json) -> list[Json]:
    """The rows of a page. Raises VendorError GARBLED for a page without any: it could not prove an absence."""
    if not isinstance(page.get("data"), list):
        text = f"{vendor}: the list of batches is broken: a page holds no `data`"
        raise VendorError(text, trouble=Trouble.GARBLED)
    return [json_access.table(row) for row in page["data"]]


def found(batches: Iterable[Json], job: Job, source: str, void: Collection[str]) -> Found:
    """Batches with our token; else those on our upload that no other job owns, as candidates.

    A batch on our file without our token comes from an earlier attempt that was taken for lost and carries the same
    rows: adopting it pays nothing twice. source: the field that names the input. void: statuses of batches that carry
    no answers worth adopting.
    """
    same_file = []
    for batch in batches:
        batch_id = json_access.text(batch.get("id"))
        if batch_id is None or batch_id in job.known_ids:
            continue
        inputs = batch.get(source)
        if json_access.dig(batch, "metadata", "batchflow") == job.token:
            return Found((batch_id,), sure=True)  # a token is sent once
        if job.remote_file and job.remote_file in (inputs if isinstance(inputs, list) else [inputs]):
            same_file += [batch_id] if batch.get("status") not in void else []
    return Found(tuple(dict.fromkeys(same_file)), sure=not same_file)  # pages may repeat a row


def progress(batch: Json, statuses: Mapping[str, Phase], counts: Counts, error: str | None, *, void: str) -> Progress:
    """Polls a batch. An unknown status word counts as waiting and is shown as it is.

    void: the status of a batch of which no row ran, which may be for want of room in the vendor's queue.
    """
    word = json_access.text(batch.get("status")) or "(no status)"
    full = word == void and error_mapping.says_queue_full(error)
    return Progress(statuses.get(word, Phase.WAITING), word, counts, error, queue_full=full)


def downloads(
    vendor: str, batch: Json, fields: Fields, done: str, content: Callable[[str], AbstractContextManager[Any]]
) -> Iterator[Download]:
    """Output and error file, whichever exist. content: file id to its open response, closed when it has been read.

    Raises VendorError UNPUBLISHED for a batch whose status is `done` and that names neither.
    """
    named = {kind: json_access.text(batch.get(field)) for kind, field in zip(("output", "error"), fields, strict=True)}
    if batch.get("status") == done and not any(named.values()):
        raise sdk_answers.unpublished(vendor, done)
    for kind, file_id in named.items():
        if file_id:
            yield from sdk_answers.opened(kind, partial(content, file_id))


def cancel(ask: Callable[[], Any], poll: Callable[[], Progress], explain: Callable[[Exception], VendorError]) -> None:
    """Ask the vendor to stop; its refusal is no error where the batch has ended."""
    try:
        ask()
    except Exception as error:
        if explain(error).status not in {400, 409, 422} or poll().phase is Phase.WAITING:
            raise


def remove(
    job: Job,
    batch: Callable[[], Json],
    fields: Fields,
    delete: Callable[[str], Any],
    explain: Callable[[Exception], VendorError],
) -> None:
    """Delete input, output and error file at the vendor; what is already gone is no error."""
    facts = sdk_answers.unless_gone(batch, explain) if job.remote_id else None
    file_ids = (json_access.text(json_access.dig(facts, field)) for field in fields)
    sdk_answers.forget([job.remote_file, *file_ids], delete, explain)
