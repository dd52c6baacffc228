"""`batchflow compare`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import (
    FILE,
    SHARE,
    cluster,
    jury_extract,
    level,
    refresh_after,
    report_text,
    resamples,
    seed,
    unanswered,
    verbose,
)
from batchflow.cli.streamed import Sentences


@click.command("compare")
@click.argument("targets", nargs=-1, required=True, metavar="A B [C]...", shell_complete=completion.results_or_batches)
@click.option("--field-name", "field", metavar="FIELD", help="Field to compare [default: as in `score`].")
@click.option(
    "--method",
    type=click.Choice(("mean", "majority", "dawid-skene")),
    default="mean",
    show_default=True,
    help="How the votes on an item are combined.",
)
@click.option(
    "--gold",
    type=FILE,
    help="Human labels (JSONL) of both models' answers to some items, to correct the differences for the judges' errors.",
)
@level("Confidence level of intervals and tests.")
@click.option(
    "--power",
    type=SHARE,
    default=0.8,
    show_default=True,
    help="Power for the smallest detectable difference.",
)
@resamples
@seed
@cluster
@jury_extract
@unanswered
@report_text
@refresh_after("Ask a vendor about a running judge batch only if its last answer is older than this.")
@verbose
@shows
def command(app: App, targets: tuple[str, ...], refresh_after: float, report_text: bool, **flags: Any) -> Any:
    """Compare judged batches on their common items: differences, tests and possible ranks.

    Suites are compared data set by data set, and in their groups (docs/suites.md).
    Exit code 7 if a judge has not finished.
    """
    from batchflow.steps.base.suites import suite_of
    from batchflow.steps.verbs.evaluation.compare import CompareOptions, compare

    context, options = app.about(targets), CompareOptions(**flags)
    if any(suite_of(context, [target]) for target in targets):
        from batchflow.steps.suites.compare import compare_suites

        if report_text:
            raise click.UsageError("--report-text goes with batches; of suites there is a table.")
        table = compare_suites(context, targets, options, refresh_after_s=refresh_after)
        return table, 0 if table.complete else 7
    report = compare(context, targets, options, refresh_after_s=refresh_after)
    code = 7 if report.incomplete else 0
    if not report_text:
        return report, code
    from batchflow.cli.cards import paper

    return Sentences(report, paper.compared(report), any(model.rehearsal for model in report.models)), code
