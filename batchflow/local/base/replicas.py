"""Number of the engines that Ray places, and the GPUs that each of them needs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from batchflow.errors import UsageError

_RANGE = re.compile(r"(?:(\d{1,4})-)?(\d{1,4})")
_SPLIT_OVER = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")  # vLLM's, a GPU for each part


def check(replicas: str, gpus: float | None) -> None:
    """Raise UsageError for a number of replicas or GPUs that makes no sense."""
    bounds(replicas)
    if gpus is not None and (gpus < 0 or (gpus > 1 and gpus != int(gpus))):
        raise UsageError(f"--gpus {gpus:g}: a whole number, or a part of one GPU", hint="e.g. 2, 1, 0.5, or 0 for none")


def bounds(replicas: str) -> tuple[int, int]:
    """(fewest, most) of `N` or `MIN-MAX`; a batch begins with the fewest. Raises UsageError."""
    match = _RANGE.fullmatch(replicas.strip() or "1")
    fewest, most = (int(match[1] or 1), int(match[2])) if match else (0, 0)
    if not 0 < fewest <= most:
        raise UsageError(f"--replicas {replicas}: not a number of replicas", hint="write 4, or 2-4: begin with 2 of 4")
    return fewest, most


def most(replicas: str) -> int:
    """The number of replicas that Ray is asked for."""
    return bounds(replicas)[1]


def gpus_of(engine: str, gpus: float | None, arguments: Mapping[str, str]) -> float:
    """GPUs of a replica: as asked; else none for the embedded engine, and for vLLM one for each part of the model."""
    if gpus is not None:
        return gpus
    if engine != "vllm":
        return 0.0
    count = 1
    for name in _SPLIT_OVER:
        text = arguments.get(name, "1")
        count *= int(text) if text.isascii() and text.isdecimal() else 1
    return float(count)
