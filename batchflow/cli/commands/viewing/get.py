"""`batchflow get`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import refresh_after
from batchflow.states import Stage

if TYPE_CHECKING:
    from batchflow.steps.collecting.progress_report import GetReport


@click.command("get")
@click.argument("names", nargs=-1, required=True, shell_complete=completion.batches)
@refresh_after(
    "Ask the vendor only if its last answer is older than this; else show what the ledger holds. Local workers are"
    " checked every second; a rehearsal waits at most half a second."
)
@click.option("--wait", "waits", is_flag=True, help="Wait until every batch is finished or needs you.")
@shows
def command(app: App, names: tuple[str, ...], refresh_after: float, waits: bool) -> Any:
    """Show the progress of batches. `watch batchflow get NAME` does not flood the vendor.

    Exit code: 0 finished, 7 not finished yet, 6 needs you (also a local worker that
    has stopped: start it again).
    """
    from batchflow.steps.base.suites import named
    from batchflow.steps.collecting.poll import get_all

    names = tuple(named(app.existing, names, judges=True))
    if waits:
        from batchflow.cli.live.follower import follower
        from batchflow.steps.verbs.submission.wait import wait

        with closing(follower(app.existing, app.speak, as_json=app.as_json)) as tell:
            reports = list(wait(app.existing, names, refresh_after_s=refresh_after, on_report=tell))
    else:
        reports = list(get_all(app.existing, names, refresh_after_s=refresh_after))
    codes = {_code(report) for report in reports}
    return reports, next(code for code in (6, 7, 0) if code in codes)  # what needs you is told first


def _code(report: GetReport) -> int:
    from batchflow.steps.base.progress.next_command import NOT_FOUND
    from batchflow.steps.base.progress.worker_liveness import HANGS
    from batchflow.vocabulary import STOPPED

    # waiting brings none of these back
    if report.state == Stage.NEEDS_YOU or report.is_out_as(NOT_FOUND, HANGS, STOPPED):
        return 6
    return 0 if report.finished else 7
