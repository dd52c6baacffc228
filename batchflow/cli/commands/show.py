"""`batchflow show`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("show")
@click.argument("name")
@shows
def command(app: App, name: str) -> Any:
    """Show everything about one batch: how it was made, where it stands, what happened; asks no vendor."""
    from batchflow.steps.verbs.status import show

    return show(app.existing, name)
