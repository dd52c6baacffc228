"""`batchflow workers`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("workers")
@shows
def command(app: App) -> Any:
    """List the hosts that work on local batches, with the heartbeat and the speed of each worker.

    To follow them: watch batchflow workers
    """
    from batchflow.steps.workers import hosts

    return hosts.listing(app.existing)
