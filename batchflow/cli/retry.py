"""`batchflow retry`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.show import App, shows


@click.command("retry")
@click.argument("name")
@click.option("--also", type=click.Choice(["unparsed"]), help="Also what was answered, but not as it was asked for.")
@click.option("--max-tokens", type=click.IntRange(1), help="Another token limit, for answers that were cut off.")
@shows
def command(app: App, name: str, also: str | None, max_tokens: int | None) -> Any:
    """Prepare a child batch of exactly the requests without an answer; `results NAME` then merges what it brings."""
    from batchflow.steps.retry import retry

    return retry(app.context, name, also_unparsed=also == "unparsed", max_tokens=max_tokens)
