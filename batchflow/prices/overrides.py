"""`[prices]` of batchflow.toml: what a user knows better than any price set.

[prices.gemini."gemini-4-carbon"]   # USD per million tokens, in a batch
input = 1.0
output = 5.0
cached = 0.05                       # read from a cache; else as input
written = 1.25                      # written to a cache; else as input
written_1h = 2.0                    # the same, kept for an hour; else as written
tiers = [{above = 200000, input = 2.0, output = 7.5}]

[prices.together."meta-llama/*"]
batch_share = 0.5                   # of the full price that the price set knows
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchflow.errors import UsageError
from batchflow.prices.rates import BAND, Rate, Step

SOURCE = "[prices] of batchflow.toml"
_PRICES = ("input", "output", "cached", "written", "written_1h")
_KNOWN = frozenset({*_PRICES, "tiers", "batch_share", "checked_on"})
_EXAMPLE = "input = 1.0 and output = 5.0 (USD per million tokens in a batch), or batch_share = 0.5"


@dataclass(frozen=True, slots=True)
class Override:
    """A model's own rate, or the share of the full price that its batches cost."""

    rate: Rate | None
    batch_share: float | None


def find(section: Mapping[str, Any], provider: str, model: str) -> Override | None:
    """The override of a model: its exact name first, then the longest `prefix*`. Raises UsageError for a broken one."""
    tables = {str(name).lower(): value for name, value in section.items()}
    rows = tables.get(provider, {})
    if not isinstance(rows, dict):
        raise UsageError(f"batchflow.toml: [prices.{provider}] has to hold a table per model", hint=_EXAMPLE)
    prefixes = [name for name in rows if name.endswith("*") and model.startswith(name[:-1])]
    name = model if model in rows else max(prefixes, key=len, default=None)
    return None if name is None else _override(f"[prices.{provider}.{name!r}]", rows[name])


def _override(where: str, row: Any) -> Override:
    if not isinstance(row, dict):
        raise UsageError(f"batchflow.toml: {where} has to be a table", hint=_EXAMPLE)
    if unknown := sorted(set(row) - _KNOWN):
        raise UsageError(f"batchflow.toml: {where}: unknown key {unknown[0]!r}", hint=f"known: {', '.join(_KNOWN)}")
    if "batch_share" in row:
        if set(row) - {"batch_share", "checked_on"}:
            raise UsageError(f"batchflow.toml: {where}: batch_share stands alone", hint=_EXAMPLE)
        return Override(None, _number(where, row, "batch_share"))
    steps = [_step(where, row, {}, 0)]
    tiers = row.get("tiers", [])
    if not isinstance(tiers, list) or not all(isinstance(tier, dict) for tier in tiers):
        raise UsageError(f"batchflow.toml: {where}: tiers has to be a list of tables with `above` and prices")
    for tier in sorted(tiers, key=lambda tier: _above(where, tier)):
        if unknown := sorted(set(tier) - {*_PRICES, "above"}):
            raise UsageError(f"batchflow.toml: {where}: a tier has no key {unknown[0]!r}")
        steps.append(_step(where, tier, row, _above(where, tier)))
    return Override(Rate(tuple(steps)), None)


def _above(where: str, tier: Mapping[str, Any]) -> int:
    above = tier.get("above")
    if type(above) is not int or above < BAND or above % BAND:
        raise UsageError(f"batchflow.toml: {where}: `above` of a tier has to be a multiple of {BAND:,} tokens")
    return above


def _step(where: str, row: Mapping[str, Any], below: Mapping[str, Any], above: int) -> Step:
    """One step; a tier takes from the row what it does not say itself."""
    values = {name: _number(where, {**below, **row}, name) for name in _PRICES if name in row or name in below}
    if "input" not in values or "output" not in values:
        raise UsageError(f"batchflow.toml: {where}: input and output are both needed", hint=_EXAMPLE)
    written = values.get("written", values["input"])
    return Step(
        above, values["input"], values.get("cached", values["input"]), written, values.get("written_1h", written),
        values["output"],
    )  # fmt: skip


def _number(where: str, row: Mapping[str, Any], name: str) -> float:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UsageError(f"batchflow.toml: {where}: {name} has to be a number >= 0", hint=_EXAMPLE)
    return float(value)
