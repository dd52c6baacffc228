"""`batchflow plan`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import FILE, SHARE, Number, level, together

_TOKENS = click.IntRange(0)
_POINTS = Number(0, 100, min_open=True)
_assumptions = together(
    click.option("--score", type=Number(0, 100), metavar="POINTS", help="Assume this score; no pilot is needed then."),
    click.option(
        "--stability", type=Number(0, 1), help="Assume that two answers to one item correlate so [default: 0.8]."
    ),
    click.option(
        "--judge-error",
        type=Number(0, 50, max_open=True),
        metavar="POINTS",
        help="Assume that a judge errs on so many of 100 votes [default: 5].",
    ),
    click.option(
        "--shared-error",
        type=Number(0, 1),
        help="Assume that this share of the errors' variance is common to all judges [default: 0.5].",
    ),
    click.option(
        "--leniency",
        type=Number(0, 50),
        metavar="POINTS",
        help="Assume that judges' means have this standard deviation [default: 0].",
    ),
    click.option("--judges", type=click.IntRange(1), metavar="N", help="Judges that are planned with [default: 3]."),
    click.option(
        "--correlation",
        type=Number(-1, 1),
        help="Assume that two models' items correlate so [default: 0.5]; two pilots tell it.",
    ),
)


@click.command("plan")
@click.argument("targets", nargs=-1, metavar="[NAME [NAME]]", shell_complete=completion.results_or_batches)
@click.option("--field-name", "field", metavar="FIELD", help="Field to plan for [default: as in `score`].")
@click.option(
    "--precision", type=_POINTS, default=2.0, show_default=True, metavar="POINTS", help="Wanted half-width of a score."
)
@click.option(
    "--difference",
    type=_POINTS,
    default=5.0,
    show_default=True,
    metavar="POINTS",
    help="Difference of two models that is to be found.",
)
@click.option(
    "--power", type=SHARE, default=0.8, show_default=True, help="Share of repeats in which the difference is found."
)
@level("Confidence level of intervals and tests.")
@click.option("--items", type=click.IntRange(1), metavar="N", help="Items that the data set has.")
@_assumptions
@click.option("--gold", type=FILE, help="Human labels (JSONL) of the pilot's answers; else those in the ledger.")
@click.option("--model", metavar="PROVIDER:MODEL", help="Look up the price of an answer of this model.")
@click.option(
    "--judge", multiple=True, metavar="PROVIDER:MODEL", help="Look up the price of a vote of this judge; repeatable."
)
@click.option(
    "--answer-tokens",
    type=_TOKENS,
    nargs=2,
    metavar="IN OUT",
    help="Tokens of an answer of --model [default: 500 1000].",
)
@click.option(
    "--vote-tokens",
    type=_TOKENS,
    nargs=2,
    metavar="IN OUT",
    help="Tokens of a vote of --judge [default: 500 more in than an answer has in and out, 300 out].",
)
@click.option("--answer-cost", type=Number(0), metavar="USD", help="Price of an answer [default: as the pilot's].")
@click.option("--vote-cost", type=Number(0), metavar="USD", help="Price of a vote [default: as the pilot's].")
@click.option("--label-cost", type=Number(0), metavar="USD", help="Price of a human label.")
@shows
def command(app: App, targets: tuple[str, ...], **flags: Any) -> Any:
    """Plan a study: items, samples, judges and labels for a precision or a difference, and what each design costs.

    From a judged pilot batch, from two of different models, or from assumptions (--score). See docs/plan.md.
    """
    from batchflow.steps.verbs.evaluation.plan import PlanOptions, plan

    return plan(app.about(targets), targets, PlanOptions(**flags))
