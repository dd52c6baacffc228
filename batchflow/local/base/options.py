"""The options of a local job, read and checked once. They travel as JSON in the job's `spec.json`, without keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from batchflow.errors import UsageError
from batchflow.local.base import rate_limits, replicas, templates
from batchflow.local.base.base_url import parse_base_url
from batchflow.vocabulary import PACE

ENGINES = ("server", "embedded", "hf", "openvino", "vllm", "ray")
SERVED = ("vllm", "embedded")  # the engines that Ray may place: each is a server of its own
OFFLINE = frozenset({"hf", "openvino"})  # work in a child process of the worker, without HTTP
ALIASES = {"llama": "embedded", "llama.cpp": "embedded", "xllamacpp": "embedded", "transformers": "hf"}
ARGUMENTS: dict[str, frozenset[str] | None] = {  # what --engine-arg may name; None: anything, the engine checks
    "server": frozenset(),
    "embedded": frozenset({"threads", "context"}),
    "hf": frozenset({"dtype", "device", "attn_implementation", "batch_tokens", "batch_rows", "trust_remote_code"}),
    "openvino": frozenset({"device", "cache_size", "max_num_seqs", "max_num_batched_tokens", "prefix_caching"}),
    "vllm": None,
}
WHOLE = frozenset({"batch_tokens", "batch_rows", "cache_size", "max_num_seqs", "max_num_batched_tokens"})
CHOICES = {  # arguments of hf and openvino that are one of a few words
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "trust_remote_code": ("true", "false"),
    "prefix_caching": ("true", "false"),
}
OURS = frozenset({"model", "served_model_name", "host", "port", "uds", "api_key"})  # a server's, which we choose
MODES = ("chat", "completion")

PACE_ARGUMENTS = frozenset(
    {
        *("threads", "device", "batch_tokens", "batch_rows", "cache_size", "max_num_seqs", "max_num_batched_tokens"),
        *("prefix_caching", "enable_prefix_caching", "gpu_memory_utilization", "kv_cache_memory_bytes", "swap_space"),
        *("cpu_offload_gb", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "enforce_eager"),
        *("max_parallel_loading_workers", "enable_chunked_prefill", "disable_log_stats", "disable_log_requests"),
    }
)
"""The same of the engines' own arguments; any other may change the answers."""
ARGUMENTS_KEY = "engine_args"

SERVER_CONCURRENCY = 64
CONCURRENCY = {  # where the user says nothing
    "embedded": 2,  # slots of llama.cpp: on few cores more of them only share the same arithmetic
    "hf": 512,  # rows to choose batches of equal length from
    "vllm": 1024,  # rows that the engine's own scheduler may choose from
}
FLAGS = {  # options whose flags have another name
    "timeout_s": "--timeout",
    "backoff_cap_s": "--max-retry-delay",
    "wait_for_s": "--wait-timeout",
    "wait_interval_s": "--wait-interval",
    "serve": "--serve",
    "replicas": "--replicas",
    "gpus": "--gpus",
    "ray_address": "--ray-address",
}
RAY = ("serve", "replicas", "gpus", "ray_address")
TIMEOUT_S = {"vllm": 86_400.0}  # where the user says nothing: a try waits in the queue of our own engine first


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a local job. Durations are in seconds here, and may be `10m` in the JSON.

    base_urls: one or several endpoints of the same model. concurrency: requests in flight, all endpoints together;
    per_endpoint: of one endpoint at most. rps, tpm: requests per second and tokens per minute, None for no limit.
    timeout_s: for one try of one row. retries: further tries of a row. outage_s: how long no endpoint may answer
    before the job stops. wait_for_s: how long to wait for the model to be listed at the start; 0 does not look.
    serve, replicas, gpus, ray_address: of the engine ray (`local.base.replicas`).
    gguf, threads, context: the embedded engine's model file, threads, and tokens of one request at most.
    engine_args: handed on to the engine as they are. max_gpu_memory: of each GPU at most, as typed (`5GiB`).
    """

    engine: str = "server"
    base_urls: tuple[str, ...] = ()
    concurrency: int = 0  # 0: the engine's default
    per_endpoint: int = 0  # 0: as concurrency
    rps: float | None = None
    tpm: float | None = None
    timeout_s: float = 600.0
    retries: int = 16
    backoff_s: float = 0.5
    backoff_cap_s: float = 60.0
    outage_s: float = 600.0
    wait_for_s: float = 0.0
    wait_interval_s: float = 60.0
    mode: str = "chat"
    template: str = ""  # completion mode: a template's name, or the path of a template file
    gguf: str = ""
    threads: int = 0  # 0: by the machine's cores and load
    context: int = 0  # 0: by the longest row
    cache: bool = True
    engine_args: Mapping[str, str] = field(default_factory=dict)
    max_gpu_memory: str = ""
    serve: str = ""
    replicas: str = ""
    gpus: float | None = None
    ray_address: str = ""

    @property
    def works(self) -> str:
        """The engine that does the work: that of each replica where Ray places them."""
        return (self.serve or SERVED[0]) if self.engine == "ray" else self.engine

    @property
    def window(self) -> int:
        """Requests in flight at once."""
        each = CONCURRENCY.get(self.works, SERVER_CONCURRENCY)
        return self.concurrency or (each * replicas.most(self.replicas) if self.engine == "ray" else each)

    @property
    def endpoint_window(self) -> int:
        """Requests in flight at one endpoint, at most."""
        if self.engine != "ray":
            return self.per_endpoint or self.window
        return self.per_endpoint or -(-self.window // replicas.most(self.replicas))


def read(values: Mapping[str, Any]) -> Options:
    """Options from a job's mapping. `base_url` may be one URL, several with commas, or a list. Raises UsageError."""
    given = {key: value for key, value in values.items() if value is not None}
    urls = _urls(given.pop("base_url", None), given.pop("base_urls", None))
    engine = str(given.get("engine") or ("server" if urls else "embedded"))
    given["engine"] = ALIASES.get(engine, engine)
    if "serve" in given:
        given["serve"] = ALIASES.get(str(given["serve"]), given["serve"])
    if (works := (given.get("serve") or SERVED[0]) if engine == "ray" else engine) in TIMEOUT_S:
        given.setdefault("timeout_s", TIMEOUT_S[works])
    names = {field.name for field in fields(Options)}
    if unknown := sorted(set(given) - names):
        raise UsageError(
            f"local: no option is called {', '.join(unknown)}", hint=f"options: {', '.join(sorted(names))}"
        )
    options = Options(base_urls=urls, **{key: _value(key, value) for key, value in given.items()})
    options = _with_engine_args(options)
    _check(options)
    return options


def asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a job's options that decide what is asked: its identity, which no other pace and place change."""
    kept = {name: value for name, value in values.items() if name not in PACE}
    if isinstance(arguments := kept.pop(ARGUMENTS_KEY, None), Mapping):
        left = {name: text for name, text in arguments.items() if name not in PACE_ARGUMENTS}
        kept |= {ARGUMENTS_KEY: left} if left else {}
    return kept


def _with_engine_args(options: Options) -> Options:
    """The embedded engine's arguments are options of ours. Raises UsageError for a name that the engine has not."""
    allowed = ARGUMENTS.get(options.works)
    unknown = sorted(set(options.engine_args) - allowed) if allowed is not None else ()
    if unknown:
        takes = (
            f"it takes {', '.join(sorted(allowed or ()))}"
            if allowed
            else "a server gets its arguments when it is started"
        )
        raise UsageError(f"local: the engine {options.works} has no argument {', '.join(unknown)}", hint=takes)
    check_ours(options.engine_args)
    if options.engine in OFFLINE:
        _check_values(options.engine_args)
    if options.works != "embedded":
        return options
    return replace(options, **{name: _value(name, value) for name, value in options.engine_args.items()})


def _check_values(arguments: Mapping[str, str]) -> None:
    """Raise UsageError for a value that the engine would refuse after its model was loaded, in words of its own."""
    for name, text in arguments.items():
        if name in WHOLE and not (text.isascii() and text.isdecimal() and int(text)):
            raise UsageError(f"--engine-arg {name}={text}: a whole number above 0 is needed")
        if text not in CHOICES.get(name, (text,)):
            raise UsageError(f"--engine-arg {name}={text}: no such value", hint=f"one of {', '.join(CHOICES[name])}")


def check_ours(arguments: Mapping[str, str]) -> None:
    """Raise UsageError for a server's argument that we set ourselves."""
    if taken := sorted(OURS & set(arguments)):
        hint = "--model names the model; the worker picks port and key; `engine serve` has --host and --port"
        raise UsageError(f"--engine-arg {', '.join(taken)}: batchflow sets this itself", hint=hint)


def normalised_url(text: str) -> str:
    """The base URL of a server as options hold it. Raises UsageError for what is none."""
    parsed = parse_base_url(text)
    if parsed.path.endswith("/completions"):
        raise UsageError(f"local: {text} is the URL of one call", hint="write it as http://HOST:PORT/v1")
    return parsed.geturl() if parsed.path else f"{parsed.geturl()}/v1"  # the usual prefix, where none is given


def _urls(*values: Any) -> tuple[str, ...]:
    urls: list[str] = []
    for value in values:
        parts = value.split(",") if isinstance(value, str) else list(value or ())
        for part in parts:
            if (url := normalised_url(str(part))) not in urls:
                urls.append(url)
    return tuple(urls)


def _called(name: str) -> str:
    """Names an option in an error by its key and its flag, since a user may have set either."""
    return f"local: {name} ({FLAGS[name]})" if name in FLAGS else f"local: {name}"


def _value(key: str, value: Any) -> Any:
    kind = {field.name: str(field.type) for field in fields(Options)}[key]
    if key.endswith("_s"):
        return rate_limits.seconds(value, _called(key))
    if key == "engine_args":
        return {str(name): str(text) for name, text in dict(value).items()}
    if key == "cache":
        return value if isinstance(value, bool) else str(value).lower() not in {"false", "0", "no", "off"}
    try:
        if kind.startswith("int"):
            return int(value)
        if kind.startswith("float"):
            return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"local: {key} has to be a number, not {value!r}") from None
    return str(value)


_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|MiB|GB|MB)", re.IGNORECASE)
_BYTES = {"gib": 1 << 30, "mib": 1 << 20, "gb": 10**9, "mb": 10**6}


def memory(text: str) -> int:
    """Bytes of a size as people write it: `5GiB`, `500MiB`, `80GB`. Raises UsageError."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise UsageError(f"local: max_gpu_memory: {text!r} is not a size", hint="write 5GiB, 500MiB or 80GB")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def _check(options: Options) -> None:
    if options.engine not in ENGINES:
        raise UsageError(f"local: no engine is called {options.engine!r}", hint=f"engines: {', '.join(ENGINES)}")
    if options.engine == "server" and not options.base_urls:
        raise UsageError("local: the engine `server` needs a base URL", hint="--base-url http://HOST:PORT/v1")
    if options.engine != "server" and options.base_urls:
        raise UsageError("local: a base URL belongs to the engine `server`", hint="leave one of the two out")
    if options.engine in OFFLINE and (options.rps or options.tpm or options.wait_for_s):
        raise UsageError(
            f"local: the engine {options.engine} has no --rps, --tpm or --wait-for-model", hint="leave it out"
        )
    if options.max_gpu_memory and options.works not in {"hf", "vllm"}:
        raise UsageError(f"local: the engine {options.works} takes no --max-gpu-memory", hint="use --engine hf or vllm")
    if options.max_gpu_memory:
        memory(options.max_gpu_memory)
    if options.gguf and not Path(options.gguf).is_file():
        raise UsageError(
            f"local: {options.gguf}: no such model file", hint="a GGUF file, or `batchflow engine install`"
        )
    _check_ray(options)
    _check_mode(options)
    _check_numbers(options)


def _check_ray(options: Options) -> None:
    if options.engine != "ray":
        given = [FLAGS[name] for name in RAY if getattr(options, name) not in {"", None}]
        if given:
            raise UsageError(f"local: {', '.join(given)}: for --engine ray, not for {options.engine}")
        return
    if options.works not in SERVED:
        hint = f"use {' or '.join(SERVED)}; hf and openvino answer without a server"
        raise UsageError(f"local: Ray places no engine {options.serve!r}", hint=hint)
    replicas.check(options.replicas, options.gpus)


def _check_mode(options: Options) -> None:
    if options.mode not in MODES:
        raise UsageError(f"local: no mode is called {options.mode!r}", hint=f"modes: {', '.join(MODES)}")
    if options.mode == "chat" and options.template:
        raise UsageError("local: a template belongs to completion mode", hint="set mode to completion")
    if options.mode == "completion":
        templates.load(options.template or "chatml")


def _check_numbers(options: Options) -> None:
    for name in ("concurrency", "per_endpoint", "retries", "threads", "context"):
        if getattr(options, name) < 0:
            raise UsageError(f"local: {name} may not be negative")
    for name in ("rps", "tpm", "timeout_s", "wait_interval_s"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise UsageError(f"{_called(name)} has to be above 0", hint="leave it out for the default")
