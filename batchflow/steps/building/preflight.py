"""Checks of what a local batch needs on this machine: `prepare` notes what is missing, `start` refuses.

A ledger may be prepared on one machine and started on another, so a model that is only there is none of `prepare`'s
business. What is known on no machine is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchflow.errors import EngineError
from batchflow.ledger.records import BatchRecord
from batchflow.local.base import options as local
from batchflow.local.servers import preflight
from batchflow.steps.base.context import Context
from batchflow.vendors.inhouse.local import engine_options
from batchflow.vendors.registry import traits_of


def known_model(context: Context, model: str, options: Mapping[str, Any]) -> str:
    """The model as its worker finds it. Raises UsageError for a name that the engine knows nowhere."""
    read = local.read(engine_options(context.settings, options))
    preflight.refuse_unknown(context.settings, model, read)
    return preflight.found_from(context.settings.project, model, read)


def absence(context: Context, provider: str, model: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """A note on what is missing here; empty where nothing is, or where the provider is no local one."""
    if not traits_of(provider).own_engine:
        return ()
    try:
        preflight.check(context.settings, model, local.read(engine_options(context.settings, options)))
    except EngineError as error:
        return (f"this machine cannot start it: {error} ({error.hint})",)
    return ()


def refuse_absent(context: Context, batch: BatchRecord) -> None:
    """Raise EngineError where a worker of this batch, started here, would find no engine or no model."""
    if traits_of(batch.provider).own_engine:
        read = local.read(engine_options(context.settings, batch.options))
        preflight.check(context.settings, batch.model, read)
