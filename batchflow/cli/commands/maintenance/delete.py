"""`batchflow delete`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows


@click.command("delete")
@click.argument("name", shell_complete=completion.batches)
@click.option("--remote", is_flag=True, help="Also delete the files at the vendor.")
@click.option("--force", is_flag=True, help="Delete even if the batch may still be running.")
@shows
def command(app: App, name: str, remote: bool, force: bool) -> Any:
    """Delete a batch, its judge batches and the files that batchflow made for them. Your own files are kept."""
    from batchflow.steps.base.suites import suite_of
    from batchflow.steps.verbs.maintenance.delete import delete

    if suite := suite_of(app.existing, [name]):
        from batchflow.steps.suites.suite import delete_suite

        return delete_suite(app.existing, suite, remote=remote, force=force)
    return delete(app.existing, name, remote=remote, force=force)
