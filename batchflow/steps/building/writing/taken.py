"""Names and files that another batch has already, or a person: refused before anything of theirs is replaced."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.ledger.records import BatchRecord
from batchflow.local.base import options as local
from batchflow.records import Json, Kind
from batchflow.vendors import registry
from batchflow.vocabulary import SHARDS


def digest(spec: Json) -> str:
    """Hash of what decides a batch's requests."""
    return hashlib.sha256(files.dumps(dict(sorted(spec.items())))).hexdigest()


def refuse_other(standing: BatchRecord, spec: Json) -> None:
    """Raise UsageError when a name is taken by a batch that asks something else, saying what differs."""
    has_pace = registry.traits_of(standing.provider).own_engine  # in the spec, where an older version made it
    there = local.asked(standing.spec) if has_pace else standing.spec
    if standing.spec_sha256 == digest(spec) or digest(dict(there)) == digest(spec):
        return
    differs = [
        f"{key}: {_short(there.get(key))} there, {_short(spec.get(key))} here"
        for key in sorted(set(there) | set(spec))
        if there.get(key) != spec.get(key)
    ]
    chosen = "" if standing.kind is Kind.JUDGE else "choose --name, or "
    raise UsageError(
        f"the name {standing.name} is taken by another batch; {'; '.join(differs)}",
        hint=f"{chosen}batchflow delete {standing.name}",
    )


def refuse_other_shards(standing: BatchRecord, shards: int | None) -> None:
    """Raise UsageError when a batch that is there already was to be cut in another way."""
    there = standing.options.get(SHARDS)
    if shards not in {None, there}:
        cut = f"in {there} shards" if there else "without shards"
        raise UsageError(
            f"--shards {shards}: {standing.name} is there already, {cut}",
            hint=f"leave --shards out; or batchflow delete {standing.name}, then prepare it again",
        )


def refuse_to_overwrite(results: Path) -> None:
    """Raise DataError where the results of a batch that is about to be made would replace somebody's file."""
    if results.exists():
        raise DataError(f"{results} exists and is not from this ledger", hint="move it away, or choose another --name")


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}"
