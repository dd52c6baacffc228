"""Problems of a job, from its state and the last word about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from batchflow.ledger.records import JobRecord
from batchflow.states import State
from batchflow.steps.base.progress.failure_reasons import Reason
from batchflow.steps.base.progress.next_command import NOT_FOUND
from batchflow.steps.base.progress.worker_liveness import HANGS
from batchflow.steps.watching.snapshot import Problem, ProblemKind
from batchflow.vocabulary import STOPPED

_WAITS = "nothing: the rest is sent once there is room, as long as a wait, a run or `batchflow tick` goes on"
_ASKED_AGAIN = "nothing: it is asked again; what it has is not lost"
_GOES_ON = "nothing: it tries again and goes on by itself"
_NO_SIGN = "nothing, as long as its status is one of work: the rows are counted once it has ended"
_WORDS = {STOPPED: ProblemKind.WORKER, HANGS: ProblemKind.WORKER, NOT_FOUND: ProblemKind.NOT_FOUND}
_UNDECIDED = {
    State.REFUSED: (ProblemKind.REFUSED, "its vendor refused it"),
    State.UNSURE: (ProblemKind.UNSURE, "nobody can tell whether its vendor has it"),
}


def of_job(job: JobRecord, command: Callable[[], str]) -> Problem | None:
    """The problem of a job; None where it has none. command: the next one to type, asked for where it is needed."""
    match job.state:
        case State.REFUSED | State.UNSURE:
            kind, text = _UNDECIDED[job.state]
            return Problem(kind, job.error or text, command(), needs_you=True)
        case State.RUNNING if job.word in _WORDS:
            return Problem(_WORDS[job.word], job.error or job.word, command(), needs_you=True)
        case State.RUNNING if job.error:
            return Problem(ProblemKind.TROUBLE, job.error, _GOES_ON)
        case State.PREPARED if job.error:
            return Problem(ProblemKind.NO_ROOM, job.error, _WAITS)
        case State.ENDED | State.FETCHED | State.LOST if job.error and (job.failed or not job.done):
            return Problem(ProblemKind.FAILED, job.error, command())
    return None


def of_counts(text: str) -> Problem:
    """The problem that a vendor's counts stand still."""
    return Problem(ProblemKind.COUNTS, text, _NO_SIGN)


def unreachable(text: str) -> Problem:
    """The problem that a vendor could not be asked just now."""
    return Problem(ProblemKind.UNREACHABLE, text, _ASKED_AGAIN)


def of_rows(reasons: Iterable[Reason]) -> tuple[Problem, ...]:
    """Reasons of unanswered requests, the commonest first."""
    return tuple(Problem(ProblemKind.ROWS, f"{why.count:,} {why.kind}: {why.text}", why.advice) for why in reasons)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, those that need a person first."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: not problem.needs_you))
