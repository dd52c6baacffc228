"""`batchflow start`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.local_flags import pace_flags
from batchflow.cli.commands.options import max_cost


@click.command("start")
@click.argument("names", nargs=-1, shell_complete=completion.batches)
@click.option("--all", "everything", is_flag=True, help="Start every batch that has something to send.")
@click.option("--accept-edit", is_flag=True, help="Send a processed file that was edited by hand.")
@click.option(
    "--canary",
    type=click.IntRange(1),
    metavar="N",
    help="Send N requests first, and the rest only if all N were answered.",
)
@click.option("--past-canary", is_flag=True, help="Send the rest whatever the canary's outcome.")
@click.option("--adopt", metavar="ID", help="Vendor's id of the batch that belongs to an unsure job.")
@click.option("--resend", is_flag=True, help="Send unsure jobs again. They may be paid for twice.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="K",
    help="local: work on at most K parts at once on this host, and on the next free one when one is done [default: 1 with shards, else all].",
)
@max_cost
@click.option("--takeover", is_flag=True, help="Take over a start that a dead machine left behind.")
@pace_flags
@shows
def command(app: App, names: tuple[str, ...], everything: bool, **flags: Any) -> Any:
    """Send prepared batches, each request exactly once. Safe to run again after any interruption."""
    from batchflow.errors import UsageError
    from batchflow.steps.base.suites import named
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.verbs.submission.start import StartOptions, start_all, startable

    if bool(names) == everything:
        raise UsageError("name the batches to start, or give --all", hint="batchflow list --state prepared")
    chosen = startable(app.existing) if everything else named(app.existing, names, judges=True)
    if not chosen:
        raise UsageError("nothing is waiting to be sent", hint="batchflow list")
    return start_all(app.existing, chosen, StartOptions(local=LocalFlags.taken(flags), **flags))
