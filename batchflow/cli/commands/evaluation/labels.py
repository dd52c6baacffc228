"""`batchflow labels`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import seed


@click.group("labels")
def command() -> None:
    """Sheets of answers for a person to judge."""


@command.command("sheet")
@click.argument("name", shell_complete=completion.batches)
@click.option("--n", type=click.IntRange(1), default=50, show_default=True, help="Number of answers.")
@click.option(
    "--stratify",
    is_flag=True,
    help="Draw by the jury's verdict, rare verdicts more often; the estimate weights the labels for it.",
)
@seed
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "html")),
    default="csv",
    show_default=True,
    help="csv: for a spreadsheet; html: a page that is filled in offline, and saved as JSONL.",
)
@click.option(
    "--kind",
    metavar="NAME|FILE.toml",
    shell_complete=completion.kind,
    help="Judge kind whose fields are labelled [default: that of the batch's jury].",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: results/<name>.labels.csv or .html].",
)
@shows
def sheet_command(
    app: App, name: str, n: int, stratify: bool, seed: int, form: str, kind: str | None, output: Path | None
) -> Any:
    """Draw a random sample of a batch's answers and write a sheet to judge them. The jury's verdicts are not in it.

    With --stratify the ledger keeps which answers were drawn from how many, so that `score` counts each label for its
    stratum. A suite's name writes a sheet for each of its batches.

    `batchflow import labels` takes the filled-in sheet.
    """
    from batchflow.steps.base.suites import for_each
    from batchflow.steps.viewing.sheet import sheet

    how: dict[str, Any] = {"n": n, "seed": seed, "form": form, "out": output, "kind": kind, "stratify": stratify}
    return for_each(app.existing, name, lambda one: sheet(app.existing, one, **how), out=output)
