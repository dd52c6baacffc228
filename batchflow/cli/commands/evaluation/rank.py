"""`batchflow rank`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import level, refresh_after, resamples, seed, unanswered, verbose

METHODS = ("bradley-terry", "newman", "eigen", "win-rate", "points", "elo")
ORDERS = ("tie", "missing", "each")


@click.command("rank")
@click.argument(
    "targets",
    nargs=-1,
    required=True,
    metavar="VERDICTS.jsonl...|NAME...",
    shell_complete=completion.results_or_batches,
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="bradley-terry",
    show_default=True,
    help="newman: with a parameter for ties; eigen: eigenvector of the wins; win-rate: mean over opponents; points: wins and half ties.",
)
@click.option(
    "--orders",
    type=click.Choice(ORDERS),
    default="tie",
    show_default=True,
    help="A pair judged in both orders with two verdicts: a tie, missing, or each counts.",
)
@click.option(
    "--field-name", "field", metavar="FIELD", help="Of judged batches: field that decides [default: as in `score`]."
)
@unanswered
@level("Confidence level of the intervals and tests.")
@resamples
@seed
@refresh_after("Ask a vendor about a running judge batch only if its last answer is older than this.")
@verbose
@shows
def command(app: App, targets: tuple[str, ...], refresh_after: float, **flags: Any) -> Any:
    """Rank models by pairwise verdicts: {left, right, winner, prompt, judge} rows, or judged batches item by item.

    winner is left, right, tie, or null for a verdict that could not be read. Exit code 7 if a judge has not finished.
    """
    from batchflow.steps.verbs.evaluation.rank import RankOptions, rank

    report = rank(app.about(targets), targets, RankOptions(**flags), refresh_after_s=refresh_after)
    return report, 7 if report.incomplete else 0
