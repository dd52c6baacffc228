"""`batchflow score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import (
    FILE,
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

if TYPE_CHECKING:
    from batchflow.steps.base.context import Context

METHODS = ("mean", "majority", "dawid-skene", "ppi", "layton")
INTERVALS = ("auto", "percentile", "wilson", "exact", "beta", "t")


@click.command("score")
@click.argument("targets", nargs=-1, metavar="[NAME|JUDGE_FILE]...", shell_complete=completion.results_or_batches)
@click.option(
    "--suite",
    metavar="NAME",
    help="Score a suite: a table of its data sets and groups; the same as its name as the one target (docs/suites.md).",
)
@click.option(
    "-o",
    "--output",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="With a suite: also write the table, as txt, csv, md or json by the file's ending; repeatable.",
)
@click.option(
    "--field-name",
    "field",
    metavar="FIELD",
    help="Field to score [default: the judge kind's overall field, or the rules' field if no judge is a model].",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="mean",
    show_default=True,
    help="mean or majority of the votes on an item; dawid-skene: judges weighed by how they agree; ppi: corrected with human labels; layton: layton-eval's method.",
)
@click.option(
    "--metric",
    metavar="NAME",
    help="What an item's answers (prepare --samples) make of it: mean, pass@K (one of K is right), all@K, G-Pass@K_T (a share T of K is right), mG-Pass@K [default: the task's].",
)
@click.option(
    "--gold",
    type=FILE,
    help="Human labels (JSONL) for --method ppi and layton, and to measure how often each judge is right.",
)
@click.option(
    "--ci",
    type=click.Choice(INTERVALS),
    default="auto",
    show_default=True,
    help="Method of the interval. auto: Wilson for right or wrong, else bootstrap over items.",
)
@level("Confidence level of the interval.")
@resamples
@seed
@cluster
@jury_extract
@unanswered
@click.option(
    "--by",
    multiple=True,
    shell_complete=completion.column,
    metavar="COLUMN",
    help="Also score each value of this column, e.g. category; repeatable.",
)
@click.option(
    "--weight",
    shell_complete=completion.column,
    metavar="COLUMN",
    help="Weighted mean: this column holds each item's weight.",
)
@click.option(
    "--macro",
    shell_complete=completion.column,
    metavar="COLUMN",
    help="Score the mean of this column's groups, each as heavy as the others, instead of the mean of all items.",
)
@click.option("--provider", help="Vendor of the evaluated model, if the ledger does not know it.")
@click.option("--model", help="Evaluated model of judge files, to find its own labels in --gold.")
@click.option(
    "--predictions",
    type=FILE,
    help="Your own predictions {custom_id, answer, model}. They are imported together with the judge files.",
)
@click.option(
    "--kind",
    metavar="NAME|FILE.toml",
    help="With files: judge kind of the verdicts, as in `jury` [default: the task's].",
)
@click.option(
    "--task", help="With files: task that was judged, as in `prepare` [default: qa with --dataset, else riddles]."
)
@click.option(
    "--dataset",
    type=FILE,
    help="With --predictions: data set that was answered.",
)
@click.option("--split", help="With --predictions: llm or vlm [default: llm].")
@click.option("--n-judges", type=click.IntRange(1), help="Number of judges to expect [default: 3 for judge files].")
@click.option(
    "--bias",
    is_flag=True,
    help="Also test each judge for a bias towards its own house and towards long answers (docs/statistics.md).",
)
@click.option(
    "--against",
    metavar="MEAN,SE[,CORRELATION]",
    help="Also hold the score against a published one with this standard error, both in points; correlation of the two "
    "models' values on an item [default: 0, as of different items].",
)
@click.option(
    "--plus-minus",
    is_flag=True,
    help="Also show layton-eval's dictionary: score and '95% CI (±)', in points of 100.",
)
@click.option(
    "--legacy-overall",
    is_flag=True,
    help="Tasks mixeval, mixeval-hard: also score the halves, and MixEval's overall score of before 2024-09-12, their mean.",
)
@report_text
@refresh_after("Ask a vendor about a running judge batch only if its last answer is older than this.")
@verbose
@shows
def command(
    app: App,
    targets: tuple[str, ...],
    suite: str | None,
    output: tuple[Path, ...],
    refresh_after: float,
    bias: bool,
    against: str | None,
    plus_minus: bool,
    legacy_overall: bool,
    report_text: bool,
    **flags: Any,
) -> Any:
    """Compute a score with its confidence interval from the jury's votes. Without a target: a leaderboard of all judged batches.

    A target is a judged batch, or judge files {custom_id, answer, model} about one model's answers (docs/judge-files.md).
    Finished judge batches are downloaded first. Exit code 7 if a judge has not finished.
    """
    from batchflow.steps.verbs.evaluation.published import Published, held_against
    from batchflow.steps.verbs.evaluation.score import ScoreOptions, score

    published = Published.of(against) if against is not None else None
    flags["by"] = (*flags["by"], *(("half",) if legacy_overall else ()))
    context, options = app.about(targets), ScoreOptions(**flags)
    if name := _suite(context, targets, suite):
        _refuse_beside_a_suite(bias=bias, plus_minus=plus_minus, report_text=report_text)
        if published is not None:
            raise click.UsageError("--against goes with batches and judge files; a suite has many scores.")
        from batchflow.steps.suites.table import score_suite

        table = score_suite(context, name, options, refresh_after_s=refresh_after, out=output)
        return table, 0 if table.complete else 7
    if output:
        raise click.UsageError("--output goes with a suite; `batchflow report NAME --format csv` writes one batch.")
    report = score(context, targets, options, refresh_after_s=refresh_after)
    report = report.with_plus_minus() if plus_minus else report
    report = held_against(report, published, options.level) if published is not None else report
    if bias:
        from batchflow.steps.viewing.bias import with_biases

        report = with_biases(context, report, options)
    code = 7 if any(row.incomplete for row in report.batches) else 0
    if not report_text:
        return report, code
    from batchflow.cli.cards import paper

    return Sentences(report, paper.scored(report), any(row.rehearsal for row in report.batches)), code


def _refuse_beside_a_suite(**flags: bool) -> None:
    """Raise UsageError for flags that say more about single batches than the table of a suite holds."""
    if given := [f"--{flag.replace('_', '-')}" for flag, is_given in flags.items() if is_given]:
        raise click.UsageError(f"{given[0]} is about batches; name the members of the suite in its place.")


def _suite(context: Context, targets: tuple[str, ...], suite: str | None) -> str | None:
    """The name of the suite that is to be scored; None for batches and files."""
    from batchflow.steps.base.suites import suite_of

    if suite is not None and targets:
        raise click.UsageError("--suite NAME takes no other target.")
    return suite or (targets[0] if suite_of(context, targets) else None)
