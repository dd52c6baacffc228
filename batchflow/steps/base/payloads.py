"""Payloads where every host of a ledger sees them: in the store, with the project folder as its cache.

A payload is in the store before the ledger names it, under its path and its hash: a kill in between leaves an object
that nobody names, and the same command writes it again. A host without the file brings it by that name. Without
BATCHFLOW_STORE all of this does nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from batchflow import files
from batchflow.ledger import Ledger, Tx, batches, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.steps.base import deletion
from batchflow.steps.base.context import Context
from batchflow.steps.base.digests import is_of, is_whole
from batchflow.store import CHANGED, SETTABLE, Store

CACHE = ".store"
"""Folder in processed_files/ of what was brought and has no place of its own there."""

_DATA, _REPORTS = "data", "reports"
_BUILTIN = "builtin:"
_IDS: WeakKeyDictionary[Ledger, str] = WeakKeyDictionary()


def store_of(context: Context) -> Store | None:
    """The store of a project, None without one. Raises UsageError for a URL that is none."""
    url = context.settings.store_url
    if not url:
        return None
    environment = context.settings.environment
    return _opened(url, tuple((name, environment[name]) for name in SETTABLE if name in environment))


@lru_cache(maxsize=4)
def _opened(url: str, environment: tuple[tuple[str, str], ...]) -> Store:
    return Store(url, dict(environment))


def _ledger_id(context: Context) -> str:
    """The ledger's own id, under which its objects lie: two ledgers may share a bucket."""
    if context.ledger not in _IDS:
        with context.ledger.read() as tx:
            _IDS[context.ledger] = batches.ledger_id(tx)
    return _IDS[context.ledger]


def _folder(context: Context, relative: str) -> str:
    return f"{_ledger_id(context)}/{relative}"


def _key(context: Context, relative: str, sha256: str) -> str:
    return f"{_folder(context, relative)}/{sha256}"


def keep(context: Context, path: Path, sha256: str, *, source: Path | None = None) -> None:
    """Bring a payload to the store. source: where its bytes are until it gets its name. Raises StoreError."""
    if (store := store_of(context)) is not None:
        store.put(_key(context, str(path.relative_to(context.settings.project)), sha256), source or path)


def keep_all(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...]) -> None:
    """Bring all files of a batch that lie here to the store: those of before there was one, too."""
    if store_of(context) is None:
        return
    project = context.settings.project
    for job in parts:
        for path, sha256 in [(job.path, job.sha256), *((file["path"], file["sha256"]) for file in job.raw)]:
            if is_of(project / path, sha256):
                keep(context, project / path, sha256)
    keep_data(context, batch.dataset, Path(batch.dataset_path), batch.dataset_sha256)


def sent_file(context: Context, job: JobRecord) -> Path:
    """The path of a job's processed file, brought from the store where it is not here; an edited one stays."""
    path: Path = context.settings.project / job.path
    store = store_of(context)
    if store is not None and not path.exists():
        store.get(_key(context, job.path, job.sha256), path, job.sha256)
    return path


def raw_file(context: Context, file: Mapping[str, Any]) -> Path:
    """The path of a raw file as the ledger names it: its own, or a copy that is brought beside one of other bytes.

    Nothing is renamed over its own path: a `results` that is at work may have written there.
    """
    path, sha256 = context.settings.project / str(file["path"]), str(file["sha256"])
    store = store_of(context)
    if store is None or is_whole(context.settings.project, file):
        return path
    copy = context.settings.processed / CACHE / sha256
    if is_of(copy, sha256) or store.get(_key(context, file["path"], sha256), copy, sha256):
        return copy
    return path


def restore(context: Context, file: Mapping[str, Any]) -> bool:
    """Bring a raw file to its own path, for who holds the batch's results lock; tells whether it is whole there."""
    if is_whole(context.settings.project, file):
        return True
    store, sha256 = store_of(context), str(file["sha256"])
    target = context.settings.project / file["path"]
    return store is not None and store.get(_key(context, file["path"], sha256), target, sha256)


def sweep(context: Context) -> None:
    """Remove what killed processes left half-written among the copies of the store."""
    files.sweep(context.settings.processed / CACHE)


def keep_data(context: Context, location: str, path: Path, sha256: str) -> None:
    """Bring a data set that is one file to the store: `jury`, `retry` and `results` read it on every host."""
    store = store_of(context)
    if store is not None and not location.startswith(_BUILTIN) and is_of(path, sha256):
        store.put(_key(context, f"{_DATA}/{path.name}", sha256), path)


def data_set(context: Context, batch: BatchRecord) -> Path | None:
    """A copy of a batch's data set from the store; None where none is there."""
    store, sha256, name = store_of(context), batch.dataset_sha256, Path(batch.dataset_path).name
    if store is None:
        return None
    copy = context.settings.processed / CACHE / _DATA / sha256 / name
    is_here = is_of(copy, sha256) or store.get(_key(context, f"{_DATA}/{name}", sha256), copy, sha256)
    return copy if is_here else None


def publish(context: Context, path: Path) -> None:
    """Bring a report to the store under its own name, in place of an older one."""
    if (store := store_of(context)) is not None:
        store.publish(_folder(context, f"{_REPORTS}/{path.name}"), path)


def keep_note(context: Context, path: Path) -> None:
    """Bring the note of a create to the store, beside those of earlier ones. Raises StoreError."""
    if (store := store_of(context)) is not None:
        store.put(_note_key(context, path), path)


def keep_only_note(context: Context, path: Path) -> None:
    """Remove the store's notes of earlier creates of the same part. Raises StoreError."""
    if (store := store_of(context)) is not None:
        key = _note_key(context, path)
        store.remove(other for other, _ in store.objects(key.rpartition("/")[0]) if other != key)


def _note_key(context: Context, path: Path) -> str:
    return _key(context, str(path.relative_to(context.settings.project)), files.digest(path.read_bytes()))


def notes(context: Context, path: Path) -> Iterator[bytes]:
    """The notes of a create that the store holds: several only where an earlier one was not removed."""
    if (store := store_of(context)) is not None:
        for key, _ in store.objects(_folder(context, str(path.relative_to(context.settings.project)))):
            yield store.read(key, key.rpartition("/")[2])


def drop(context: Context, batch: BatchRecord, sent_or_raw: re.Pattern[str]) -> None:
    """Remove the objects of a batch but its data set. sent_or_raw: names of its files."""
    store = store_of(context)
    if store is None:
        return
    processed = _folder(context, context.settings.processed.name)
    folders = [f"{processed}/{name}" for name in store.folders(processed) if sent_or_raw.fullmatch(name)]
    locks = f"{processed}/.locks"
    folders += [f"{locks}/{name}" for name in store.folders(locks) if name.startswith(f"{batch.nonce}-")]
    folders.append(_folder(context, f"{context.settings.results.name}/{batch.name}.jsonl"))
    for folder in folders:
        store.remove(key for key, _ in store.objects(folder))


def drop_data(context: Context, batch: BatchRecord, family: Collection[int]) -> None:
    """Remove the data set of a batch unless another one has it. family: ids of the batches that go with it.

    Whoever makes a batch of the same data holds the same name while its row is written, and looks afterwards whether
    the object is there.
    """
    if (store := store_of(context)) is None:
        return
    key = _key(context, f"{_DATA}/{Path(batch.dataset_path).name}", batch.dataset_sha256)
    with context.ledger.write(names=[data_name(batch.dataset_sha256)]) as tx:
        others = [each for each in batches.listing(tx) if each.id not in family]
        if batch.dataset_sha256 not in {each.dataset_sha256 for each in others}:
            store.remove([key])
            shutil.rmtree(context.settings.processed / CACHE / _DATA / batch.dataset_sha256, ignore_errors=True)


def data_name(sha256: str) -> str:
    """Name of a data set for transactions that decide whether its object is needed."""
    return f"data {sha256}"


def named(tx: Tx) -> list[tuple[str, str, str]]:
    """Batch, path and hash of every payload that the ledger names, but those of batches whose delete was cut."""
    rows = []
    for batch in batches.listing(tx):
        if deletion.is_marked(batch):
            continue
        for job in jobs.of_batch(tx, batch.id):
            rows.append((batch.name, job.path, job.sha256))
            rows += [(batch.name, str(file["path"]), str(file["sha256"])) for file in job.raw]
        if batch.results_path and batch.results_sha256:
            rows.append((batch.name, batch.results_path, batch.results_sha256))
    return rows


def problems(context: Context, payloads: list[tuple[str, str, str]]) -> Iterator[str]:
    """Payloads that the store lacks, or holds in other bytes."""
    store = store_of(context)
    for name, path, sha256 in payloads if store is not None else ():
        if store is not None and (damage := store.state(_key(context, path, sha256), sha256)):
            first = "remove it there; then " if damage == CHANGED else ""
            yield f"{path}: {damage} in the store: {first}batchflow results {name}, on a host that has the file"
