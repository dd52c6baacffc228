"""`batchflow export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows

FORMS = ("inspect", "parquet", "csv", "openai", "raw")


@click.command("export")
@click.argument("name", shell_complete=completion.batches)
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(FORMS),
    help="inspect: a log for `inspect view`; parquet; csv; openai: rows for OpenAI's Evals API; raw: the requests in no vendor's format, as in layton-eval's raw_files/.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: results/<name> with the form's ending].",
)
@click.option("--images/--no-images", default=True, show_default=True, help="Put the pictures into an Inspect log.")
@shows
def command(app: App, name: str, form: str, output: Path | None, images: bool) -> Any:
    """Write all items of a batch, with answers, verdicts, labels and usage, as a file of another tool.

    A suite's name writes a file for each of its batches.
    """
    from batchflow.steps.base.suites import for_each
    from batchflow.steps.viewing.export import export

    return for_each(
        app.existing, name, lambda one: export(app.existing, one, form, out=output, images=images), out=output
    )
