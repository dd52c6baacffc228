"""`batchflow cancel`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("cancel")
@click.argument("name")
@click.option(
    "--lost", "lost", is_flag=True, help="Give up what the vendor says it does not have (check key and base URL first)."
)
@click.option(
    "--force", is_flag=True, help="Also stop a batch that was found by its size and time only and may not be yours."
)
@shows
def command(app: App, name: str, lost: bool, force: bool) -> Any:
    """Ask the vendor to stop what runs, and close what was never sent; what is done is kept."""
    from batchflow.steps.verbs.delete import cancel, give_up

    return give_up(app.existing, name) if lost else cancel(app.existing, name, force=force)
