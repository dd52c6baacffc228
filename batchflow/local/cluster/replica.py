"""A replica: an actor of Ray's that runs one engine of ours as a server on the node where Ray has placed it.

The engine's process ends with the actor, however that ends. Its key is made on the node and goes to the worker in an
answer: arguments of actors stay in the tables of the cluster.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from batchflow import __version__
from batchflow.errors import BatchflowError, EngineError
from batchflow.local.base.transport import Client, TransportError
from batchflow.local.servers import engines, identity, vllm
from batchflow.records import Json

LOOK_S = 1.0
"""Between two looks at an engine that does not tell its end by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Engine and model that a replica serves. engine: `vllm` or `embedded`. model: its path or hub id, as in the batch.

    file: the embedded engine's model file. host: the address to listen on, empty for the node's. project: the folder
    that relative paths count from, on nodes that have it. slots, context, threads: of the embedded engine.
    """

    engine: str
    model: str
    file: str = ""
    host: str = ""
    project: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    max_gpu_memory: str = ""
    mode: str = "chat"
    slots: int = 1
    context: int = 0
    threads: int = 1
    version: str = __version__

    def plain(self) -> Json:
        """The wish as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A replica that answers. model: the name that its server lists. identity: what tells its answers from others."""

    url: str
    key: str = field(repr=False)
    model: str
    node: str
    identity: tuple[str, ...]
    facts: Json


class Replica:
    """The actor. `node`, then `start`, then `ended`, each called once."""

    def __init__(self) -> None:
        self._first: SimpleQueue[Json] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._why = ""

    def node(self) -> str:
        """The address of the node."""
        import ray

        return str(ray.util.get_node_ip_address())

    def start(self, wish: Json) -> Json:
        """Start the engine and wait until it answers: `Served` as JSON, or `error` and `hint`."""
        if wish["version"] != __version__:
            why = f"the node {self.node()} has batchflow {__version__}, the worker {wish['version']}"
            return {"error": why, "hint": "install the same batchflow on every node"}
        with suppress(OSError):  # not every node has the folder
            os.chdir(wish["project"])
        self._thread = threading.Thread(target=self._run, args=(Wish(**wish),), daemon=True)
        self._thread.start()
        return self._first.get()

    def ended(self) -> str:
        """Wait for the engine's end; why it ended."""
        if self._thread is not None:
            self._thread.join()
        return self._why

    def _run(self, wish: Wish) -> None:
        """The engine's life, in a thread with a plain loop: uvloop, which Ray takes where it is, starts no groups."""
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve(wish))
        except BatchflowError as error:
            self._end(str(error), error.hint)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to hear it
            self._end(f"{type(error).__name__}: {error}", "")

    def _end(self, why: str, hint: str) -> None:
        self._why = why
        self._first.put({"error": why, "hint": hint})  # nobody reads it once the engine has answered

    async def _serve(self, wish: Wish) -> None:
        node = self.node()
        async with _engine(wish, wish.host or node) as (client, served):
            self._first.put(asdict(Served(url=client.url, key=client.key or "", node=node, **served)))
            await _watch(client, wish.engine)


@asynccontextmanager
async def _engine(wish: Wish, host: str) -> AsyncIterator[tuple[Client, dict[str, Any]]]:
    """The engine as a server on this node, as long as the block runs; the rest of `Served`."""
    if wish.engine == "embedded":
        path = Path(wish.file)
        who = identity.of_llama(path)
        facts = {"version": engines.engine_version(), "model_file": wish.file, "slots": wish.slots}
        facts |= {"context_tokens": wish.context, "threads": wish.threads}
        sizes = {"slots": wish.slots, "context": wish.context, "thread_count": wish.threads}
        async with engines.embedded(path, host=host, **sizes) as client:
            yield client, {"model": path.stem, "identity": who, "facts": facts}
        return
    who = identity.of_vllm(wish.model, wish.mode, wish.arguments)
    facts = {"version": vllm.version(), "arguments": wish.arguments, "max_gpu_memory": wish.max_gpu_memory or None}
    async with vllm.serving(wish.model, wish.arguments, wish.max_gpu_memory, host) as client:
        yield client, {"model": wish.model, "identity": who, "facts": facts}


async def _watch(client: Client, engine: str) -> None:
    """Until the engine ends. Raises EngineError then; vLLM's server tells its end by itself."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            if engine == "embedded":
                await client.get("/health", 10.0)
        except TransportError as error:
            if not error.late:
                raise EngineError(f"llama.cpp's server has ended: {error}") from None
