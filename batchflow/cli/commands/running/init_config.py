"""`batchflow init-config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import comma_separated

MODES = ("all", "infer", "eval", "e2e")


@click.command("init-config")
@click.argument("task_name", metavar="TASK")
@click.option(
    "-m",
    "--mode",
    type=click.Choice(MODES),
    default="all",
    show_default=True,
    help="Steps; e2e is another word for all.",
)
@click.option("-a", "--api-server", help="URL of the model's server.")
@click.option("-j", "--judger-server", help="URL of the judge's server.")
@click.option("--provider", shell_complete=completion.provider, help="Vendor of the model, in place of a server.")
@click.option("--model", help="Model [default: the first that the server lists].")
@click.option("--judge-provider", shell_complete=completion.provider, help="Vendor of the judge, in place of a server.")
@click.option("--judge-model", help="Judge [default: the first that the server lists].")
@click.option(
    "-d",
    "--datasets",
    "data_sets",
    multiple=True,
    callback=comma_separated,
    help="Data sets: aime2025, gpqa, code, ifeval, mmlu_pro, hle, or all; separated by commas or repeated [default: all].",
)
@click.option("--repeats", type=click.IntRange(1), help="Ask each item N times [default: as OpenCompass does].")
@click.option(
    "-o",
    "--output-file",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [default: TASK.yaml].",
)
@shows
def command(app: App, **flags: Any) -> Any:
    """Write a configuration of OpenCompass's kind for `run` (docs/opencompass.md). A file that exists is kept."""
    from batchflow.steps.compass.init import InitConfigOptions, init_config

    return init_config(app.settings, InitConfigOptions(**flags))
