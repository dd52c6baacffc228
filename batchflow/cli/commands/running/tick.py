"""`batchflow tick`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import refresh_after


@click.command("tick")
@refresh_after("Ask a vendor only if its last answer is older than this.")
@shows
def command(app: App, refresh_after: float) -> Any:
    """Move everything that can move, once, and return: made for cron.

    Running batches are asked about, ended ones fetched, waiting parts sent, and every run goes on. A batch that nobody
    has started stays as it is.

    Exit code: 0 nothing is open, 7 something is, 6 something needs you.
    """
    from batchflow.states import Stage
    from batchflow.steps.running.tick import tick

    report = tick(app.existing, refresh_after_s=refresh_after)
    if any(row.state == Stage.NEEDS_YOU.value for row in report.batches):
        return report, 6
    return report, 7 if report.open or report.runs else 0
