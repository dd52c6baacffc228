"""tick: everything that can move without waiting moves once. Made for cron: it asks, fetches, sends on, and returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batchflow.errors import BatchflowError
from batchflow.ledger import Tx, batches, jobs, runs
from batchflow.ledger.records import BatchRecord
from batchflow.states import Stage, State, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.rehearsal_guard import is_elsewhere
from batchflow.steps.base.suites import is_in_turn
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.poll import get_all
from batchflow.steps.running.facts import read_facts
from batchflow.steps.running.moves import advance
from batchflow.steps.running.plan import Act, Step, next_move
from batchflow.steps.running.spec import Wish
from batchflow.steps.verbs.evaluation.score import ScoreOptions, score
from batchflow.steps.verbs.submission.start import StartOptions, start


@dataclass(frozen=True, slots=True)
class TickRow:
    """One batch that is not finished, or that moved. trouble: why it cannot go on."""

    name: str
    handle: str
    before: str
    state: str
    trouble: str | None
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class TickReport:
    """Report of `tick`. open: batches that are out. runs: runs that are not finished."""

    batches: tuple[TickRow, ...]
    open: int
    runs: int
    rehearsal: bool
    next: str


def tick(context: Context, *, refresh_after_s: float) -> TickReport:
    """Move what is of this world (rehearsed or real); a batch that nobody has sent yet is sent by its run only."""
    with context.ledger.read() as tx:
        records = _of_this_world(context, batches.listing(tx))
        before = {batch.name: _stage(tx, batch) for batch in records}
        due = [
            batch.name for batch in records if _is_out(before[batch.name]) or is_in_turn(jobs.of_batch(tx, batch.id))
        ]
    troubles = _moved(context, due, refresh_after_s)
    unfinished = _runs(context, troubles)
    with context.ledger.read() as tx:
        records = _of_this_world(context, batches.listing(tx))
        rows = [
            TickRow(
                batch.name, batch.handle, before.get(batch.name, Stage.PREPARED).value, _stage(tx, batch).value,
                troubles.get(batch.name), batch.rehearsal,
            )
            for batch in records
        ]  # fmt: skip
    is_open = [row for row in rows if row.state not in {Stage.FINISHED.value, Stage.PREPARED.value}]
    shown = tuple(row for row in rows if row in is_open or row.before != row.state or row.trouble)
    follow = "batchflow tick" if unfinished or is_open else "batchflow list"
    return TickReport(shown, len(is_open), unfinished, any(row.rehearsal for row in shown), follow)


def _of_this_world(context: Context, records: Iterable[BatchRecord]) -> list[BatchRecord]:
    return [b for b in records if not is_elsewhere(context.settings, b.provider, rehearsal=b.rehearsal)]


def _stage(tx: Tx, batch: BatchRecord) -> Stage:
    return stage(job.state for job in jobs.of_batch(tx, batch.id))


def _is_out(where: Stage) -> bool:
    return where not in {Stage.PREPARED, Stage.FINISHED, Stage.NEEDS_YOU}


def _moved(context: Context, names: list[str], refresh_after_s: float) -> dict[str, str]:
    """Ask about what is out, send what waits for room, fetch what ended; returns the troubles by batch."""
    troubles = {
        report.name: report.trouble
        for report in get_all(context, names, refresh_after_s=refresh_after_s)
        if report.trouble
    }
    for name in names:
        try:
            _move(context, name)
        except BatchflowError as error:
            troubles[name] = str(error)
    return troubles


def _move(context: Context, name: str) -> None:
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        states = {job.state for job in jobs.of_batch(tx, batch.id)}
    if states & {State.PREPARED, State.STARTING, State.SENDING}:
        start(context, name, StartOptions(joins=False))
    if State.ENDED in states:
        results(context, name)


def _runs(context: Context, troubles: dict[str, str]) -> int:
    """Make the moves of every run; returns how many are not finished. One whose batch was deleted is over."""
    unfinished = 0
    with context.ledger.read() as tx:
        rows = [(batches.by_id(tx, batch_id), Wish.of_json(facts)) for batch_id, facts in runs.listing(tx)]
        rows = [(batch, wish) for batch, wish in rows if all(batches.find(tx, name) for name in wish.names)]
    wishes = {wish.names: wish for batch, wish in rows if _of_this_world(context, [batch])}
    for wish in wishes.values():
        courses = advance(context, wish.names, wish, waits=False, refresh_after_s=0.0, on_report=lambda _: None)
        troubles |= {course.name: str(course.stuck) for course in courses if course.stuck}
        with context.ledger.read() as tx:
            moves = {next_move(read_facts(context, tx, batches.get(tx, name)), wish.policy).act for name in wish.names}
        if moves <= {Act.DONE, Act.SCORE} and Act.SCORE in moves and not wish.policy.until.comes_before(Step.SCORE):
            wanted = wish.score
            try:
                score(context, wish.names, ScoreOptions(field=wanted.field, by=wanted.by, cluster=wanted.cluster))
                moves = {Act.DONE}
            except BatchflowError as error:
                troubles[wish.names[0]] = str(error)
        unfinished += moves != {Act.DONE}
    return unfinished
