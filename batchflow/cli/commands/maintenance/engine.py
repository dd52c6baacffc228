"""`batchflow engine`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, progress, shows


@click.group("engine")
def command() -> None:
    """Install, list, serve and stop local engines and models."""


@command.command("install")
@shows
def install(app: App) -> Any:
    """Install the embedded engine (llama.cpp, 34 MB) and download its small model (98 MB). Safe to run again."""
    from batchflow.steps.workers.engines import install

    return install(app.settings, progress)


@command.command("list")
@shows
def listing(app: App) -> Any:
    """List the engines and models on this machine."""
    from batchflow.steps.workers.engines import listing

    return listing(app.settings)


@command.command("serve")
@click.option(
    "--engine",
    type=click.Choice(["xllamacpp", "vllm", "lmdeploy"]),
    default="xllamacpp",
    show_default=True,
    help="Engine that serves the model.",
)
@click.option(
    "--model", default="", help="A GGUF file for xllamacpp; a path or hub id for the others [default: the small model]."
)
@click.option("--name", default="", help="Name of the server [default: <engine>-<model>].")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Clients need the key.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on [default: any free one].")
@click.option(
    "--engine-arg",
    multiple=True,
    metavar="NAME=VALUE",
    help="Passed on to the engine, e.g. max-model-len=4096; repeatable.",
)
@click.option(
    "--ready-within", default="30m", show_default=True, metavar="TIME", help="Time limit for loading the model."
)
@shows
def serve(app: App, engine_arg: tuple[str, ...], ready_within: str, **wish: Any) -> Any:
    """Start a server that runs until `engine stop`, and wait until it answers.

    It listens on this machine only, unless --host says otherwise. It always requires a key: that of
    BATCHFLOW_LOCAL_API_KEY, else a random one in a file that only you can read.
    """
    from batchflow.local.base.rate_limits import seconds
    from batchflow.local.servers.serving import Wish
    from batchflow.steps.building.local_options import engine_arguments
    from batchflow.steps.workers.engines import serve

    wish |= {"arguments": engine_arguments(engine_arg), "ready_s": seconds(ready_within, "--ready-within")}
    return serve(app.settings, Wish(**wish), progress)


@command.command("stop")
@click.argument("names", nargs=-1)
@shows
def stop(app: App, names: tuple[str, ...]) -> Any:
    """Stop servers by name, or all servers that `engine serve` started."""
    from batchflow.steps.workers.engines import stop

    return stop(app.settings, names)
