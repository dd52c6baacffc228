"""Brings the batches of a run on: each move is an existing command, and the ledger alone tells the next one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchflow.errors import BatchflowError, NeedsYou, NotReady, Trouble, VendorError
from batchflow.ledger import batches
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.progress.situation import Member, read_situation
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.poll import get_all
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.running.facts import read_facts
from batchflow.steps.running.looks import look
from batchflow.steps.running.plan import Act, Facts, Move, next_move
from batchflow.steps.running.spec import Wish
from batchflow.steps.verbs.evaluation.jury import jury
from batchflow.steps.verbs.evaluation.jury_retry import retry_votes
from batchflow.steps.verbs.submission.retry import retry
from batchflow.steps.verbs.submission.start import StartOptions, start_all
from batchflow.steps.verbs.submission.wait import CAP_S, GROWTH, first_of

WORKERS_LOST = 3
"""Local workers of one batch that a run replaces before it gives up on it."""
PATIENCE = 40
"""Tries of a move that meets a passing error, with growing pauses in between."""
_PASSES = frozenset({Trouble.TRANSIENT, Trouble.QUEUE_FULL, Trouble.UNCERTAIN, Trouble.GARBLED, Trouble.UNPUBLISHED})

Listener = Callable[[GetReport], None]


@dataclass
class Course:
    """The course of one batch of questions in this process. stuck: why it cannot go on by itself.

    tries: of the move that is due, after it met something that passes. stage: that it is at, where it has stages.
    """

    name: str
    stuck: BatchflowError | None = None
    starts: Counter[str] = field(default_factory=Counter)
    tries: int = 0
    stage: int = 0


def advance(
    context: Context, names: Sequence[str], wish: Wish, *, waits: bool, refresh_after_s: float, on_report: Listener
) -> list[Course]:
    """Make every move that can be made, until all that is left is to score, or to wait where `waits` is False.

    A batch that cannot go on holds up none of the others.
    """
    courses = [Course(name) for name in names]
    first_pause = max(refresh_after_s, 0.2)
    pause = first_pause
    while True:
        due = _at_one_stage([(course, move) for course in courses if (move := _due(context, course, wish))], wish)
        results = [_made(context, course, move, wish) for course, move in due if move.act is not Act.WAIT]
        if any(results):
            pause = first_pause
            continue
        waiting = [(course, move) for course, move in due if move.act is Act.WAIT and not course.stuck]
        trying = any(course.tries and not course.stuck for course, _ in due)
        if not waits or not (waiting or trying):
            return courses
        if not trying:
            _wait(context, waiting, refresh_after_s, on_report)
            continue
        for report in get_all(context, _names(waiting), refresh_after_s=refresh_after_s):
            on_report(report)
        context.sleep(pause)
        pause = min(pause * GROWTH, CAP_S)


def _at_one_stage(due: list[tuple[Course, Move]], wish: Wish) -> list[tuple[Course, Move]]:
    """The moves, with one look for both batches that are to be decided between; it waits until both are ready.

    A batch that is a stage behind the other one, after a kill, catches up without a look.
    """
    if not wish.decide:
        return due
    looks = [(course, move) for course, move in due if move.act is Act.LOOK]
    others = [(course, move) for course, move in due if move.act is not Act.LOOK]
    stages = {course.name: course.stage for course, _ in due}
    behind = [(course, move) for course, move in looks if course.stage < max(stages.values())]
    if behind:
        return [*others, *behind]
    if len(looks) < len(wish.names):
        return others
    return [(looks[0][0], Move(Act.LOOK, wish.names))]


def _names(waiting: list[tuple[Course, Move]]) -> list[str]:
    return [name for _, move in waiting for name in move.names]


def _facts(context: Context, name: str) -> Facts:
    with context.ledger.read() as tx:
        return read_facts(context, tx, batches.get(tx, name))


def _due(context: Context, course: Course, wish: Wish) -> Move | None:
    """The next move of a batch; None where it is done, to be scored, or stuck."""
    if course.stuck:
        return None
    facts = _facts(context, course.name)
    course.stage = facts.stages.made if facts.stages else 0
    move = next_move(facts, wish.policy)
    if move.act is Act.STUCK:
        course.stuck = NeedsYou(f"{', '.join(move.names)}: {move.why}", hint=next_of(context, move.names[0]))
    return None if move.act in {Act.DONE, Act.SCORE, Act.STUCK} else move


def _made(context: Context, course: Course, move: Move, wish: Wish) -> bool:
    """Make a move; False where it has to be tried again later, or never."""
    before = _facts(context, course.name)
    try:
        _make(context, course, move, wish)
        if _facts(context, course.name) == before:
            raise _no_further(context, move)
    except BatchflowError as error:
        course.tries += 1
        passes = isinstance(error, NotReady) or (isinstance(error, VendorError) and error.trouble in _PASSES)
        if not passes or course.tries > PATIENCE:
            course.stuck = error
        if course.tries == 1:
            context.say(f"{course.name}: {error}")
        return False
    course.tries = 0
    return True


def _no_further(context: Context, move: Move) -> BatchflowError:
    """The error for a move that changed nothing: making it again would not either."""
    hint, names = next_of(context, move.names[0]), ", ".join(move.names)
    if move.act is Act.RESULTS:
        return NotReady(f"{names}: its vendor has not delivered all rows yet", hint=hint)
    return NeedsYou(f"{names}: `{move.act.value}` changes nothing", hint=hint)


def _make(context: Context, course: Course, move: Move, wish: Wish) -> None:
    context.say(f"{move.act.value}: {', '.join(move.names)}")
    match move.act:
        case Act.START:
            course.starts.update(move.names)
            if course.starts[lost := max(move.names, key=lambda name: course.starts[name])] > WORKERS_LOST:
                text = f"{lost}: its worker stopped {WORKERS_LOST} times"
                raise NeedsYou(text, hint=f"batchflow show {lost}")
            start_all(context, move.names, _start_options(context, course, move, wish))
        case Act.RESULTS:
            for name in move.names:
                results(context, name)
        case Act.RETRY:
            retry(context, course.name, passing_only=True)
        case Act.JURY:
            jury_wish = wish.jury
            template = Path(jury_wish.template) if jury_wish.template else None
            report = jury(
                context, course.name, jury_wish.judges, template,
                samples=jury_wish.samples, cascade=jury_wish.cascade, kind=jury_wish.kind,
            )  # fmt: skip
            start_all(context, [judge.name for judge in report.batches])
        case Act.LOOK:
            look(context, move.names, wish)
        case Act.RETRY_VOTES:
            start_all(context, [judge.name for judge in retry_votes(context, course.name).batches])


def _start_options(context: Context, course: Course, move: Move, wish: Wish) -> StartOptions:
    """A canary goes first where a batch is longer than it; judges and retries have none."""
    if wish.canary is None or move.names != (course.name,):
        return StartOptions()
    with context.ledger.read() as tx:
        batch = batches.get(tx, course.name)
    return StartOptions(canary=wish.canary if batch.n_requests > wish.canary else None)


def _wait(context: Context, waiting: list[tuple[Course, Move]], refresh_after_s: float, on_report: Listener) -> None:
    """Wait until one batch is out no more; one that stays where it is although nothing is out any more is stuck."""
    before = {name: _standing(context, name) for name in _names(waiting)}
    for name in first_of(context, list(before), refresh_after_s=refresh_after_s, on_report=on_report):
        if _standing(context, name) == before[name]:
            course = next(course for course, move in waiting if name in move.names)
            course.stuck = NeedsYou(f"{name}: waiting changes nothing", hint=next_of(context, name))


def _standing(context: Context, name: str) -> Member:
    with context.ledger.read() as tx:
        return read_situation(tx, batches.get(tx, name)).batch
