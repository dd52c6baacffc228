"""genai-prices: the price set that lies on this disk, read without asking anybody; its one home.

Its import costs half a second and 36 MB, so what it says of a model is kept in a file beside the engines, under the
version that said it. Only `price_context={"processing": "batch"}` selects its batch prices: every other context gives
the full price in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.prices.rates import BAND, Rate, Step

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

NAMES = {"gemini": "google"}
"""Vendors under another name there."""

_BATCH = {"processing": "batch"}
_CHAT = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok")
FORMAT = 1
"""Of the kept file; another one is not read."""


@dataclass(frozen=True, slots=True)
class Era:
    """Prices from a day on (ISO date; empty: ever since). None where the set has none."""

    since: str
    full: Rate | None
    batch: Rate | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the price set: its own name for it, and its prices by day, oldest first."""

    name: str
    eras: tuple[Era, ...]

    def on(self, day: date) -> Era:
        """The prices of a day."""
        text = day.isoformat()
        return next((era for era in reversed(self.eras) if era.since <= text), self.eras[0])

    @property
    def batch_since(self) -> str | None:
        """The first day for which there is a batch price; None without any."""
        return next((era.since for era in self.eras if era.batch is not None), None)


def look_up(vendor: str, model: str, keep_in: Path | None = None) -> Entry | None:
    """The entry of a model, None where the set does not know it. keep_in: folder of the kept file; None: keep nothing.

    A kept file that cannot be read or written is as good as none.
    """
    key = f"{vendor}/{model}"
    path = None if keep_in is None else keep_in / f"{version().replace(' ', '-')}.json"
    kept = _kept(path) if path else {}
    if key in kept:
        return _entry(kept[key])
    raw = _raw(vendor, model)
    if path is not None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.sweep(path.parent)
            with files.replacing(path) as handle:
                handle.write(files.dumps({"format": FORMAT, "models": {**kept, key: raw}}))
    return _entry(raw)


@cache
def version() -> str:
    """Name and version of the price set, as its folder in site-packages says: reading metadata costs more."""
    spec = find_spec("genai_prices")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for info in Path(folder).parent.glob("genai_prices-*.dist-info"):
            return f"genai-prices {info.name.removesuffix('.dist-info').partition('-')[2]}"
    return "genai-prices"


def _kept(path: Path) -> Mapping[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(kept, dict) and kept.get("format") == FORMAT and isinstance(kept.get("models"), dict)
    return kept["models"] if is_ours else {}


def _entry(raw: Any) -> Entry | None:
    if raw is None:
        return None
    eras = tuple(Era(since, _rate(full), _rate(batch)) for since, full, batch in raw["eras"])
    return Entry(raw["name"], eras)


def _rate(steps: Any) -> Rate | None:
    return None if steps is None else Rate(tuple(Step(*step) for step in steps))


def _raw(vendor: str, model: str) -> dict[str, Any] | None:
    """An entry as JSON. The vendor's own models only: other vendors' prices for the same model are not its."""
    from genai_prices.data_snapshot import get_snapshot

    provider = next((one for one in get_snapshot().providers if one.id == NAMES.get(vendor, vendor)), None)
    info = provider.find_model(model) if provider else None
    if info is None:
        return None
    return {"name": info.id, "eras": [_era(info, since) for since in _days(info)]}


def _days(info: ModelInfo) -> list[str]:
    """Days on which a model's prices change; the empty text stands for all time before."""
    priced = info.prices if isinstance(info.prices, list) else []
    rules = (rule.constraint for rule in (*priced, *(info.price_variants or ())))
    days = {day.isoformat() for rule in rules if (day := getattr(rule, "start_date", None)) is not None}
    return ["", *sorted(days)]


def _era(info: ModelInfo, since: str) -> list[Any]:
    when = datetime.combine(date.fromisoformat(since or "2000-01-01"), time(12), UTC)
    variants = [one for one in info.price_variants or () if one.when == _BATCH]
    has_batch = any(one.constraint is None or one.constraint.active(when) for one in variants)
    batch = _steps(info.get_prices(when, _BATCH)) if has_batch else None
    return [since, _steps(info.get_prices(when)), batch]


def _steps(price: ModelPrice) -> list[list[float]] | None:
    """Prices by length; None without a price for input or output, and for one of 0: nothing that is sold is free."""
    values = [getattr(price, name) for name in _CHAT]
    tiers = [{0: one} if not hasattr(one, "tiers") else _tiered(one) for one in values]
    steps = []
    for edge in sorted({start for tier in tiers for start in tier}):
        read, cached, written, written_1h, output = (
            tier[max(start for start in tier if start <= edge)] for tier in tiers
        )
        if not read or not output:
            return None
        cached = read if cached is None else min(cached, read)
        written = read if written is None else written
        written_1h = written if written_1h is None else written_1h
        steps.append([edge, *map(float, (read, cached, written, written_1h, output))])
    return steps


def _tiered(price: Any) -> dict[int, Any]:
    """Price by length. A start between two bands is moved down: what is in doubt is billed as the longer prompt."""
    return {0: price.base} | {tier.start // BAND * BAND: tier.price for tier in price.tiers}
