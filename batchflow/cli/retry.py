"""`batchflow retry`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.show import App, shows


@click.command("retry")
@click.argument("name")
@click.option("--also", type=click.Choice(["unparsed"]), help="Also what was answered, but not as it was asked for.")
@shows
def command(app: App, name: str, also: str | None) -> Any:
    """Prepare a child batch of exactly the requests without an answer; `results NAME` then merges what it brings."""
    from batchflow.steps.retry import retry

    return retry(app.existing, name, also_unparsed=also == "unparsed")
