"""The engines that Ray keeps for a worker: a child process tells which serve, and the worker's pool follows.

The child holds the connection to Ray. It runs in a group that ends with the worker (`local.process.process_group`), and
with it the actors, and a cluster that it started itself.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

from batchflow import files
from batchflow.errors import EngineError
from batchflow.local.base import replicas
from batchflow.local.cluster import child as placing_process
from batchflow.local.cluster.ray_cluster import Needs
from batchflow.local.cluster.replica import Served, Wish
from batchflow.local.job import rows
from batchflow.local.job.job_dir import Spec
from batchflow.local.servers import engines, ray_package, vllm
from batchflow.records import Json
from batchflow.settings import Settings

Say = Callable[[str], None]
LINE_BYTES = 1 << 20


@dataclass(slots=True)
class PlacedEngines:
    """The engines that serve now, by URL. say: for the log. waiting: while none serves yet. joined: called for each.

    broken_off: called with the URL of an engine that has ended, and why.
    """

    say: Say
    waiting: Say
    joined: Callable[[], None]
    broken_off: Callable[[str, str], None]
    members: dict[str, Served] = field(default_factory=dict)
    changes: int = 0
    keys: list[str] = field(default_factory=list)
    facts: list[Json] = field(default_factory=list)
    _has_begun: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, out: asyncio.StreamReader) -> None:
        """Hear the child. Raises EngineError where it cannot go on, or ends."""
        while line := await out.readline():
            self.hear(files.loads(line))
        raise EngineError("the connection to Ray has ended", hint="see worker.log; start the batch again")

    def hear(self, event: Json) -> None:
        """Take an event in. Raises EngineError for the last one."""
        if "failed" in event:
            raise EngineError(event["failed"], hint=event["hint"])
        if "note" in event:
            (self.say if self._has_begun else self.waiting)(event["note"])
        elif "left" in event:
            self.members.pop(event["left"], None)
            self.say(f"{event['left']} has ended: {event['why']}")
            self.broken_off(event["left"], event["why"])
        else:
            served = Served(**event["joined"])
            self.members[served.url] = served
            self.keys.append(served.key)
            self.facts += [] if served.facts in self.facts else [served.facts]
            self.joined()
            self._news.set()
        self.changes += 1

    async def enough(self, fewest: int) -> None:
        """Until as many engines serve as the batch begins with."""
        while len(self.members) < fewest:
            self._news.clear()
            await self._news.wait()
        self._has_begun = True


@asynccontextmanager
async def placing(spec: Spec, context: Settings, placed: PlacedEngines) -> AsyncIterator[None]:
    """Engines placed by Ray, as long as the block runs.

    Raises EngineError, into the block too, when they cannot be kept.
    """
    config = await asyncio.to_thread(_config, spec, context)
    process = await asyncio.create_subprocess_exec(
        *vllm.held(os.getpid(), [sys.executable, "-m", placing_process.__name__]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        process_group=0,
        env=environment(context, own=config["needs"]["address"] == ray_package.OWN),
    )
    assert process.stdin is not None  # noqa: S101 - pipes were asked for
    assert process.stdout is not None  # noqa: S101 - the same
    try:
        async with asyncio.TaskGroup() as group:
            process.stdin.write(files.dumps(config) + b"\n")
            follow = group.create_task(placed.follow(process.stdout))
            yield
            follow.cancel()
    except ExceptionGroup as several:  # of the child's end and what it did to the block the first is the cause
        raise several.exceptions[0] from None
    finally:
        process.stdin.close()  # it ends the actors, and itself
        with suppress(TimeoutError):
            async with asyncio.timeout(vllm.END_S):
                await process.wait()
        await vllm.end(process)


def environment(context: Settings, *, own: bool) -> Mapping[str, str]:
    """The child's environment: no key of ours, and no reports to Ray's makers unless the user's setting says so.

    own: a cluster of our own has a token that nobody else knows; Ray would keep one in the user's home.
    """
    hidden = set(context.secrets())
    clean = {name: text for name, text in os.environ.items() if text not in hidden and name != "BATCHFLOW_DATABASE_URL"}
    words = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_COLOR_PREFIX": "0", **clean}
    return {**words, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} if own else words


def _config(spec: Spec, context: Settings) -> Json:
    options = spec.options
    ray_package.version()
    address = ray_package.address(options.ray_address, context.environment)
    threads = options.threads or 1
    wish = Wish(
        engine=options.works,
        model=spec.model,
        host="127.0.0.1" if address == ray_package.OWN else "",
        project=str(context.project.resolve()),
        arguments=dict(options.engine_args),
        max_gpu_memory=options.max_gpu_memory,
        mode=options.mode,
        threads=threads,
        **_sizes(spec, context),
    )
    gpus = replicas.gpus_of(options.works, options.gpus, options.engine_args)
    needs = Needs(address, gpus, float(threads if options.works == "embedded" else 1))
    fewest, most = replicas.bounds(options.replicas)
    counts = {"fewest": fewest, "most": most, "patience_s": options.outage_s}
    return {"needs": asdict(needs), "wish": wish.plain(), **counts}


def _sizes(spec: Spec, context: Settings) -> Json:
    """Model file, slots and context of the embedded engine."""
    options = spec.options
    if options.works != "embedded":
        return {}
    model = engines.find_model(context, spec.model, options.gguf).resolve()
    tokens = options.context or rows.longest(spec.input, engines.MODEL_CONTEXT)
    return {"file": str(model), "slots": options.endpoint_window, "context": tokens}
