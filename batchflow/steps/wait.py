"""Waiting: asks politely until a batch is done, and sends what waits for room at the vendor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batchflow.errors import BatchflowError, NeedsYou, NotReady
from batchflow.states import Stage
from batchflow.steps import poll, start
from batchflow.steps.context import Context
from batchflow.steps.poll import NOT_FOUND, GetReport

GROWTH = 1.5
CAP_S = 120.0
LOCAL_CAP_S = 2.0
RETRY_START_S = 60.0


def wait(
    context: Context, names: Sequence[str], *, refresh_after_s: float, on_report: Callable[[GetReport], None]
) -> tuple[GetReport, ...]:
    """Block until every named batch is finished or needs a person; on_report is told each new answer."""
    return tuple(_wait_one(context, name, refresh_after_s, on_report) for name in names)


def _wait_one(context: Context, name: str, refresh_after_s: float, on_report: Callable[[GetReport], None]) -> GetReport:
    pause, since_start = max(refresh_after_s, 0.2), 0.0
    while True:
        # the pause below keeps the distance; the bound in the ledger holds for other processes
        report = poll.get(context, name, refresh_after_s=min(refresh_after_s, pause))
        on_report(report)
        if report.finished or report.state in {Stage.NEEDS_YOU.value, Stage.PREPARED.value} or _stalled(report):
            return report
        if _has_room(report) and (_all_back(report) or since_start >= RETRY_START_S):
            since_start = 0.0
            if not _send_waiting(context, name):
                return report
        context.sleep(pause)
        since_start += pause
        pause = min(pause * GROWTH, LOCAL_CAP_S if report.provider in {"local", "rule"} else CAP_S)


def _stalled(report: GetReport) -> bool:
    """A local worker that died, or a batch that its vendor does not know: waiting does not bring it back."""
    return any(job.word in {"stopped", NOT_FOUND} and job.state == "running" for job in report.jobs)


def _all_back(report: GetReport) -> bool:
    """Nothing is out: a canary came back, or the vendor's queue is empty of ours."""
    return not any(job.state in {"starting", "sending", "running"} for job in report.jobs)


def _has_room(report: GetReport) -> bool:
    return any(job.state == "prepared" for job in report.jobs)


def _send_waiting(context: Context, name: str) -> bool:
    """Send what waits. False when a person has to decide first."""
    try:
        start.start(context, name)
    except NotReady:
        return True
    except NeedsYou as error:
        context.say(f"{error}; {error.hint}")
        return False
    except BatchflowError as error:
        context.say(f"{name}: the parts that wait could not be sent: {error}")
    return True
