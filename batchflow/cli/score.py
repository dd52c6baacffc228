"""`batchflow score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli.show import App, shows

FIELDS = ("both_correct", "is_answer_correct", "is_justification_correct")
METHODS = ("mean", "majority", "ppi", "layton")
INTERVALS = ("auto", "percentile", "wilson", "exact", "beta", "t")


@click.command("score")
@click.argument("targets", nargs=-1, metavar="[NAME|JUDGE_FILE]...")
@click.option(
    "--field-name",
    "field",
    type=click.Choice(FIELDS),
    help="What is scored [default: both_correct, or the answer alone where no judge rates justifications].",
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
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Human labels (JSONL), for --method ppi and layton, and to see how right the judges are.",
)
@click.option(
    "--ci",
    type=click.Choice(INTERVALS),
    default="auto",
    show_default=True,
    help="auto: bootstrap over items, Wilson where that is known to fail.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence of the interval.",
)
@click.option("--resamples", type=click.IntRange(1), default=9_999, show_default=True, help="Bootstrap draws.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--cluster", metavar="COLUMN", help="Items with one value of this column count as one observation.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Also per category, picarats, hints_available, ...")
@click.option("--provider", help="The evaluated model's vendor, where the ledger does not know it.")
@click.option("--model", help="The evaluated model of judge files, so that its own --gold labels can be told.")
@click.option(
    "--predictions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own predictions {custom_id, answer, model}: they, and the judge files, come into the ledger.",
)
@click.option("--task", help="With files: riddles or layton [default: riddles].")
@click.option(
    "--dataset",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --predictions: the data set that was answered.",
)
@click.option("--split", help="With --predictions: llm or vlm [default: llm].")
@click.option(
    "--n-judges", type=click.IntRange(1), help="How many judges there have to be [default: 3 for judge files]."
)
@click.option(
    "--refresh-after",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How old a running judge's last answer may be.",
)
@shows
def command(app: App, targets: tuple[str, ...], refresh_after: float, **flags: Any) -> Any:
    """Turn the jury's votes into a score with its interval; without a target, all judged batches as one leaderboard.

    A target is a judged batch, or judge files {custom_id, answer, model} about one model's answers (docs/judge-files.md).
    Finished judges are fetched on the way. Exit code 7 when a judge has not finished.
    """
    from batchflow.steps.score import ScoreOptions, score

    report = score(app.context, targets, ScoreOptions(**flags), refresh_after_s=refresh_after)
    return report, 7 if any(row.incomplete for row in report.batches) else 0
