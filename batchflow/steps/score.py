"""score: the votes of a jury into a number with its interval, and everything a reader needs to believe it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchflow import files
from batchflow.errors import BatchflowError, DataError, NotReady, UsageError
from batchflow.ledger import batches, jobs
from batchflow.ledger import requests as rows
from batchflow.ledger.models import Kind, VoteStatus
from batchflow.ledger.records import BatchRecord
from batchflow.records import Outcome, Parsed
from batchflow.states import Stage, State, stage
from batchflow.steps.context import Context
from batchflow.steps.fetch import collect
from batchflow.steps.poll import REFRESH_S, refresh

BOTH, ANSWER = "both_correct", "is_answer_correct"
FIELDS = (BOTH, ANSWER, "is_justification_correct")
_MISSING, _NOT_ASKED = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """The flags of `score`. field None: both_correct, or the answer alone where nobody judged justifications."""

    field: str | None = None
    method: str = "mean"
    ci: str = "auto"
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchScore:
    """One row of the leaderboard. incomplete: judges that have not finished. summary: see `score.Summary.to_json`."""

    name: str
    provider: str
    model: str
    task: str
    split: str
    hints: int
    rehearsal: bool
    incomplete: tuple[str, ...]
    trouble: str | None
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Scores, best first; batches that could not be scored come last and say why."""

    field: str
    batches: tuple[BatchScore, ...]
    next: str


@dataclass(frozen=True, slots=True)
class _Ballot:
    """The votes of one jury in plain buffers."""

    judges: tuple[str, ...]
    items: list[str]
    clusters: list[str]
    columns: list[dict[str, Any]]
    answer: list[array[int]]
    justification: list[array[int]]
    unparsed: int
    unjudgeable: int


def score(
    context: Context,
    targets: Sequence[str] = (),
    options: ScoreOptions | None = None,
    *,
    refresh_after_s: float = REFRESH_S,
) -> ScoreReport:
    """Score the named batches, or all judged ones. Raises NotReady, DataError or UsageError when none can be scored."""
    options = options or ScoreOptions()
    if options.field is not None and options.field not in FIELDS:
        raise UsageError(f"there is no field called {options.field!r}", hint=f"choose one of {', '.join(FIELDS)}")
    parents = _parents(context, targets)
    made: list[BatchScore] = []
    for parent in parents:
        try:
            made.append(_score_one(context, parent, options, refresh_after_s))
        except BatchflowError as error:
            if len(parents) == 1:
                raise
            made.append(_unscored(parent, error))
    made.sort(key=lambda row: -row.summary.get("score", -1.0))
    field = options.field or next((str(row.summary["field"]) for row in made if row.summary), BOTH)
    return ScoreReport(field, tuple(made), _next(made))


def _next(made: Sequence[BatchScore]) -> str:
    late = [name for row in made for name in row.incomplete]
    return f"batchflow get {late[0]} --wait" if late else f"batchflow show {made[0].name}"


def _parents(context: Context, targets: Sequence[str]) -> list[BatchRecord]:
    """Judged batches: by name, by results file, by one of their judges, or all. Raises UnknownBatch, NotReady."""
    with context.ledger.read() as tx:
        if not targets:
            found = [b for b in batches.listing(tx) if b.kind is Kind.PREDICTION and batches.judges_of(tx, b.id)]
            if not found:
                raise NotReady("nothing has been judged yet", hint="batchflow jury NAME --start")
            return found
        parents: dict[int, BatchRecord] = {}
        for target in targets:
            name = target.rpartition("/")[2].removesuffix(".jsonl")
            batch = batches.get(tx, name)
            if batch.kind is Kind.JUDGE and batch.parent_id is not None:
                batch = batches.by_id(tx, batch.parent_id)
            parents[batch.id] = batch
        return list(parents.values())


def _score_one(context: Context, parent: BatchRecord, options: ScoreOptions, refresh_after_s: float) -> BatchScore:
    from batchflow.score.coded import votes_from_codes
    from batchflow.score.summary import summarise

    judges, late = _judges(context, parent, refresh_after_s)
    ballot = _ballot(context, parent, judges)
    field = options.field or _judged_field(ballot)
    votes = votes_from_codes(
        ballot.judges,
        ballot.items,
        [row.tobytes() for row in ballot.answer],
        [row.tobytes() for row in ballot.justification],
        unparsed=ballot.unparsed,
        unjudgeable=ballot.unjudgeable,
        provider=parent.provider,
        model=parent.model,
    )
    try:
        summary = summarise(
            votes,
            field=field,
            method=options.method,
            ci=options.ci,
            level=options.level,
            resamples=options.resamples,
            seed=options.seed,
            clusters=ballot.clusters,
            groups={column: _column(ballot, column) for column in options.by},
        ).to_json()
    except DataError as error:
        if late:  # the votes that are missing may still come
            hint = f"batchflow get {' '.join(late)} --wait"
            raise NotReady(f"{parent.name}: {error}; {', '.join(late)} not finished", hint=hint) from None
        raise
    if options.field is None and field != BOTH:
        note = "no judge votes on the justification: this is the score of the answers alone"
        summary["footnotes"] = [note, *summary["footnotes"]]
    with context.ledger.write() as tx:
        batches.record_score(tx, parent.id, field=field, method=options.method, now=context.clock(), summary=summary)
    return BatchScore(
        parent.name, parent.provider, parent.model, parent.task, parent.split, parent.hints, parent.rehearsal,
        late, None, summary,
    )  # fmt: skip


def _unscored(parent: BatchRecord, error: BatchflowError) -> BatchScore:
    text = f"{error}; {error.hint}" if error.hint else str(error)
    return BatchScore(
        parent.name, parent.provider, parent.model, parent.task, parent.split, parent.hints, parent.rehearsal,
        (), text, {},
    )  # fmt: skip


def _judges(
    context: Context, parent: BatchRecord, refresh_after_s: float
) -> tuple[tuple[BatchRecord, ...], tuple[str, ...]]:
    """The judges, their finished work collected, and the names of those that are not done. Raises NotReady."""
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, parent.id)
    if not judges:
        raise NotReady(f"{parent.name} has not been judged", hint=f"batchflow jury {parent.name} --start")
    late = []
    for judge in judges:
        with context.ledger.read() as tx:
            found = jobs.of_batch(tx, judge.id)
        if any(job.state is State.RUNNING for job in found):
            refresh(context, judge, found, refresh_after_s)
        collect(context, judge)
        with context.ledger.read() as tx:
            where = stage(job.state for job in jobs.of_batch(tx, judge.id))
        if where is not Stage.FINISHED:
            late.append(judge.name)
            if where in {Stage.PREPARED, Stage.NEEDS_YOU} and len(judges) == 1:
                raise NotReady(f"{judge.name} is {where.value}", hint=f"batchflow start {judge.name}")
    if len(late) == len(judges):
        raise NotReady(
            f"{parent.name}: none of its {len(judges)} judges has finished", hint=f"batchflow start {' '.join(late)}"
        )
    return judges, tuple(late)


def _ballot(context: Context, parent: BatchRecord, judges: Sequence[BatchRecord]) -> _Ballot:
    """All votes of a jury by judged request; what was asked and is not there is missing."""
    place: dict[int, int] = {}
    ballot = _Ballot(tuple(f"{judge.provider}:{judge.model}" for judge in judges), [], [], [], [], [], 0, 0)
    unjudgeable = 0
    with context.ledger.read() as tx:
        many = parent.spec.get("samples", 1) != 1
        for request_id, item_id, sample, outcome, parsed, columns in rows.outcomes(tx, parent.id):
            if outcome != Outcome.OK.value or parsed == Parsed.UNPARSED.value:
                unjudgeable += 1
                continue
            place[request_id] = len(ballot.items)
            ballot.items.append(f"{item_id} #{sample}" if many else item_id)
            ballot.clusters.append(item_id)
            ballot.columns.append(files.loads(columns))
        unparsed = sum(_cast(tx, judge, place, ballot) for judge in judges)
    return _Ballot(
        ballot.judges, ballot.items, ballot.clusters, ballot.columns, ballot.answer, ballot.justification,
        unparsed, unjudgeable,
    )  # fmt: skip


def _cast(tx: Any, judge: BatchRecord, place: dict[int, int], ballot: _Ballot) -> int:
    """Add one judge's row to the ballot; returns how many of its votes could not be read."""
    unasked = _NOT_ASKED if judge.provider == "rule" else _MISSING
    answer, justification = array("b", [_MISSING]) * len(place), array("b", [unasked]) * len(place)
    unparsed = 0
    for subject, status, answer_right, justification_right in rows.votes(tx, judge.id):
        index = place.get(subject)
        if index is None:
            continue
        unparsed += status == VoteStatus.UNPARSED.value
        if status == VoteStatus.ABSTAINED.value:
            answer[index] = justification[index] = _NOT_ASKED
        elif status == VoteStatus.VALID.value:
            answer[index] = _NOT_ASKED if answer_right is None else int(answer_right)
            justification[index] = _NOT_ASKED if justification_right is None else int(justification_right)
    ballot.answer.append(answer)
    ballot.justification.append(justification)
    return unparsed


def _judged_field(ballot: _Ballot) -> str:
    """both_correct where any judge votes on justifications, else the answer alone."""
    return BOTH if any(code >= _MISSING for row in ballot.justification for code in row) else ANSWER


def _column(ballot: _Ballot, column: str) -> list[Any]:
    if ballot.columns and column not in ballot.columns[0]:
        raise UsageError(f"--by {column}: there is no such column", hint=f"columns: {', '.join(ballot.columns[0])}")
    return [row.get(column) for row in ballot.columns]
