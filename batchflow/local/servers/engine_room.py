"""Room for engines on this host: what a worker starts waits until there is enough of it.

The room is a file in batchflow's home for each host and choice of GPUs, with PARTS bytes. An engine locks as many as
its share; the kernel frees them however its worker ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import math
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from batchflow.errors import UsageError
from batchflow.local.base.options import Options, memory
from batchflow.local.servers import vllm

PARTS = 100
RETRY_S = 1.0
VARIABLE = "BATCHFLOW_ENGINES"


def at_once(environment: Mapping[str, str]) -> int | None:
    """Engines that may run at once by BATCHFLOW_ENGINES; None where it is not set.

    Raises UsageError unless it is a whole number from 1 to PARTS.
    """
    text = environment.get(VARIABLE, "").strip()
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text) <= PARTS):
        raise UsageError(f"{VARIABLE} has to be a whole number from 1 to {PARTS}")
    return int(text) if text else None


def parts_of(options: Options, environment: Mapping[str, str], totals_mib: Callable[[], list[int]]) -> int:
    """Parts of the room that an engine takes, of PARTS.

    Its share is one of the BATCHFLOW_ENGINES that may run at once, where that is set; else its `--max-gpu-memory` of
    the smallest GPU; else all, for an engine takes what it finds: vLLM 90 % of a GPU, llama.cpp every idle core.
    totals_mib: the memory of each GPU. Raises UsageError as `at_once` does.
    """
    if most := at_once(environment):
        return PARTS // most
    totals = totals_mib() if options.max_gpu_memory else []
    if not totals:
        return PARTS
    return min(PARTS, math.ceil(PARTS * memory(options.max_gpu_memory or "") / (min(totals) << 20)))


@asynccontextmanager
async def taken(
    home: Path, options: Options, environment: Mapping[str, str], waiting: Callable[[str], None]
) -> AsyncIterator[None]:
    """An engine's share of this host's room, while the block runs. waiting: told once where it has to wait.

    Where the home cannot be written, engines are not counted, and it is told so. Raises UsageError as `parts_of` does.
    """
    parts = await asyncio.to_thread(parts_of, options, environment, vllm.gpu_totals_mib)
    path = path_of(home, environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        room = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        waiting(f"engines on this host are not counted: {path}: {error.strerror}")
        yield
        return
    try:
        if not _take(room, parts):
            waiting(f"waits for room: other engines run on this host (as many as may: {VARIABLE}=N)")
            while not _take(room, parts):  # noqa: ASYNC110 - it is another process that frees it
                await asyncio.sleep(RETRY_S)
        yield
    finally:
        os.close(room)  # frees what this process has locked of it


def path_of(home: Path, environment: Mapping[str, str]) -> Path:
    """The file of a room: engines that see other GPUs are not in each other's way."""
    place = f"{socket.gethostname()}\n{environment.get('CUDA_VISIBLE_DEVICES', '')}"
    return home / "room" / hashlib.sha256(place.encode()).hexdigest()[:16]


def _take(room: int, parts: int) -> bool:
    """Lock parts of the room, or none. The byte after them is a gate, so that no two hold a half each."""
    if not _locked(room, PARTS):
        return False
    try:
        mine: list[int] = []
        for part in range(PARTS):
            if _locked(room, part):
                mine.append(part)
            if len(mine) == parts:
                return True
        for part in mine:
            fcntl.lockf(room, fcntl.LOCK_UN, 1, part)
        return False
    finally:
        fcntl.lockf(room, fcntl.LOCK_UN, 1, PARTS)


def _locked(room: int, part: int) -> bool:
    """Lock one part, unless another process holds it."""
    try:
        fcntl.lockf(room, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, part)
    except (BlockingIOError, PermissionError):
        return False
    return True
