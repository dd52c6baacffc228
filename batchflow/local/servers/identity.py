"""Identities of our engines, by which kept answers are told apart: engine, version, model, arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from batchflow.errors import EngineError
from batchflow.local.offline import base as offline
from batchflow.local.servers import engines, vllm


def of_llama(model: Path) -> tuple[str, ...]:
    """The embedded engine with a model file. Raises EngineError where either is missing."""
    version = engines.engine_version()
    try:
        return "xllamacpp", version, file_identity(model)
    except OSError as error:
        raise EngineError(f"{model}: {error.strerror}", hint="every node needs the model file") from None


def of_vllm(model: str, mode: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """VLLM with a model and its arguments. Raises EngineError without vLLM."""
    return _of("vllm", vllm.version(), model, mode, arguments)


def of_offline(engine: str, model: str, mode: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """An engine without HTTP. Raises EngineError without it."""
    return _of(engine, offline.version(engine), model, mode, arguments)


def _of(engine: str, version: str, model: str, mode: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    return engine, version, mode, offline.identity(model), str(sorted(arguments.items()))


def file_identity(path: Path) -> str:
    """A model file without reading it: path, size, time of its last change."""
    stat = path.stat()
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
