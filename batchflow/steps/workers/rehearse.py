"""rehearse: what the loopback server has to know, and where it remembers.

Its vendors know the answers of the built-in riddles, of the data sets that are named, and of those that batches of the
ledger were made from, so that a rehearsal goes on as it began.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from batchflow import files
from batchflow.errors import BatchflowError, DataError, NotReady
from batchflow.ledger import Ledger, batches
from batchflow.records import Kind
from batchflow.rehearsal.answers import Oracle, oracle
from batchflow.settings import Settings
from batchflow.steps.base.options import OWN_TASK
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task
from batchflow.tasks.datasets import columns

LOOK_AGAIN_S = 1.0
"""Between two looks into the ledger for a question that nobody knew."""


class Dataset(NamedTuple):
    """Source of a batch: its data set and its mapping. task_spec: what its spec says about its task, as JSON text."""

    task: str
    split: str
    path: str
    sha256: str
    mapping: columns.Mapped = ()
    task_spec: str = "{}"


class Known:
    """An oracle that looks into the ledger again for a question that it does not know: a batch may have come since."""

    def __init__(self, settings: Settings, named: Sequence[Path], mapping: Sequence[str] = ()) -> None:
        self._settings, self._named, self._mapping = settings, tuple(named), tuple(mapping)
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._datasets = ledger_datasets(settings)
        self._oracle = self._read()

    def __call__(self, texts: tuple[str, ...]) -> str | None:
        """The right answer to a question, or None."""
        answer = self._oracle(texts)
        return self._oracle(texts) if answer is None and self._has_grown() else answer

    def _has_grown(self) -> bool:
        with self._lock:
            if time.monotonic() < self._next_look:
                return False
            datasets = ledger_datasets(self._settings)
            if datasets == self._datasets:
                self._next_look = time.monotonic() + LOOK_AGAIN_S
                return False
            self._datasets = datasets  # `_read` looks there
            self._oracle = self._read()
            return True

    def _read(self) -> Oracle:
        named = known_answers(self._settings, self._named, self._mapping)
        return oracle((*named, *_of_batches(self._settings, self._datasets)))


def ledger_datasets(settings: Settings) -> frozenset[Dataset]:
    """The user's own data sets that batches were made from; none where there is no ledger that can be read."""
    kind, _, path = settings.database_url.partition(":///")
    if kind.startswith("sqlite") and not Path(unquote(path)).exists():  # looking would create it
        return frozenset()
    datasets: set[Dataset] = set()
    with suppress(BatchflowError):
        ledger = Ledger.open(settings.database_url, migrate=False)
        try:
            if ledger.revision() is None:
                return frozenset()
            with ledger.read() as tx:
                datasets = {
                    Dataset(
                        batch.task,
                        batch.split,
                        batch.dataset_path,
                        batch.dataset_sha256,
                        columns.recorded(batch.spec.get("map", "")),
                        files.dumps(tasks.recorded_in(batch.spec)).decode(),
                    )
                    for batch in batches.listing(tx)
                    if batch.kind is Kind.PREDICTION and not batch.dataset.startswith("builtin:")
                }
        finally:
            ledger.close()
    return frozenset(datasets)


def _of_batches(settings: Settings, datasets: frozenset[Dataset]) -> Iterator[tuple[str, str]]:
    """(question, reference answer) of the ledger's data sets; one that cannot be read any more is left out."""
    for dataset in sorted(datasets):
        with suppress(BatchflowError, OSError, KeyError):
            task = tasks.of_spec(dataset.task, files.loads(dataset.task_spec))
            source = task.source(settings, dataset.split, Path(dataset.path))
            yield from _pairs(task, replace(source, mapping=dataset.mapping), dataset.split)


@contextmanager
def memory(folder: Path) -> Iterator[Path]:
    """The folder in which rehearsed vendors remember, for one server at a time: none knows what another one does.

    Raises NotReady while another rehearsal has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady(
                f"another rehearsal is running in {folder}",
                hint="wait for it, type the command inside it, or give this one its own --folder DIR",
            ) from None
        yield folder


def known_answers(
    settings: Settings, datasets: Sequence[Path] = (), mapping: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """(question, reference answer) of the built-in riddles and the user's own files. Raises DataError, UsageError."""
    task = tasks.get("riddles")
    for split in task.SPLITS:
        yield from _pairs(task, task.source(settings, split, None), split)
    for path in datasets:
        holds = [split for split in task.SPLITS if _holds(task, settings, path, split)]
        for split in holds:
            yield from _pairs(task, task.source(settings, split, path), split)
        if not holds:  # no file of riddles
            yield from _own_pairs(settings, path, columns.parsed(mapping, tasks.get(OWN_TASK).FIELDS))


def _pairs(task: Task, source: Source, split: str) -> Iterator[tuple[str, str]]:
    for item in task.items(source, split):
        if item.references:
            yield item.question, task.reference(item)


def _own_pairs(settings: Settings, path: Path, mapping: columns.Mapped) -> Iterator[tuple[str, str]]:
    task = tasks.get(OWN_TASK)
    split = task.SPLITS[0]
    yield from _pairs(task, replace(task.source(settings, split, path), mapping=mapping), split)


def _holds(task: Task, settings: Settings, path: Path, split: str) -> bool:
    try:
        return next(task.items(task.source(settings, split, path), split), None) is not None
    except DataError:
        return False
