"""`batchflow watch`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import refresh_after

if TYPE_CHECKING:
    from batchflow.steps.viewing.feed import Feed
    from batchflow.steps.watching.snapshot import Snapshot


@click.command("watch")
@click.argument("names", nargs=-1, shell_complete=completion.batches)
@refresh_after("Ask a vendor only if its last answer is older than this. Local workers are checked every two seconds.")
@shows
def command(app: App, names: tuple[str, ...], refresh_after: float) -> Any:
    """Watch batches on the whole screen: rows, cost, expected end, and what holds each one up.

    Without names, all of them. It asks vendors as `get` does, and never starts or sends anything. In a pipe and with
    --json it looks once.

    Keys: arrows, Enter for a batch's parts and reasons, s sort, / filter, o open ones only, r look now, q quit.
    """
    from batchflow.steps.base.suites import named
    from batchflow.steps.viewing.feed import Feed
    from batchflow.steps.watching.report import report_of

    feed = Feed(app.existing, named(app.existing, names), refresh_after_s=refresh_after)
    snapshot = feed.read()
    if snapshot.batches and not app.as_json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return report_of(_watched(app, feed, snapshot))
    if feed.ask(snapshot):
        snapshot = feed.read()
    return report_of(snapshot)


def _watched(app: App, feed: Feed, first: Snapshot) -> Snapshot:
    """The last snapshot of a view, once it is left. Raises NotInstalled."""
    if find_spec("textual") is None:
        from batchflow.errors import UsageError

        text = "the full-screen view needs textual, which is not installed"
        raise UsageError(text, hint="pip install 'batchflow-eval[watch]', or batchflow get NAME --wait")
    from batchflow.cli.live.watch import Watch

    view = Watch(feed, first, app.speak, project=app.project.name)
    with app.telling(view.hear):
        view.run()
    return view.snapshot
