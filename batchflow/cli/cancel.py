"""`batchflow cancel`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.show import App, shows


@click.command("cancel")
@click.argument("name")
@shows
def command(app: App, name: str) -> Any:
    """Ask the vendor to stop what runs, and close what was never sent; what is done is kept."""
    from batchflow.steps.delete import cancel

    return cancel(app.context, name)
