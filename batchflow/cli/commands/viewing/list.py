"""`batchflow list`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.records import Kind
from batchflow.states import Stage

SORTS = ("created", "name", "state", "provider", "model")


@click.command("list")
@click.option("--state", type=click.Choice([stage.value for stage in Stage]), help="Only batches in this stage.")
@click.option("--provider", shell_complete=completion.provider, help="Only batches of this provider.")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), help="Only predictions, or only judge batches."
)
@click.option(
    "--parent",
    metavar="NAME",
    shell_complete=completion.batches,
    help="Only the judges and the retries of this batch, and the retries of these judges.",
)
@click.option("--sort", type=click.Choice(SORTS), default="created", show_default=True, help="Column to sort by.")
@click.option("--descending", "-d", is_flag=True, help="Sort in descending order.")
@shows
def command(app: App, **flags: Any) -> Any:
    """List the batches in the ledger. Asks no vendor."""
    from batchflow.steps.viewing.batch_list import ListOptions, listing

    return listing(app.existing, ListOptions(**flags))
