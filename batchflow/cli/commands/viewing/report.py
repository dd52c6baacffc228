"""`batchflow report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import jury_extract, level, resamples, seed

FORMS = ("html", "md", "csv", "xlsx", "json", "tex", "svg", "png")


@click.command("report")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.batches)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: results/<name>.html, or results/report.html]. Plots get names that begin like it.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="html",
    show_default=True,
    help="html: the page; md, tex, csv, json, xlsx: tables (xlsx with all items); svg, png: the plots.",
)
@click.option(
    "--field-name", "field", metavar="FIELD", help="Field to score [default: the judge kind's overall field]."
)
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Score each value of this column; repeatable [default: short ones]."
)
@click.option("--images/--no-images", default=True, show_default=True, help="Put the pictures into the file.")
@click.option("--bias", is_flag=True, help="Also test the judges for biases, as `score --bias` does.")
@jury_extract
@level("Confidence level of the intervals.")
@resamples
@seed
@shows
def command(
    app: App, names: tuple[str, ...], output: Path | None, form: str, by: tuple[str, ...], images: bool, **flags: Any
) -> Any:
    """Write one HTML file with scores, comparison, costs, how it was made, and every item. It needs no server and no network.

    Without a name: all batches with results. Other formats hold the tables, or the plots.
    """
    from batchflow.steps.base.suites import named
    from batchflow.steps.viewing.gather import ReportOptions
    from batchflow.steps.viewing.report import report

    options = ReportOptions(by=by or None, **flags)
    return report(app.existing, named(app.existing, names), options, form=form, out=output, images=images)
