"""Notes on a model that a batch is prepared for, and on settings that it will not take as they were given."""

from __future__ import annotations

from datetime import date
from typing import Any

from batchflow.local.base.options import OFFLINE
from batchflow.records import Capabilities, Params
from batchflow.vendors import registry as vendors


def model_notes(provider: str, model: str, can: Capabilities, today: date) -> tuple[str, ...]:
    """Notes on a model that is not in the model table, or whose end is announced."""
    return (*_unknown(provider, model, can), *_end(provider, model, can, today))


def setting_notes(params: Params, can: Capabilities, samples: int, engine: Any) -> tuple[str, ...]:
    """Notes on a token limit below the model's least, and on samples that will all be the same."""
    return (*_limit(params, can), *_samples(params, samples, engine))


def _unknown(provider: str, model: str, can: Capabilities) -> tuple[str, ...]:
    if can.known or vendors.traits_of(provider).own_engine:
        return ()
    why = f"{model} is not in the model table: it gets the safest request (no sampling, no thinking settings)"
    return (f"{why}; [models.{provider}] in batchflow.toml can say what it takes",)


def _end(provider: str, model: str, can: Capabilities, today: date) -> tuple[str, ...]:
    """A note on a model whose end is announced. It is not refused: the table may be older than the vendor's mind."""
    if not can.ends_on:
        return ()
    if can.ends_on <= today.isoformat():
        return (f"{provider} shut {model} down on {can.ends_on}, as far as the model table knows ({can.checked_on})",)
    return (f"{provider} shuts {model} down on {can.ends_on}: this cannot be asked again after that",)


def _limit(params: Params, can: Capabilities) -> tuple[str, ...]:
    if params.max_tokens is None or params.max_tokens >= can.min_tokens:
        return ()
    why = "the model thinks within the limit, and would have nothing left for the answer"
    return (f"--max-tokens {params.max_tokens} is sent as {can.min_tokens}: {why}",)


def _samples(params: Params, samples: int, engine: Any) -> tuple[str, ...]:
    is_greedy = params.temperature == 0 or (params.temperature is None and engine in OFFLINE)
    if samples == 1 or not is_greedy:
        return ()
    return (f"{samples} samples of an item will be the same: without a temperature the likeliest token is taken",)
