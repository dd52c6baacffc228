"""Options that several commands take. This module imports no step, so that --help stays quick."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.vocabulary import REFRESH_S

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_OR_FOLDER = click.Path(exists=True, path_type=Path)


class Number(click.FloatRange):
    """A number of a range. `nan` is none: it is neither inside nor outside, so click lets it pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click does it. Fails for `nan`."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


SHARE = Number(0, 1, min_open=True, max_open=True)

jury_extract = click.option(
    "--extract",
    multiple=True,
    metavar="NAME,...",
    help="Jury that judges what these extractors leave of the answers (`jury --extract`) [default: the latest].",
)


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order in which --help lists them."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def refresh_after(text: str) -> Decorator:
    """--refresh-after SECONDS, with the help that says what it means for this command."""
    return click.option(
        "--refresh-after",
        type=Number(0),
        default=REFRESH_S,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


def level(text: str) -> Decorator:
    """--level, a confidence between 0 and 1."""
    return click.option("--level", type=SHARE, default=0.95, show_default=True, help=text)


max_cost = click.option(
    "--max-cost",
    type=Number(0),
    metavar="USD",
    help="Most that the whole run may cost: its batches, retries and juries (docs/money.md). Holds until you change it.",
)
verbose = click.option("--verbose", "-v", is_flag=True, help="Show all notes and columns.")
resamples = click.option(
    "--resamples", type=click.IntRange(1), default=9_999, show_default=True, help="Number of bootstrap resamples."
)
seed = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed; the same seed gives the same numbers.",
)
report_text = click.option(
    "--report-text",
    is_flag=True,
    help="Print the sentences for a paper: what was asked, n, judges, interval and its method, missing, seed, versions.",
)
unanswered = click.option(
    "--unanswered",
    multiple=True,
    metavar="[KIND=]WORTH",
    help="Worth of an item without an answer: exclude, wrong, or bounds (in no mean, the bounds hold both); repeatable. "
    "KIND is refused, unparsed, cut_off (or model: all three), error, expired, cancelled, missing, pending (or vendor) "
    "[default: model=wrong, vendor=bounds].",
)
cluster = click.option(
    "--cluster",
    shell_complete=completion.column,
    metavar="COLUMN",
    help="Count items with the same value in this column as one observation.",
)
