"""Waiting: asks politely until a batch is done, and sends what waits for room at the vendor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batchflow.errors import BatchflowError, NeedsYou, NotReady
from batchflow.ledger import batches
from batchflow.states import Stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import NOT_FOUND
from batchflow.steps.base.progress.worker_liveness import HANGS
from batchflow.steps.base.rehearsal_guard import is_elsewhere
from batchflow.steps.base.suites import waits_its_turn
from batchflow.steps.collecting import poll
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.verbs.submission import start
from batchflow.vendors.registry import HERE
from batchflow.vocabulary import STOPPED

GROWTH = 1.5
CAP_S = 120.0
LOCAL_CAP_S = 2.0
REHEARSED_CAP_S = 0.5
RETRY_START_S = 60.0
HANGS_S = 10.0  # longer than between two heartbeats: right after a machine's sleep every worker seems to hang


def wait(
    context: Context, names: Sequence[str], *, refresh_after_s: float, on_report: Callable[[GetReport], None]
) -> tuple[GetReport, ...]:
    """Block until every named batch is finished or needs a person; on_report is told each new answer.

    All that is still open is asked side by side, so that no batch waits for another one's vendor.
    """
    names = _whole(context, names)
    latest, _ = _until(context, names, refresh_after_s, on_report, lambda waiting: not waiting)
    return tuple(latest[name] for name in names)


def first_of(
    context: Context, names: Sequence[str], *, refresh_after_s: float, on_report: Callable[[GetReport], None]
) -> tuple[str, ...]:
    """`wait`, until waiting is over for one of the batches at least; returns the names of those."""
    names = _whole(context, names)
    _, waiting = _until(context, names, refresh_after_s, on_report, lambda waiting: set(waiting) != set(names))
    return tuple(name for name in names if name not in waiting)


def _until(
    context: Context,
    names: Sequence[str],
    refresh_after_s: float,
    on_report: Callable[[GetReport], None],
    is_enough: Callable[[Sequence[str]], bool],
) -> tuple[dict[str, GetReport], list[str]]:
    """The latest report of each batch, and the names of those that still go on, once these are few enough."""
    latest: dict[str, GetReport] = {}
    rehearsed = context.settings.rehearsal
    cap_s = REHEARSED_CAP_S if rehearsed else CAP_S
    first_pause = pause = max(min(refresh_after_s, cap_s) if rehearsed else refresh_after_s, 0.2)
    waiting, since_start = list(dict.fromkeys(names)), 0.0
    waited_s = 0.0
    is_first = True
    silent_from: dict[str, float] = {}  # the waited seconds at which a batch's worker was first seen to hang
    while True:
        # the pause below keeps the distance; the bound in the ledger holds for other processes
        reports = poll.get_all(context, waiting, refresh_after_s=min(refresh_after_s, pause))
        for report in reports:
            on_report(report)
            latest[report.name] = report
            if report.is_out_as(HANGS):
                silent_from.setdefault(report.name, waited_s)
            else:
                silent_from.pop(report.name, None)
        patient = since_start < RETRY_START_S
        waiting = [
            report.name
            for report in reports
            if waited_s - silent_from.get(report.name, waited_s) <= HANGS_S
            and _goes_on(context, report, patient=patient and not (is_first and _is_untried(report)))
        ]
        is_first = False
        if is_enough(waiting):
            return latest, waiting
        if len(waiting) < len(reports) and any(_is_in_turn(latest[name]) for name in waiting):
            pause = first_pause  # the next one's turn has come
        pause = min(pause, LOCAL_CAP_S if all(latest[name].provider in HERE for name in waiting) else cap_s)
        since_start = since_start + pause if patient else 0.0
        context.sleep(pause)
        waited_s += pause
        pause *= GROWTH


def _whole(context: Context, names: Sequence[str]) -> tuple[str, ...]:
    """The whole names of batches that may be named by handle or by the beginning of their name."""
    with context.ledger.read() as tx:
        return tuple(batches.get(tx, name).name for name in names)


def _goes_on(context: Context, report: GetReport, *, patient: bool) -> bool:
    """Tells whether more may come by waiting; sends what waits for room, when there may be some.

    What a `start` that was killed left on its way waits for somebody who asks the vendor about it.
    """
    is_whole = report.state == Stage.PREPARED.value  # nothing of it is out
    if report.finished or report.state == Stage.NEEDS_YOU.value or _is_stalled(report):
        return False
    if is_whole and not _was_sent_back(report):
        return False  # nobody has started it
    if is_elsewhere(context.settings, report.provider, rehearsal=report.rehearsal):
        return False  # nobody is asked about it here, however long we wait
    if _is_in_turn(report):
        return _send_waiting(context, report.name)
    if _has_unsent(report) and ((_all_back(report) and not is_whole) or not patient):
        return _send_waiting(context, report.name)
    return True


def _is_stalled(report: GetReport) -> bool:
    """A local worker that died or is not seen here, or a batch that its vendor does not know: waiting helps nothing."""
    return (report.provider in HERE and report.trouble is not None) or report.is_out_as(STOPPED, NOT_FOUND)


def _was_sent_back(report: GetReport) -> bool:
    """Tells whether it was started and met a full queue or a passing error; a batch never started has no error."""
    return any(job.state == "prepared" and job.error for job in report.jobs)


def _is_in_turn(report: GetReport) -> bool:
    """Tells whether its jobs wait for another batch of their suite; that one may have ended by now."""
    return any(job.state == "prepared" and waits_its_turn(job.error) for job in report.jobs)


def _all_back(report: GetReport) -> bool:
    """Nothing is out: a canary came back, or the vendor's queue is empty of ours."""
    return not any(job.state in {"starting", "sending", "running"} for job in report.jobs)


def _has_unsent(report: GetReport) -> bool:
    return any(job.state in {"prepared", "starting", "sending"} for job in report.jobs)


def _is_untried(report: GetReport) -> bool:
    """Tells whether some of it has never been sent back: a `start` died before it came to these jobs."""
    return any(
        job.state in {"starting", "sending"} or (job.state == "prepared" and not job.error) for job in report.jobs
    )


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
        context.say(f"{name}: the waiting jobs could not be sent: {error}")
    return True
