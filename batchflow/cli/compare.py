"""`batchflow compare`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.get import REFRESH_S
from batchflow.cli.score import FIELDS
from batchflow.cli.show import App, shows


@click.command("compare")
@click.argument("targets", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--field-name", "field", type=click.Choice(FIELDS), help="What is compared [default: as `score`].")
@click.option(
    "--method", type=click.Choice(("mean", "majority")), default="mean", show_default=True, help="Of an item's votes."
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence of intervals and tests.",
)
@click.option(
    "--power",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="Of the smallest detectable difference.",
)
@click.option("--resamples", type=click.IntRange(1), default=9_999, show_default=True, help="Bootstrap draws.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--cluster", metavar="COLUMN", help="Items with one value of this column count as one observation.")
@click.option(
    "--refresh-after",
    type=click.FloatRange(0),
    default=REFRESH_S,
    show_default=True,
    metavar="SECONDS",
    help="How old a running judge's last answer may be.",
)
@shows
def command(app: App, targets: tuple[str, ...], refresh_after: float, **flags: Any) -> Any:
    """Compare judged batches on the items that they have in common: differences, tests, and the ranks left open.

    Exit code 7 when a judge has not finished.
    """
    from batchflow.steps.compare import CompareOptions, compare

    report = compare(app.context, targets, CompareOptions(**flags), refresh_after_s=refresh_after)
    return report, 7 if report.incomplete else 0
