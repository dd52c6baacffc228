"""Waiting for a server to list the model: the health check before a long batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from batchflow import files
from batchflow.errors import EngineError
from batchflow.local.rows import said
from batchflow.local.transport import Client, Reply, TransportError

LISTED = 20  # models named in an error


async def wait_for_model(
    clients: tuple[Client, ...], model: str, *, wait_s: float, interval_s: float, say: Callable[[str], None]
) -> None:
    """Until one endpoint lists the model in /models. Raises EngineError at the deadline, at once for 401, 403 and 404.

    A server that answers without the model may still be loading it, so that is waited for too.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        notes = [await _look(client, model) for client in clients]
        if None in notes:
            return
        why = "; ".join(str(note) for note in notes)
        left = deadline - loop.time()
        if left <= 0:
            raise EngineError(f"the model {model!r} is not served after {wait_s:g} s: {why}")
        say(f"waiting for {model}: {why}")
        await asyncio.sleep(min(interval_s, left))


async def _look(client: Client, model: str) -> str | None:
    """None when the model is there, else why not."""
    try:
        reply = await client.get(f"{client.root}/models", 30.0)
    except TransportError as error:
        return str(error)
    if reply.status in {401, 403, 404}:
        raise EngineError(
            f"{client.url}/models: HTTP {reply.status}: {_words(reply)}",
            hint="check the base URL (it usually ends in /v1) and BATCHFLOW_LOCAL_API_KEY",
        )
    ids = _ids(reply)
    if model in ids:
        return None
    there = ", ".join(ids[:LISTED]) or "no model"
    return f"{client.url} has {there}" if reply.status == 200 else f"{client.url}: HTTP {reply.status}"


def _words(reply: Reply) -> str:
    try:
        return said(files.loads(reply.body), reply.body)
    except ValueError:
        return said(None, reply.body)


def _ids(reply: Reply) -> list[str]:
    try:
        data = files.loads(reply.body)
        return [str(entry["id"]) for entry in data["data"]]
    except (ValueError, KeyError, TypeError):
        return []
