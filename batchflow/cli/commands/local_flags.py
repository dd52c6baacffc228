"""The flags of the local engines, which `prepare` and `jury` share."""

from __future__ import annotations

import click

from batchflow.cli.commands.options import Number, together

_BASE_URL = click.option("--base-url", multiple=True, help="local: URL of an OpenAI-compatible server; repeatable.")
_CONCURRENCY = click.option("--concurrency", type=click.IntRange(1), help="local: maximum requests in flight.")
_RPS = click.option(
    "--rps", type=Number(0, min_open=True), help="local: requests per second at one endpoint, all jobs together."
)
_TIMEOUT = click.option(
    "--timeout",
    metavar="TIME",
    help="local: time limit of one try, e.g. 6000ms, 100s, 10m; a bare number is seconds [default: 10m; vllm 24h].",
)
_RETRIES = click.option("--retries", type=click.IntRange(0), help="local: further tries of a request [default: 16].")

_RAY = (
    click.option("--replicas", metavar="N|MIN-MAX", help="ray: engines to place; the batch begins with MIN [default: 1]."),
    click.option("--gpus", type=Number(0), help="ray: GPUs of a replica, e.g. 2, 0.5 or 0 [default: 1 for vllm, else 0]."),
    click.option("--ray-address", metavar="ADDRESS", help="ray: auto or HOST:6379 [default: RAY_ADDRESS, else a cluster of its own]."),
)  # fmt: skip

pace_flags = together(_BASE_URL, _CONCURRENCY, _RPS, _TIMEOUT, _RETRIES, *_RAY)
"""The flags that `start` may change; `LocalFlags.taken` takes them out of its arguments."""

_ENGINE = (
    _BASE_URL,
    click.option("--engine", help="local: server, embedded (llama.cpp), hf, openvino, vllm or ray."),
    click.option("--engine-arg", multiple=True, metavar="NAME=VALUE", help="local: passed on to the engine; repeatable."),
    click.option("--serve", metavar="ENGINE", help="ray: the engine of each replica, vllm or embedded [default: vllm]."),
    *_RAY,
    click.option("--max-gpu-memory", metavar="SIZE", help="local: memory limit of each GPU, e.g. 5GiB (hf, vllm)."),
    _CONCURRENCY,
    click.option("--per-endpoint", type=click.IntRange(1), help="local: maximum requests in flight at one endpoint."),
    _RPS,
    click.option("--tpm", type=Number(0, min_open=True), help="local: tokens per minute at one endpoint, all jobs together."),
    _TIMEOUT,
    click.option("--max-retry-delay", metavar="TIME", help="local: longest pause between two tries [default: 60s]."),
    click.option("--wait-for-model", is_flag=True, help="local: at the start, wait until the server lists the model."),
    click.option("--wait-timeout", metavar="TIME", help="local: time limit of that wait [default: 60m]."),
    click.option("--wait-interval", metavar="TIME", help="local: time between two checks [default: 60s]."),
    click.option("--mode", help="local: chat or completion [default: chat]; `run CFG.yaml`: all, infer, eval or viz."),
    click.option("--prompt-template", metavar="NAME|FILE", help="local, completion mode: chatml, qwen, r1, internthinker, or a TOML file."),
    click.option("--no-cache", is_flag=True, help="local: do not reuse kept answers."),
)  # fmt: skip

engine_flags = together(*_ENGINE)
"""The flags of an engine for a command that has its own `--retries`."""

local_flags = together(*_ENGINE, _RETRIES)
"""The flags for a command; `LocalFlags.taken` takes them out of its arguments."""
