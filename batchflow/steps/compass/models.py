"""The model behind a server that the configuration does not name."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import EngineError, UsageError
from batchflow.local.base import options as local
from batchflow.local.servers.model_list import listed
from batchflow.settings import LOCAL, Settings
from batchflow.steps.base.context import Context
from batchflow.steps.compass.config import Server


def first_model(settings: Settings, url: str) -> tuple[str | None, str | None]:
    """The first model that a server lists; None and the reason where it tells none."""
    (root,) = local.read({"base_url": [url]}).base_urls
    key = settings.key(LOCAL)
    ids, why = listed(root, key.reveal() if key else None)
    return (ids[0] if ids else None), why


def model_of(context: Context, server: Server, table: str, path: Path) -> str:
    """The model that is asked: the named one, else a vendor's default, else the server's first. Raises EngineError."""
    if server.name:
        return server.name
    if not server.urls:
        if model := context.settings.default_model(server.provider):
            return model
        raise UsageError(f"{path}: {table}.name is missing: {server.provider} has no default model")
    model, why = first_model(context.settings, server.urls[0])
    if model is None:
        raise EngineError(f"{why}", hint=f"start the server, or name the model: {table}.name in {path}")
    return model
