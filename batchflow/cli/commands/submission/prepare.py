"""`batchflow prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.asking_flags import asking_flags
from batchflow.cli.commands.local_flags import local_flags
from batchflow.cli.commands.options import FILE
from batchflow.settings import LOCAL, VENDORS


@click.command("prepare")
@click.option(
    "--provider",
    shell_complete=completion.provider,
    help=f"Provider: {', '.join(VENDORS)}, {LOCAL} or a gateway (docs/gateways.md).",
)
@click.option(
    "--model",
    shell_complete=completion.model,
    help="Model id of the vendor; for local, a name or the path of a GGUF file.",
)
@click.option(
    "--suite",
    "suite_path",
    type=FILE,
    help="Prepare the data sets of this TOML or YAML file as one suite, a batch for each (docs/suites.md).",
)
@asking_flags
@local_flags
@click.option(
    "--shards",
    type=click.IntRange(1, 512),
    metavar="N",
    help="local: cut the batch into N parts for several hosts or workers; prompts that begin alike stay in one part (docs/local.md).",
)
@shows
def command(app: App, suite_path: Path | None, **flags: Any) -> Any:
    """Write the requests of a batch, ready to be sent. Needs no key and no network.

    A flag overrides its environment variable (BATCHFLOW_MODEL, ...), which overrides [prepare] in batchflow.toml.
    """
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare

    options = PrepareOptions(local=LocalFlags.taken(flags), **flags)
    if suite_path is None:
        return prepare(app.context, options)
    from batchflow.steps.suites.suite import prepare_suite
    from batchflow.steps.suites.suite_file import read

    return prepare_suite(app.context, read(suite_path), options)
