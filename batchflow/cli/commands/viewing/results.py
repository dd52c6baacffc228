"""`batchflow results`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import refresh_after


@click.command("results")
@click.argument("names", nargs=-1, required=True, shell_complete=completion.batches)
@refresh_after("Ask the vendor only if its last answer is older than this.")
@click.option("--again", is_flag=True, help="Download and decode once more, for rows that arrived late.")
@click.option(
    "--layout",
    metavar="NAME",
    help="Also write results/NAME/ in this layout: csv, or one of a package (docs/layouts.md).",
)
@click.option(
    "--question/--no-question",
    "questions",
    default=True,
    show_default=True,
    help="Put question and reference beside each answer.",
)
@shows
def command(
    app: App, names: tuple[str, ...], refresh_after: float, again: bool, layout: str | None, questions: bool
) -> Any:
    """Download the answers and write results/<name>.jsonl, one row per request.

    Exit code: 0 complete, 7 if requests are still pending (the file then lacks their rows).
    """
    from batchflow.steps.base.suites import named
    from batchflow.steps.collecting.fetch import results

    names = tuple(named(app.existing, names))
    options: dict[str, Any] = {"refresh_after_s": refresh_after, "again": again, "questions": questions}
    if layout is None:
        reports = [results(app.existing, name, **options) for name in names]
    else:
        from batchflow.layouts import registry
        from batchflow.steps.viewing.layout import also_in

        chosen = registry.get(layout)  # an unknown one is refused before anything is asked
        reports = [also_in(app.existing, results(app.existing, name, **options), chosen) for name in names]
    return reports, 0 if all(report.finished for report in reports) else 7
