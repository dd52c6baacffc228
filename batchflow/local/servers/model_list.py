"""The models that a server lists, for whoever does not name one."""

from __future__ import annotations

import asyncio

from batchflow import files
from batchflow.local.base.transport import Client, Reply, TransportError

_LOOK_S = 10.0


def listed(url: str, key: str | None) -> tuple[list[str], str | None]:
    """Ids of the models that a server lists in GET /models, and why none are known where it does not answer."""
    client = Client(url, key)
    try:
        reply = asyncio.run(_asked(client))
    except TransportError as error:
        return [], f"{client.url}/models: {error}"
    if reply.status != 200:
        return [], f"{client.url}/models: HTTP {reply.status}"
    try:
        data = files.loads(reply.body)["data"]
        ids = [str(entry["id"]) for entry in data]
    except (ValueError, TypeError, KeyError):
        return [], f"{client.url}/models: no list of models"
    return ids, None if ids else f"{client.url}/models: the list is empty"


async def _asked(client: Client) -> Reply:
    try:
        return await client.get(f"{client.root}/models", _LOOK_S)
    finally:
        client.close()
