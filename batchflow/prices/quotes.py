"""A model's price on a day, from the user's own table or the price set; what is not known is said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from batchflow.prices import catalogue, overrides
from batchflow.prices.rates import FREE, Quote, Rate

UNDISCOUNTED = {"together": "Together's batches cost the full price"}
"""Vendors whose batches cost as much as anything else, with the words for it. Checked 2026-11-27."""

LOWEST_SHARE = 0.5
"""The least of the full price that a batch costs at any vendor of ours (their pages, 2026-11-27)."""


def free(provider: str, model: str, why: str) -> Quote:
    """The quote of work that nobody is paid for. why: shown."""
    return Quote(provider, model, FREE, FREE, why, is_free=True)


def quote(provider: str, model: str, on: date, *, own: Mapping[str, Any], keep_in: Path | None = None) -> Quote:
    """Price of a model's batch. own: `[prices]` of batchflow.toml. keep_in: see `catalogue.look_up`.

    Raises UsageError for a broken table.
    """
    mine = overrides.find(own, provider, model)
    if mine is not None and mine.rate is not None:
        return Quote(provider, model, mine.rate, mine.rate, overrides.SOURCE)
    name = model.removeprefix("models/")
    entry = catalogue.look_up(provider, name, keep_in)
    if entry is None:
        return Quote(provider, model, None, None, catalogue.version(), f"{catalogue.version()} does not know {model}")
    era = entry.on(on)
    source = catalogue.version() + (f", since {era.since}" if era.since else "")
    source += f", as {entry.name}" if entry.name != name else ""
    if mine is not None and mine.batch_share is not None:
        rate = era.full.scaled(mine.batch_share) if era.full else None
        return _quoted(provider, model, rate, rate, f"{source}, at the share of {overrides.SOURCE}")
    if era.batch is not None:
        return _quoted(provider, model, era.batch, era.batch, source)
    if provider in UNDISCOUNTED:
        return _quoted(provider, model, era.full, era.full, source, notes=(UNDISCOUNTED[provider],))
    return _unsure(provider, model, on, entry, era, source)


def _quoted(
    provider: str, model: str, low: Rate | None, high: Rate | None, source: str, why: str = "",
    notes: tuple[str, ...] = (),
) -> Quote:  # fmt: skip
    if low is None or high is None:
        return Quote(provider, model, None, None, source, f"{source} has no price per token for {model}")
    return Quote(provider, model, low, high, source, why, notes)


def _unsure(provider: str, model: str, on: date, entry: catalogue.Entry, era: catalogue.Era, source: str) -> Quote:
    """A model whose batch price on that day is in no set: between the least that is known of and the full price."""
    full = era.full
    since = entry.batch_since
    if since is not None and since > on.isoformat():
        later = entry.on(date.fromisoformat(since)).batch
        why = f"{catalogue.version()} knows the batch price of {model} from {since} on, and this batch is of {on}"
        return _quoted(provider, model, later, full, source, why)
    low = full.scaled(LOWEST_SHARE) if full else None
    return _quoted(provider, model, low, full, source, f"{catalogue.version()} has no batch price for {model}")
