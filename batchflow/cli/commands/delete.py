"""`batchflow delete`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("delete")
@click.argument("name")
@click.option("--remote", is_flag=True, help="Also delete the vendor's copies of the files.")
@click.option("--force", is_flag=True, help="Even while it may still be running.")
@shows
def command(app: App, name: str, remote: bool, force: bool) -> Any:
    """Forget a batch with its judges, and remove the files that batchflow made for it. Never touches your own."""
    from batchflow.steps.verbs.delete import delete

    return delete(app.existing, name, remote=remote, force=force)
