"""Sources of a batch: its data set, its items and its template, held to the hashes in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from batchflow import files
from batchflow.errors import BatchflowError, DataError
from batchflow.ledger.records import BatchRecord
from batchflow.records import Item
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Known, Source, Task, Template, rows_known
from batchflow.tasks.datasets import columns
from batchflow.texts import templates

Row = TypeVar("Row", Item, Known)


def same_source(context: Context, batch: BatchRecord) -> Source:
    """The data set that a batch was made from, here or in the store. Raises DataError when its bytes have changed."""
    path = Path(batch.dataset_path)
    if not path.exists() or files.sha256_of(path) != batch.dataset_sha256:
        if (copy := payloads.data_set(context, batch)) is not None:
            return replace(recorded_source(batch), path=copy)
        state = "was changed" if path.exists() else "is gone"
        raise DataError(
            f"{batch.name}: its data set {path} {state} since it was prepared, so its items are uncertain",
            hint="put the old file back, or prepare the batch anew",
        )
    return recorded_source(batch)


def recorded_source(batch: BatchRecord) -> Source:
    """The data set that a batch was made from, with the columns that `--map` named, as the ledger knows it."""
    mapping = columns.recorded(batch.spec.get("map", ""))
    return Source(batch.dataset, Path(batch.dataset_path), batch.dataset_sha256, mapping)


def items_in_order(task: Task, source: Source, batch: BatchRecord) -> Callable[[str], Item]:
    """Finds the items of a batch by id, reading its data set once, or once for each stage, however large it is.

    The ids have to be asked for in the order of the batch's requests, which is that of the data set, stage by stage.
    Raises DataError for one that is not there.
    """
    return _in_order(lambda: task.items(source, batch.split), batch, source)


def texts_in_order(task: Task, source: Source, batch: BatchRecord) -> Callable[[str], Known]:
    """`items_in_order`, of which only question and right answers are wanted."""
    return _in_order(lambda: rows_known(task, source, batch.split), batch, source)


def _in_order(rows: Callable[[], Iterator[Row]], batch: BatchRecord, source: Source) -> Callable[[str], Row]:
    """Finds rows, which begin with their id."""
    left, latest = rows(), None

    def find(item_id: str) -> Row:
        nonlocal left, latest
        is_new = latest is None  # nothing of this pass lies behind
        while latest is None or latest[0] != item_id:
            latest = next(left, None)
            if latest is None:
                if is_new:
                    raise DataError(f"{batch.name}: item {item_id} is not in the data set {source.location}")
                left, is_new = rows(), True
        return latest

    return find


class KnownItems(Generic[Row]):
    """Finds the items of a batch by id, in order, as far as its data set is what it was. note: why it is not."""

    def __init__(
        self,
        context: Context,
        batch: BatchRecord,
        in_order: Callable[[Task, Source, BatchRecord], Callable[[str], Row]],
    ) -> None:
        self.note = ""
        self._find: Callable[[str], Row] | None = None
        try:
            self._find = in_order(tasks.of_spec(batch.task, batch.spec), same_source(context, batch), batch)
        except BatchflowError as error:
            self.note = f"{error}; questions and references are left out"

    def __call__(self, item_id: str) -> Row | None:
        """The item of that id; None once one could not be found."""
        if self._find is None:
            return None
        try:
            return self._find(item_id)
        except BatchflowError as error:
            self._find, self.note = None, f"{error}; its question and those after it are left out"
            return None


def same_template(task: Task, batch: BatchRecord) -> Template:
    """The answer template that a batch was made with. Raises DataError when it has changed."""

    def read(path: Path | None) -> Template:
        return request_file(path) if path and batch.is_brought else task.template(batch.split, path)

    return recorded_template(batch, read)


def recorded_template(batch: BatchRecord, read: Callable[[Path | None], Template]) -> Template:
    """The template that a batch was made with; `read` takes a file's path, or None for the built-in one.

    Raises DataError when it has changed.
    """
    template = read(Path(batch.template) if templates.is_file(batch.template) else None)
    if template.sha256 != batch.template_sha256:
        raise DataError(
            f"{batch.name}: its template {batch.template} was changed since it was prepared",
            hint="put the old one back, or prepare the batch anew under another --name",
        )
    return template


def request_file(path: Path) -> Template:
    """The file in the place of a template: it decides what is asked. Raises DataError when it is gone."""
    if not path.is_file():
        raise DataError(f"{path}, which holds the requests, is gone", hint="put it back")
    return Template(str(path), "", files.sha256(path))
