"""A jury in session: its judge batches are sent, waited for, and their votes brought home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from batchflow.ledger import batches
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import jury_command
from batchflow.steps.base.progress.situation import members
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.judging.jury_report import JuryReport
from batchflow.steps.verbs.submission.start import StartOptions, start_all
from batchflow.steps.verbs.submission.wait import wait


def send(context: Context, jury: JuryReport, *, max_cost: float | None = None) -> JuryReport:
    """Send the judge batches; returns the jury with what to type next. Raises as `start_all`."""
    names = [batch.name for batch in jury.batches]
    context.say(f"starting {', '.join(names)}")
    start_all(context, names, StartOptions(max_cost=max_cost))
    return _with_next(context, jury)


def await_votes(
    context: Context, jury: JuryReport, *, refresh_after_s: float, on_report: Callable[[GetReport], None]
) -> JuryReport:
    """Wait until the judges are done, and fetch their votes: `score` may be called where no key is. Raises VendorError.

    on_report is told each new answer, as by `wait`.
    """
    names = [batch.name for batch in jury.batches]
    ended = wait(context, names, refresh_after_s=refresh_after_s, on_report=on_report)
    retried = {batch.retries for batch in jury.batches if batch.retries}
    for name in (*(judge.name for judge in ended if judge.finished), *sorted(retried)):
        results(context, name)
    return _with_next(context, jury)


def _with_next(context: Context, jury: JuryReport) -> JuryReport:
    with context.ledger.read() as tx:
        judges = [batches.get(tx, batch.name) for batch in jury.batches]
        return replace(jury, next=str(jury_command(jury.name, members(tx, judges))))
