"""`batchflow pool`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.group("pool")
def command() -> None:
    """Add and remove endpoints of local batches while they run."""


@command.command("add")
@click.argument("url")
@click.option("--model", default="", help="Only for batches of this model [default: all whose model it lists].")
@shows
def add(app: App, url: str, model: str) -> Any:
    """Add the server at URL to those that local batches ask.

    Workers that run join it as soon as it lists their model.
    """
    from batchflow.steps.workers import pool

    return pool.add(app.existing, url, model)


@command.command("remove")
@click.argument("url")
@shows
def remove(app: App, url: str) -> Any:
    """Remove the server at URL from those that local batches ask.

    It answers what it has; everything else goes to the others.
    """
    from batchflow.steps.workers import pool

    return pool.remove(app.existing, url)


@command.command("list")
@shows
def listing(app: App) -> Any:
    """List the endpoints, with the window and the answers of each."""
    from batchflow.steps.workers import pool

    return pool.listing(app.existing)
