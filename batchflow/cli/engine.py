"""`batchflow engine`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.show import App, progress, shows


@click.group("engine")
def command() -> None:
    """Install and list local engines and models."""


@command.command("install")
@shows
def install(app: App) -> Any:
    """Install the embedded engine (llama.cpp) and fetch its small model once; safe to run again."""
    from batchflow.steps.engines import install

    return install(app.settings, progress)


@command.command("list")
@shows
def listing(app: App) -> Any:
    """List the engines and models of this machine."""
    from batchflow.steps.engines import listing

    return listing(app.settings)
