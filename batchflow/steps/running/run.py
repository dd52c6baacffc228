"""run: a whole evaluation, from the data set to its score, which goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchflow.errors import BatchflowError, NotReady, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges import verifiers
from batchflow.judges.scripts.sandbox import SCRIPT
from batchflow.ledger import batches, jobs, request_rows, runs
from batchflow.states import stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.money import caps
from batchflow.steps.base.money.billing import Cost, cost_of_run
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.progress.stages import STAGES
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.judging.panel import panel_of
from batchflow.steps.running.expected import RunEstimate, expected, refuse_above
from batchflow.steps.running.facts import read_facts
from batchflow.steps.running.moves import Course, Listener, advance
from batchflow.steps.running.plan import Act, Step, next_move
from batchflow.steps.running.spec import Wish, amount, batches_of, wish
from batchflow.steps.verbs.evaluation.compare import CompareOptions, CompareReport, ModelPair, compare
from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreOptions, score
from batchflow.steps.verbs.submission.prepare import PrepareReport, prepare
from batchflow.steps.viewing.gather import Computed, ReportOptions, chosen, few_valued
from batchflow.steps.viewing.report import report as write_report
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import MODULES, traits_of


@dataclass(frozen=True, slots=True)
class RunRow:
    """One batch of questions of a run. lost_votes, score, ci_low, ci_high: None before there is a jury, or a score.

    due: the move that is next (`done` where there is none). stages: how far it is, where it is sent in stages.
    trouble: why it cannot go on by itself.
    """

    name: str
    handle: str
    provider: str
    model: str
    state: str
    due: str
    requests: int
    pending: int
    answered: int
    unanswered: dict[str, int]
    retries: int
    judges: int
    lost_votes: int | None
    score: float | None
    ci_low: float | None
    ci_high: float | None
    stages: dict[str, Any] | None
    trouble: str | None
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class RunReport:
    """Report of `run`. pairs: as `compare` tells them, where there are several models. report: a file, if one was made.

    estimate: made before anything was sent by this command. cost: of everything so far.
    finished: the step that `--until` names is done for every batch.
    """

    batches: tuple[RunRow, ...]
    until: str
    finished: bool
    field: str | None
    pairs: tuple[ModelPair, ...]
    report: str | None
    estimate: RunEstimate
    cost: Cost
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


@dataclass(frozen=True, slots=True)
class Ran:
    """Result of a run: its report, and the first error that a batch met."""

    report: RunReport
    error: BatchflowError | None

    @property
    def exit_code(self) -> int:
        """0 where it is finished, 7 where it goes on later, else that of the error."""
        return self.error.exit_code if self.error else 0 if self.report.finished else NotReady.exit_code


def run(
    context: Context, given: Mapping[str, Any], *, detach: bool, refresh_after_s: float, on_report: Listener,
    on_prepared: Callable[[Sequence[str]], None] = lambda _: None,
) -> Ran:  # fmt: skip
    """Prepare the batches and bring them on as far as `until` says. Everything is checked before anything is sent.

    on_prepared is told the names of the batches. detach: returns as soon as only waiting is left. Raises UsageError,
    DataError, NeedsYou where it may cost more than its cap.
    """
    goal, max_cost = wish(given), amount("max_cost", given.get("max_cost"))
    prepared = [prepare(context, options) for options in batches_of(given, {*MODULES, *context.settings.gateways})]
    names = tuple(report.name for report in prepared)
    if len(set(names)) < len(names):
        raise UsageError("two batches of this run are the same", hint="leave one of the models or values out")
    goal = replace(goal, names=names)
    _check_stages(context, goal)
    if not goal.policy.until.comes_before(Step.JURY):
        _check_jury(context, goal)
    estimate = expected(context, goal, max_cost)
    context.say(estimate.text)
    refuse_above(estimate, canary=goal.canary is not None)
    caps.share_cap(context, names, estimate.max_cost_usd)
    with context.ledger.read() as tx:
        ids = [batches.get(tx, name).id for name in names]
    with context.ledger.write(*ids) as tx:
        for batch_id in ids:
            runs.put(tx, batch_id, goal.to_json(), now=context.clock())
    on_prepared(names)
    courses = advance(context, names, goal, waits=not detach, refresh_after_s=refresh_after_s, on_report=on_report)
    return _ended(context, goal, courses, estimate, _notes(prepared))


def _notes(prepared: Sequence[PrepareReport]) -> tuple[str, ...]:
    several = len(prepared) > 1
    return tuple(f"{report.name}: {note}" if several else note for report in prepared for note in report.notes)


def _check_stages(context: Context, wish: Wish) -> None:
    """Raise UsageError for batches between which nothing can be decided."""
    if not wish.decide:
        return
    if len(wish.names) != 2:
        raise UsageError(
            f"--decide: it is between two models, and this run has {len(wish.names)} batches",
            hint="name two models and one value of everything else; --precision takes any number of batches",
        )
    with context.ledger.read() as tx:
        a, b = (batches.get(tx, name) for name in wish.names)
    if a.spec[STAGES] != b.spec[STAGES] or (a.task, a.split) != (b.task, b.split):
        raise UsageError(
            f"--decide: {a.name} and {b.name} are not asked the same items in the same order",
            hint="one data set, split and limit for both",
        )


def _check_jury(context: Context, wish: Wish) -> None:
    """Raise UsageError for a jury that could not judge: it would be found out once the answers are paid for."""
    for name in wish.names:
        with context.ledger.read() as tx:
            batch = batches.get(tx, name)
        task = tasks.of_spec(batch.task, batch.spec)
        suits = kinds.suiting(task.JUDGED_BY, task.JUDGE_FACTS)
        kind = kinds.named(wish.jury.kind) if wish.jury.kind else suits
        if wish.jury.template:
            kind.template(batch.split, Path(wish.jury.template))
        panel, _ = panel_of(context, batch, wish.jury.judges, LocalFlags(), kind)
        for judge in panel:
            if traits_of(judge.provider).judges_only and SCRIPT not in (judge.options or {}):
                verifiers.get(judge.model)
            if traits_of(judge.provider).pays:
                context.settings.need_key(judge.provider)


def _ended(
    context: Context, wish: Wish, courses: Sequence[Course], estimate: RunEstimate, notes: tuple[str, ...]
) -> Ran:
    """Score and compare where every batch is ready for it, and tell how the run stands."""
    stuck = next((course.stuck for course in courses if course.stuck), None)
    rows = [_row(context, wish, course) for course in courses]
    scores: dict[str, BatchScore] = {}
    pairs: tuple[ModelPair, ...] = ()
    field, written = None, None
    against: CompareReport | None = None
    if wish.policy.until.comes_before(Step.SCORE):
        finished = all(row.due == Act.DONE.value for row in rows)
    else:
        finished = all(row.due in {Act.DONE.value, Act.SCORE.value} for row in rows)
        if finished:
            wanted = wish.score
            reports = wish.policy.until is Step.REPORT
            by = wanted.by or (few_valued(context, chosen(context, wish.names)) if reports else ())
            scored = score(context, wish.names, ScoreOptions(field=wanted.field, by=by, cluster=wanted.cluster))
            scores, field = {one.name: one for one in scored.batches}, scored.field
            notes = (*notes, *scored.notes)
            if len(rows) > 1 and not wish.policy.until.comes_before(Step.COMPARE):
                against = compare(context, wish.names, CompareOptions(field=field, cluster=wanted.cluster))
                pairs, notes = against.pairs, (*notes, *against.notes)
            if reports:
                computed = Computed(scores, against)
                page = write_report(context, wish.names, ReportOptions(field=field, by=by), computed=computed)
                written, notes = page.files[0], (*notes, *page.notes)
    rows = [_scored(row, scores.get(row.name)) for row in rows]
    report = RunReport(
        batches=tuple(rows), until=wish.until, finished=finished and stuck is None, field=field, pairs=pairs,
        report=written, estimate=estimate,
        cost=_cost(context, wish.names), notes=notes, rehearsal=any(row.rehearsal for row in rows),
        next=_next(context, wish, courses, finished=finished),
    )  # fmt: skip
    return Ran(report, stuck)


def _cost(context: Context, names: Sequence[str]) -> Cost:
    """Cost of the batches so far, with their retries and juries."""
    with context.ledger.read() as tx:
        costs = [cost_of_run(tx, batches.get(tx, name)).total for name in names]
    return sum(costs[1:], costs[0])


def _row(context: Context, wish: Wish, course: Course) -> RunRow:
    with context.ledger.read() as tx:
        batch = batches.get(tx, course.name)
        facts, tally = read_facts(context, tx, batch), request_rows.tally(tx, batch.id)
        state = stage(job.state for job in jobs.of_batch(tx, batch.id)).value
    return RunRow(
        name=batch.name, handle=batch.handle, provider=batch.provider, model=batch.model, state=state,
        due=next_move(facts, wish.policy).act.value, requests=batch.n_requests, pending=tally.pending,
        answered=tally.answered, unanswered=tally.unanswered, retries=len(facts.retries), judges=len(facts.judges),
        lost_votes=sum(judge.lost_votes for judge in facts.judges) if facts.judges else None,
        score=None, ci_low=None, ci_high=None, stages=facts.stages.to_json() if facts.stages else None,
        trouble=str(course.stuck) if course.stuck else None,
        rehearsal=batch.rehearsal,
    )  # fmt: skip


def _scored(row: RunRow, score: BatchScore | None) -> RunRow:
    """The row with its score."""
    if score is None:
        return row
    if score.score is None:
        return replace(row, trouble=score.trouble)
    numbers = score.score.numbers
    interval = numbers.interval
    return replace(row, due=Act.DONE.value, score=numbers.score, ci_low=interval.low, ci_high=interval.high)


def _next(context: Context, wish: Wish, courses: Sequence[Course], *, finished: bool) -> str:
    for course in courses:
        if course.stuck:
            return course.stuck.hint if course.stuck.hint.startswith("batchflow ") else next_of(context, course.name)
    if not finished:
        return "batchflow tick"
    if not wish.policy.until.comes_before(Step.SCORE):
        return f"batchflow show {wish.names[0]} --items"
    return next_of(context, wish.names[0])
