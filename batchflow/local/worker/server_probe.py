"""Probes a server for its model: waits until the model is listed, and identifies it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from batchflow import files
from batchflow.errors import EngineError
from batchflow.local.base.transport import Client, Reply, TransportError
from batchflow.local.job.rows import said
from batchflow.records import Json

LISTED = 20  # models named in an error
LOOK_S = 30.0
SERVED_S = 10.0  # nothing waits for this but kept answers
TEXT_CAP = 500

# of a model in /models; not `created`, which vLLM sets to the time of the call (vllm/entrypoints/openai/protocol)
_OF_MODEL = ("id", "root", "parent", "owned_by", "max_model_len", "meta")
_OF_ENGINE = {"vllm": ("/version", ("version",)), "llamacpp": ("/props", ("build_info", "model_path"))}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]*[\w-]")
_NO_SUCH_PATH = frozenset({404, 405, 501})


async def wait_for_model(
    clients: tuple[Client, ...], model: str, *, wait_s: float, interval_s: float, say: Callable[[str], None]
) -> None:
    """Until one endpoint lists the model in /models. Raises EngineError at the deadline, at once for 401, 403 and 404.

    A server that answers without the model may still be loading it, so that is waited for too.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        notes = [await lack(client, model) for client in clients]
        if None in notes:
            return
        why = "; ".join(str(note) for note in notes)
        left = deadline - loop.time()
        if left <= 0:
            raise EngineError(f"the model {model!r} is not served after {wait_s:g} s: {why}")
        say(f"waiting for {model}: {why}")
        await asyncio.sleep(min(interval_s, left))


async def lack(client: Client, model: str) -> str | None:
    """None when the model is there, else why not. Raises EngineError for 401, 403 and 404."""
    try:
        reply = await client.get(f"{client.root}/models", LOOK_S)
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
    return [str(entry["id"]) for entry in _entries(reply) if "id" in entry]


def _entries(reply: Reply) -> list[Json]:
    data = _table(reply).get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _table(reply: Reply) -> Json:
    try:
        value = files.loads(reply.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# ---- which model stands behind the name


async def served(client: Client, model: str) -> Json | None:
    """Identifies the model behind a name: its file, its size, the engine's version.

    One name at one address is another checkpoint every few hours while a model is trained. {}: the server has no such
    list; None: it cannot be asked now.
    """
    try:
        reply = await client.get(f"{client.root}/models", SERVED_S)
    except TransportError:
        return None
    if reply.status != 200:
        return {} if reply.status in _NO_SUCH_PATH else None
    entries = _entries(reply)
    alone = entries[0] if len(entries) == 1 else {}  # llama.cpp answers to every name
    facts = _plain(next((entry for entry in entries if entry.get("id") == model), alone), _OF_MODEL)
    path, names = _OF_ENGINE.get(str(facts.get("owned_by")), ("", ()))
    return facts | (await _further(client, path, names) if path else {})


def identity(url: str, facts: Json) -> str:
    """Identifies who answers at a URL: the model where the server names it, else the address.

    A hub id names the same model everywhere, a path of the server's disk on one host, whatever the port.
    """
    named = str(facts.get("root") or facts.get("model_path") or "")
    text = files.dumps(dict(sorted(facts.items()))).decode()
    if _HUB_ID.fullmatch(named):
        return text
    return f"{urlsplit(url).hostname if named else url} {text}"


async def _further(client: Client, path: str, names: tuple[str, ...]) -> Json:
    """Facts from a path of the engine's own, which stands beside /v1."""
    with suppress(TransportError):
        reply = await client.get(client.root.removesuffix("/v1") + path, SERVED_S)
        return _plain(_table(reply), names) if reply.status == 200 else {}
    return {}


def _plain(table: Json, names: Iterable[str]) -> Json:
    """Short texts, numbers, and tables of these: nothing else that a server may send is worth a place on the disk."""
    plain: Json = {}
    for name in names:
        value = table.get(name)
        if isinstance(value, str | int | float):
            plain[name] = value[:TEXT_CAP] if isinstance(value, str) else value
        elif isinstance(value, dict):
            plain[name] = {k[:TEXT_CAP]: v for k, v in list(value.items())[:LISTED] if isinstance(v, int | float)}
    return plain
