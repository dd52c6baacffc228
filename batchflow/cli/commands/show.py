"""`batchflow show`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows


@click.command("show")
@click.argument("name", shell_complete=completion.batches)
@shows
def command(app: App, name: str) -> Any:
    """Show one batch in full: settings, progress and history. Asks no vendor."""
    from batchflow.steps.verbs.status import show

    return show(app.existing, name)
