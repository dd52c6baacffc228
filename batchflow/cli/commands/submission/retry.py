"""`batchflow retry`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows


@click.command("retry")
@click.argument("name", shell_complete=completion.batches)
@click.option("--also", type=click.Choice(["unparsed"]), help="Also ask again where the answer could not be read.")
@click.option("--max-tokens", type=click.IntRange(1), help="New token limit, for answers that were cut off.")
@shows
def command(app: App, name: str, also: str | None, max_tokens: int | None) -> Any:
    """Prepare a new batch of the unanswered requests; `results NAME` later merges its answers."""
    from batchflow.steps.base.suites import for_each
    from batchflow.steps.verbs.submission.retry import retry

    unparsed = also == "unparsed"
    return for_each(
        app.existing, name, lambda one: retry(app.existing, one, also_unparsed=unparsed, max_tokens=max_tokens)
    )
