"""`batchflow results`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import refresh_after


@click.command("results")
@click.argument("names", nargs=-1, required=True)
@refresh_after("Ask the vendor only when the last answer is older.")
@click.option("--again", is_flag=True, help="Download and read anew what was taken up: for rows that came later.")
@shows
def command(app: App, names: tuple[str, ...], refresh_after: float, again: bool) -> Any:
    """Fetch what came back and write results/<name>.jsonl, one row per request, at any time.

    Exit code: 0 complete, 7 when requests are still open (their rows are missing, the others are there).
    """
    from batchflow.steps.collecting.fetch import results

    reports = [results(app.existing, name, refresh_after_s=refresh_after, again=again) for name in names]
    return reports, 0 if all(report.finished for report in reports) else 7
