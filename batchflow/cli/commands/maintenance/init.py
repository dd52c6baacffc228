"""`batchflow init`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("init")
@shows
def command(app: App) -> Any:
    """Write a commented batchflow.toml, .env.example, eval.toml and a first data set. Files that exist are kept."""
    from batchflow.steps.verbs.maintenance.init import init

    return init(app.project)
