"""The pace of a local batch: how it is worked off and where. It may change once the batch is made; the question not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.ledger import Tx, batches
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.local.base import options as local
from batchflow.settings import Settings
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import PACE


def with_pace(standing: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A batch's options with the pace of others, and what that changes, for people."""
    kept = {name: value for name, value in standing.items() if name not in PACE and name != local.ARGUMENTS_KEY}
    paced = {name: value for name, value in wanted.items() if name in PACE or name == local.ARGUMENTS_KEY}
    new = {**kept, **paced}
    names = sorted(name for name in {*standing, *new} if standing.get(name) != new.get(name))
    return new, tuple(f"{name}: {_said(standing.get(name))} -> {_said(new.get(name))}" for name in names)


def _said(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={text}" for name, text in value.items()) or "not set"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def take_over(tx: Tx, standing: BatchRecord, wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Give a batch that is prepared once more the pace that it is prepared with now; returns what changed."""
    if not traits_of(standing.provider).own_engine:
        return ()
    options, changes = with_pace(standing.options, wanted)
    if changes:
        batches.note(tx, standing.id, options=options)
    return changes


def pointed_at(settings: Settings, batch: BatchRecord, parts: tuple[JobRecord, ...] = ()) -> str | None:
    """Base URLs of a batch: a local one's own, a vendor's from the settings."""
    if not traits_of(batch.provider).own_engine:
        return settings.base_url(batch.provider)
    if own := batch.options.get("base_url"):
        return own if isinstance(own, str) else ", ".join(own)
    if sent := next((job.base_url for job in parts if job.base_url), None):
        return sent
    is_out = any(job.remote_id for job in parts)
    return None if batch.options.get("engine") or is_out else settings.base_url(batch.provider)
