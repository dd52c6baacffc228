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
    """Install the embedded engine (llama.cpp) and fetch its small model once; safe to run again."""
    from batchflow.steps.workers.engines import install

    return install(app.settings, progress)


@command.command("list")
@shows
def listing(app: App) -> Any:
    """List the engines and models of this machine."""
    from batchflow.steps.workers.engines import listing

    return listing(app.settings)


@command.command("serve")
@click.option("--engine", type=click.Choice(["xllamacpp", "vllm", "lmdeploy"]), default="xllamacpp", show_default=True)
@click.option(
    "--model", default="", help="A GGUF file for xllamacpp; a path or hub id for the others [default: the small model]."
)
@click.option("--name", default="", help="What to call it [default: <engine>-<model>].")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; whoever calls it there needs the key.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[default: any free one]")
@click.option(
    "--engine-arg", multiple=True, metavar="NAME=VALUE", help="Handed on to the engine: max-model-len=4096; repeatable."
)
@click.option("--ready-within", default="30m", show_default=True, metavar="TIME", help="How long it may take to load.")
@shows
def serve(app: App, engine_arg: tuple[str, ...], ready_within: str, **wish: Any) -> Any:
    """Start a server that stays until `engine stop`, and wait until it answers.

    It listens on this machine only unless --host says otherwise, and always asks for a key: that of
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
    """Stop servers by name; without a name, all that `engine serve` started."""
    from batchflow.steps.workers.engines import stop

    return stop(app.settings, names)
