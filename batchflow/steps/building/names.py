"""Names of batches, which are names of files as well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from batchflow import batch_file
from batchflow.errors import UsageError
from batchflow.ledger import batches
from batchflow.steps.base.context import Context

_SUFFIX = "_imported"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def fit_name(name: str) -> str:
    """A batch name that a user chose, as it is. Raises UsageError for one that cannot be a file name as well."""
    if not name or len(name) > batch_file.NAME_LENGTH or name.startswith((".", "-")) or set(name) & set("/\\\0\n\r\t"):
        raise UsageError(
            f"the name {name[:60]!r} cannot be a file name",
            hint=f"use letters, digits, '-' and '_', at most {batch_file.NAME_LENGTH}, with --name",
        )
    if _UNSAFE.search(name):
        raise UsageError(
            f"the name {name!r} holds characters that are not safe in a path", hint="letters, digits, - _ ."
        )
    return name


def free_name(context: Context, path: Path, chosen: str | None, folders: Sequence[Path]) -> str:
    """The name of a batch made of a brought file: the file's own, unless that file in `folders` is the user's.

    It would be overwritten there; the batch is then called `<name>_imported`. Raises UsageError as `fit_name`.
    """
    if chosen:
        fit_name(chosen)
    name = (chosen or _UNSAFE.sub("-", path.stem).strip("-.") or "imported")[: batch_file.NAME_LENGTH - len(_SUFFIX)]
    with context.ledger.read() as tx:
        is_taken = batches.find(tx, name) is not None
    taken = not is_taken and any((folder / f"{name}.jsonl").exists() for folder in folders)
    return f"{name}{_SUFFIX}" if taken else name
