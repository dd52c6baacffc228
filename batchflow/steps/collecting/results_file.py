"""The files of results: settled requests read from the raw bytes, and written by a layout.

results/<name>.jsonl is in the default layout; another one has a folder of its own beside it, results/<layout>/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from batchflow import files
from batchflow.errors import DataError
from batchflow.layouts import registry as layouts
from batchflow.layouts.base import About, Layout, Settled, Sink, Verdicts
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import BatchRecord, SettledRecord, SettledRow
from batchflow.records import Item, Kind, Outcome, Parsed, Response
from batchflow.steps.base import payloads
from batchflow.steps.base.answer_form import Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.garbage import few_collections
from batchflow.steps.base.raw_reader import RawReader, response_of
from batchflow.steps.building.sources import KnownItems, texts_in_order
from batchflow.tasks.base import Known
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry

ItemOf = Callable[[str], Item | None]
KnownOf = Callable[[str], Known | None]
VerdictsOf = Callable[[str, int], Verdicts | None]
"""Verdicts on the answer to an item, by sample."""
_OK, _STRICT = Outcome.OK.value, Parsed.STRICT.value


class _Sink:
    """An open file whose lines are hashed, and hold no key."""

    def __init__(self, handle: BinaryIO, hidden: Hidden) -> None:
        self._handle, self._hidden, self._digest = handle, hidden, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Append whole lines."""
        data = self._hidden.data(data)  # raw bytes may spell a key with escapes
        self._digest.update(data)
        self._handle.write(data)

    @property
    def sha256(self) -> str:
        """Hex digest of what was written."""
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of somebody else's choice for a layout, and the names of model and batch in it."""

    folder: Path
    model: str
    name: str


class Folder:
    """A folder that a layout writes to. written: the files by now, with their hashes."""

    def __init__(self, folder: Path, hidden: Hidden) -> None:
        self._folder, self._hidden = folder, hidden
        self.written: list[tuple[Path, str]] = []

    @contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """A file under this path within the folder. Raises DataError for a path that leads elsewhere."""
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()) or path == self._folder:
            raise DataError(
                f"{name[:200]!r} is not a path within {self._folder}", hint="choose another name with --name"
            )
        with files.replacing(path) as handle:
            sink = _Sink(handle, self._hidden)
            yield sink
        self.written.append((path, sink.sha256))


@few_collections()
def write_results(context: Context, batch: BatchRecord, *, questions: bool = True) -> Path:
    """Write results/<name>.jsonl from the raw bytes: one row per settled request, in request order.

    questions: with question and reference beside each answer, as far as the data set is what it was. Judges' replies
    have none.
    """
    folder = _folder(context, batch, context.settings.results)
    items = KnownItems(context, batch, texts_in_order) if questions and batch.kind is Kind.PREDICTION else None
    layouts.DEFAULT.write(_about(batch), settled_rows(context, batch, known_of=items), folder)
    if items and items.note:
        context.say(items.note)
    ((path, sha256),) = folder.written
    payloads.keep(context, path, sha256)
    with context.ledger.write(batch.id) as tx:
        facts = {"results_path": str(path.relative_to(context.settings.project)), "results_sha256": sha256}
        batches.note(tx, batch.id, **facts, results_at=context.clock())
    return path


def write_layout(
    context: Context,
    batch: BatchRecord,
    layout: Layout,
    item_of: ItemOf | None,
    verdicts_of: VerdictsOf | None = None,
    place: Place | None = None,
) -> tuple[str, ...]:
    """Write a batch's results in another layout; returns the files.

    item_of, verdicts_of: for layouts that want them. place: elsewhere than in results/<layout>/, under other names.
    """
    folder = _folder(context, batch, place.folder if place else context.settings.results / layout.NAME)
    about = _about(batch)
    about = replace(about, model=place.model, name=place.name) if place else about
    rows = settled_rows(context, batch, item_of)
    if verdicts_of is not None:
        rows = (row._replace(verdicts=verdicts_of(row.item_id, row.sample)) for row in rows)
    layout.write(about, rows, folder)
    return tuple(shown(context, path) for path, _ in folder.written)


def shown(context: Context, path: Path) -> str:
    """A path as reports show it: relative to the project, where it lies in it."""
    project = context.settings.project
    return str(path.relative_to(project) if path.is_relative_to(project) else path)


def _folder(context: Context, batch: BatchRecord, folder: Path) -> Folder:
    is_here = batch.provider in registry.HERE  # a worker has hidden its own key, which may be as plain as `ollama`
    return Folder(folder, Hidden(() if is_here else context.settings.secrets(batch.provider)))


def _about(batch: BatchRecord) -> About:
    return About(
        batch.name, batch.provider, batch.model, batch.task, batch.split, batch.hints, batch.rehearsal,
        dataset=batch.dataset_path, made_at=batch.created_at, params=batch.params, spec={**batch.options, **batch.spec},
        requests=batch.n_requests,
    )  # fmt: skip


def settled_rows(
    context: Context, batch: BatchRecord, item_of: ItemOf | None = None, known_of: KnownOf | None = None
) -> Iterator[Settled]:
    """The settled requests of a batch, in its order."""
    vendor, form = registry.get(batch.provider, context.settings), Form.of(batch)
    with context.ledger.read() as tx, RawReader(context, vendor, tx, batch) as reader:
        read = partial(_answer, tx, form)
        for row in request_rows.settled(tx, batch.id):
            yield _settled(row, reader, read, is_object=form.is_object, item_of=item_of, known_of=known_of)


def _settled(
    row: SettledRow,
    reader: RawReader,
    read: Callable[[Response, int], str | None],
    *,
    is_object: bool,
    item_of: ItemOf | None,
    known_of: KnownOf | None,
) -> Settled:
    response: Response | None
    answer: str | None
    request_id, _, raw_job_id, _, _, _, custom_id, item_id, sample, outcome, parsed, error, model, *tokens = row
    if (usual := reader.plain(row, custom_id)) is not None:
        plain, line = usual
        _, text, _, row_id, _, _ = plain
        original, answer = files.spliced(line), text
        if outcome == _OK:
            answer = _respelled(text) if is_object and parsed == _STRICT else None
            answer = read(response_of(plain), request_id) if answer is None else answer
    else:
        response, original = reader.original(SettledRecord._make(row))
        row_id, answer = (response.row_id, response.text) if response else (None, None)
        if response and outcome == _OK:
            answer = read(response, request_id)
    return Settled(
        row_id,
        item_id,
        answer,
        model,
        original,
        outcome,
        parsed,
        error,
        _usage(*tokens),
        sample,
        raw_job_id is not None,
        custom_id,
        None if item_of is None else item_of(item_id),
        None,
        None if known_of is None else known_of(item_id),
    )


def _respelled(text: str) -> str | None:
    """An answer that was found to be strict JSON, in our spelling; None for one beyond `files.loads`."""
    try:
        return files.respelled(text)
    except ValueError:
        return None


def _answer(tx: Tx, form: Form, response: Response, request_id: int) -> str | None:
    """Judged part of a reply, or its whole text where it could not be read."""
    value = form.read(response, request_rows.columns_of(tx, request_id) if form.needs_columns else "").value
    return response.text if value is None else form.shown(value)


def _usage(
    read: int | None, cached: int | None, given: int | None, reasoned: int | None, written: int | None
) -> Mapping[str, int] | None:
    if read is None:
        return None
    return {
        "input_tokens": read,
        "cached_tokens": cached or 0,
        "output_tokens": given or 0,
        "reasoning_tokens": reasoned or 0,
        "written_tokens": written or 0,
    }
