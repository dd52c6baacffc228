"""`batchflow update`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows


@click.command("update")
@click.argument("name", shell_complete=completion.batches)
@click.option("--title", help="Title; an empty text takes it away.")
@click.option("--description", help="Description; an empty text takes it away.")
@shows
def command(app: App, name: str, title: str | None, description: str | None) -> Any:
    """Set a batch's title and description, which `show` shows. What was prepared stays as it is."""
    from batchflow.steps.verbs.maintenance.update import update

    return update(app.existing, name, title=title, description=description)
