"""Placement of an HF model: device, precision, and room for tokens beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchflow.errors import EngineError
from batchflow.local.offline.base import Config
from batchflow.records import Json

CPU_TOKENS = 32_768
GPU_TOKENS = 262_144
GPU_SHARE = 0.6  # of the free memory for keys and values; activations and logits need the rest
CPU_SHARE = 0.25  # the same of the machine's memory, which is not ours alone


def model(config: Config, kind: Any) -> Any:
    """The model where it belongs, ready to generate. kind: transformers' class of such models."""
    import torch

    arguments = config.arguments
    options: Json = {
        "dtype": arguments.get("dtype", "auto"),
        "trust_remote_code": arguments.get("trust_remote_code") == "true",
    }
    if attention := arguments.get("attn_implementation"):
        options["attn_implementation"] = attention
    mps = torch.backends.mps.is_available()
    device, placed = placement(
        torch.cuda.device_count(), config.gpu_bytes, arguments.get("device"), available(), mps=mps
    )
    loaded = kind.from_pretrained(config.model, **options, **placed)
    if not placed:
        loaded = loaded.to(device)
    if "dtype" not in arguments and device == "cpu" and _is_better_single(loaded):
        loaded = loaded.to(torch.float32)
    return loaded.eval()


def placement(cards: int, gpu_bytes: int | None, device: str | None, free: int, *, mps: bool) -> tuple[str, Json]:
    """(device, arguments of from_pretrained that place the model over all GPUs, empty for a single device).

    cards: GPUs. gpu_bytes: of each of them at most. asked: the user's device. free: bytes of the machine's memory,
    which takes what the GPUs do not. mps: Apple's GPU is here. Raises EngineError for what cannot be had.
    """
    if gpu_bytes is not None and not cards:
        raise EngineError("--max-gpu-memory: this machine has no GPU", hint="leave it out")
    if gpu_bytes is not None and device:
        raise EngineError("--max-gpu-memory places the model by itself", hint=f"leave --engine-arg device={device} out")
    if device:
        return device, {}
    if gpu_bytes is not None:
        memory: dict[int | str, int] = {**dict.fromkeys(range(cards), gpu_bytes), "cpu": free}
        return "cuda", {"device_map": "auto", "max_memory": memory}
    if cards > 1:
        return "cuda", {"device_map": "auto"}
    return ("cuda" if cards else "mps" if mps else "cpu"), {}


def available(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes of memory that may be used without swapping; all there are where Linux does not tell."""
    try:
        sizes: Mapping[str, str] = dict(line.split(":", 1) for line in meminfo.read_text("ascii").splitlines())
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _is_better_single(loaded: Any) -> bool:
    """True for a model in half precision on a CPU without units for it (AMX), where memory for float32 is plentiful.

    Measured on AVX-512 with its bfloat16 instructions: float32 read prompts 1.5 times as fast, and wrote as fast.
    """
    import torch

    if loaded.dtype not in {torch.bfloat16, torch.float16} or torch.cpu.get_capabilities().get("amx_bf16"):
        return False
    return bool(loaded.num_parameters() * 4 < available() * CPU_SHARE)


def budget(loaded: Any) -> int:
    """Tokens of one batch: what a share of the free memory holds of keys and values."""
    import torch

    model_config = getattr(loaded.config, "text_config", loaded.config)
    heads = getattr(model_config, "num_key_value_heads", None) or model_config.num_attention_heads
    width = getattr(model_config, "head_dim", None) or model_config.hidden_size // model_config.num_attention_heads
    token = int(2 * model_config.num_hidden_layers * heads * width * loaded.dtype.itemsize)
    on_gpu = loaded.device.type == "cuda"
    free = torch.cuda.mem_get_info()[0] * GPU_SHARE if on_gpu else available() * CPU_SHARE
    return max(1024, min(GPU_TOKENS if on_gpu else CPU_TOKENS, int(free) // token))
