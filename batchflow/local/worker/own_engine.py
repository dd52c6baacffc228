"""The engine that a worker starts for itself: how, and what tells its answers from those of another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from batchflow.local.base.options import memory
from batchflow.local.base.transport import Client
from batchflow.local.job import rows
from batchflow.local.job.job_dir import Spec
from batchflow.local.offline import base as offline
from batchflow.local.servers import engines, identity, vllm
from batchflow.local.worker.cache import scope
from batchflow.local.worker.engine_client import child
from batchflow.records import Json
from batchflow.settings import Settings

Say = Callable[[str], None]


def scope_of(spec: Spec, context: Settings) -> bytes:
    """The scope of its kept answers. Raises EngineError where engine or model is missing."""
    options = spec.options
    if options.engine == "embedded":
        return scope(*identity.of_llama(engines.find_model(context, spec.model, options.gguf)))
    model = _model(spec, context)
    if options.engine == "vllm":
        return scope(*identity.of_vllm(model, options.mode, options.engine_args))
    return scope(*identity.of_offline(options.engine, model, options.mode, options.engine_args))


def _model(spec: Spec, context: Settings) -> str:
    """The model as its engine wants it: OpenVINO knows a file where we know a name."""
    model, options = spec.model, spec.options
    if options.engine == "openvino" and (model == engines.MODEL or model.endswith(".gguf")):
        return str(engines.find_model(context, model, options.gguf))
    return model


@asynccontextmanager
async def fed(
    spec: Spec, context: Settings, say: Say, first: Sequence[Json]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Json]]:
    """The child process of an engine that works without HTTP, as long as the block runs, and its facts.

    first: bodies of the first rows. Raises EngineError where the model cannot be loaded, or be asked any of these.
    """
    options = spec.options
    offline.version(options.engine)
    size = memory(options.max_gpu_memory) if options.max_gpu_memory else None
    model = _model(spec, context)
    vllm.check_model(model)
    say(f"loading {model} with {options.engine}")
    config = offline.Config(options.engine, model, options.engine_args, size, options.window, first)
    async with child(config) as started:
        yield started


@asynccontextmanager
async def served(spec: Spec, context: Settings, say: Say) -> AsyncIterator[tuple[Client, Json]]:
    """A client of a server of our own, as long as the block runs, and what it is."""
    async with _llama(spec, context, say) if spec.options.engine == "embedded" else _vllm(spec, say) as started:
        yield started


@asynccontextmanager
async def _llama(spec: Spec, context: Settings, say: Say) -> AsyncIterator[tuple[Client, Json]]:
    options = spec.options
    model = engines.find_model(context, spec.model, options.gguf)
    tokens = options.context or rows.longest(spec.input, engines.MODEL_CONTEXT)
    count = await asyncio.to_thread(engines.threads, options.threads)
    facts = {"engine": "xllamacpp", "version": engines.engine_version(), "model_file": str(model)}
    say(f"loading {model} ({options.window} slots of {tokens} tokens, {count} threads)")
    async with engines.embedded(model, slots=options.window, context=tokens, thread_count=count) as client:
        yield client, facts | {"slots": options.window, "context_tokens": tokens, "threads": count}


@asynccontextmanager
async def _vllm(spec: Spec, say: Say) -> AsyncIterator[tuple[Client, Json]]:
    options, version = spec.options, vllm.version()
    say(f"loading {spec.model} with vLLM {version}")
    async with vllm.serving(spec.model, options.engine_args, options.max_gpu_memory) as client:
        facts = {"engine": "vllm", "version": version, "arguments": dict(options.engine_args)}
        yield client, facts | {"max_gpu_memory": options.max_gpu_memory or None}
