"""`batchflow cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows

if TYPE_CHECKING:
    from batchflow.steps.verbs.maintenance.delete import CancelReport


@click.command("cancel")
@click.argument("name", shell_complete=completion.batches)
@click.option(
    "--lost",
    "lost",
    is_flag=True,
    help="Give up jobs that the vendor says it does not have (check the key and the base URL first), or that a gateway"
    " has not finished to cancel after ten minutes.",
)
@click.option(
    "--force", is_flag=True, help="Also stop a batch that was matched by size and time only and may not be yours."
)
@shows
def command(app: App, name: str, lost: bool, force: bool) -> Any:
    """Stop the running jobs of a batch and close those never sent. Finished work is kept."""
    from batchflow.steps.base.suites import for_each
    from batchflow.steps.verbs.maintenance.delete import cancel
    from batchflow.steps.verbs.maintenance.give_up import give_up

    def stop(one: str) -> CancelReport:
        return give_up(app.existing, one) if lost else cancel(app.existing, one, force=force)

    return for_each(app.existing, name, stop)
