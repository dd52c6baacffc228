"""`batchflow score`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import FILE, cluster, level, refresh_after, resamples, seed, verbose

METHODS = ("mean", "majority", "ppi", "layton")
INTERVALS = ("auto", "percentile", "wilson", "exact", "beta", "t")


@click.command("score")
@click.argument("targets", nargs=-1, metavar="[NAME|JUDGE_FILE]...")
@click.option(
    "--field-name",
    "field",
    metavar="FIELD",
    help="A field of the judge kind [default: its overall one, or what rules judge where no model does].",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="mean",
    show_default=True,
    help="mean or majority of the judges' votes on an item; ppi: corrected by --gold labels; layton: as layton-eval did.",
)
@click.option(
    "--gold",
    type=FILE,
    help="Human labels (JSONL), for --method ppi and layton, and to see how right the judges are.",
)
@click.option(
    "--ci",
    type=click.Choice(INTERVALS),
    default="auto",
    show_default=True,
    help="auto: bootstrap over items, Wilson where that is known to fail.",
)
@level("Confidence of the interval.")
@resamples
@seed
@cluster
@click.option("--by", multiple=True, metavar="COLUMN", help="Also per category, picarats, hints_available, ...")
@click.option("--provider", help="The evaluated model's vendor, where the ledger does not know it.")
@click.option("--model", help="The evaluated model of judge files, so that its own --gold labels can be told.")
@click.option(
    "--predictions",
    type=FILE,
    help="Your own predictions {custom_id, answer, model}: they, and the judge files, come into the ledger.",
)
@click.option("--task", help="With files: riddles or layton [default: riddles].")
@click.option(
    "--dataset",
    type=FILE,
    help="With --predictions: the data set that was answered.",
)
@click.option("--split", help="With --predictions: llm or vlm [default: llm].")
@click.option(
    "--n-judges", type=click.IntRange(1), help="How many judges there have to be [default: 3 for judge files]."
)
@refresh_after("How old a running judge's last answer may be.")
@verbose
@shows
def command(app: App, targets: tuple[str, ...], refresh_after: float, **flags: Any) -> Any:
    """Turn the jury's votes into a score with its interval; without a target, all judged batches as one leaderboard.

    A target is a judged batch, or judge files {custom_id, answer, model} about one model's answers (docs/judge-files.md).
    Finished judges are fetched on the way. Exit code 7 when a judge has not finished.
    """
    from batchflow.steps.verbs.score import ScoreOptions, score

    report = score(app.about(targets), targets, ScoreOptions(**flags), refresh_after_s=refresh_after)
    return report, 7 if any(row.incomplete for row in report.batches) else 0
