"""jury --retry: ask a jury again for exactly the votes that are missing.

Each judge with missing votes gets a child batch. A vote on an answer that the judge was asked about before takes its
place in the old request, as in any retry; answers that came after the jury was made are asked about for the first time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from batchflow import files
from batchflow.batch_file import NAME_LENGTH
from batchflow.errors import NotReady, UsageError
from batchflow.judges import registry as kinds
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Kind, Outcome, Params, Parsed
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.next_command import next_of
from batchflow.steps.base.rehearsal_guard import refuse_paid_judges
from batchflow.steps.building.batch_builder import Ask, Plan, make
from batchflow.steps.judging.ballot import settles
from batchflow.steps.verbs.jury import (
    Case,
    JudgeBatch,
    JuryReport,
    ask,
    judgeable_answers,
    parent_of,
    report_of,
    take_survey,
)
from batchflow.steps.verbs.retry import (
    next_number,
    recorded_template,
    refuse_another_limit,
    same_source,
    with_limit,
)
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import traits_of

Due = Mapping[int, list[tuple[int, int]]]
"""Answer -> (sample, what the child's request is about) for each vote that is to be asked for."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """A judge, and the batches that retry it."""

    judge: BatchRecord
    retries: tuple[BatchRecord, ...]
    open: tuple[str, ...]  # names of those among all of them that are not finished


def retry_votes(context: Context, target: str, *, max_tokens: int | None = None) -> JuryReport:
    """Make the child batches, with another token limit if one is given.

    Raises NotReady while votes may still come, UsageError when none is missing.
    """
    parent = parent_of(context, target)
    with context.ledger.read() as tx:
        found = [_standing(tx, judge) for judge in batches.judges_of(tx, parent.id)]
    if not found:
        raise UsageError(f"{parent.name} has no jury yet", hint=f"batchflow jury {parent.name}")
    for each in found:
        if each.judge.name in each.open:
            raise NotReady(
                f"{each.judge.name} is not finished, its votes may still come",
                hint=next_of(context, each.judge.name),
            )
    refuse_paid_judges(context, parent, [each.judge.provider for each in found])
    cases = {each.judge.id: _case(parent, each.judge) for each in found}
    survey = take_survey(context, next(iter(cases.values())))
    settled = frozenset(_settled(context, found))
    made: list[JudgeBatch] = []
    for each in found:
        made += _retry_one(context, cases[each.judge.id], each, settled, max_tokens)
    if not made:
        raise UsageError(f"{parent.name}: no vote is missing", hint=f"batchflow score {parent.name}")
    cascade = next((str(each.judge.spec["cascade"]) for each in found if each.judge.spec.get("cascade")), None)
    case = replace(next(iter(cases.values())), cascade=cascade)
    return report_of(context, case, made, replace(survey, settled=settled), ())


def _standing(tx: Tx, judge: BatchRecord) -> _Standing:
    retries = batches.retries_of(tx, judge.id)
    states = {b.name: stage(job.state for job in jobs.of_batch(tx, b.id)) for b in (judge, *retries)}
    return _Standing(judge, retries, tuple(name for name, where in states.items() if where is not Stage.FINISHED))


def _case(parent: BatchRecord, judge: BatchRecord) -> Case:
    task = tasks.get(judge.task)
    samples = int(judge.spec.get("judge_samples", 1))
    kind = kinds.of_spec(judge.spec)
    layout = recorded_template(judge, lambda path: kind.template(judge.split, path))
    return Case(parent, task, kind, same_source(judge), layout, samples)


def _settled(context: Context, found: list[_Standing]) -> Iterator[int]:
    """Answers that a cascade's rule was asked about: the judges are not."""
    with context.ledger.read() as tx:
        for each in found:
            if settles(each.judge):
                yield from (request.subject_id or 0 for request in request_rows.stream(tx, each.judge.id))


def _retry_one(
    context: Context, case: Case, standing: _Standing, settled: frozenset[int], max_tokens: int | None
) -> list[JudgeBatch]:
    judge = standing.judge
    if standing.open:  # made already and not finished: it is not made twice
        with context.ledger.read() as tx:
            child = batches.get(tx, standing.open[-1])
            paths = tuple(job.path for job in jobs.of_batch(tx, child.id))
        refuse_another_limit(child, max_tokens)
        return [JudgeBatch(child.name, child.handle, _label(judge), child.n_requests, False, paths, judge.name)]
    due = _due(context, case, standing, settled)
    if not due:
        return []
    plan = _plan(context, case, standing, due)
    by_rule = traits_of(judge.provider).judges_only
    limit = None if by_rule else max_tokens
    made = make(context, with_limit(plan, limit), _asks(context, case, due, by_rule=by_rule))
    paths = tuple(str(path.relative_to(context.settings.project)) for path in made.files)
    return [
        JudgeBatch(
            made.batch.name, made.batch.handle, _label(judge), made.batch.n_requests, made.new, paths, judge.name
        )
    ]


def _label(judge: BatchRecord) -> str:
    return f"{judge.provider}:{judge.model}"


def _due(context: Context, case: Case, standing: _Standing, settled: frozenset[int]) -> Due:
    """The votes that a judge owes: failed and unread ones again, and those on answers that it never saw."""
    judge, due = standing.judge, dict[int, list[tuple[int, int]]]()
    asked: set[int] = set()
    by_rule = traits_of(judge.provider).judges_only
    with context.ledger.read() as tx:
        for request in request_rows.stream(tx, judge.id):
            asked.add(request.subject_id or 0)
            if _failed(request, by_rule=by_rule):
                due.setdefault(request.subject_id or 0, []).append((request.sample, request.id))
        voted: dict[int, int] = {}
        for retry in standing.retries:
            for subject, valid in request_rows.voted(tx, retry.id).items():
                voted[subject] = voted.get(subject, 0) + valid
        if settles(judge):
            return due
        for answer in request_rows.outcomes(tx, case.parent.id):
            if answer.has_answer and answer.id not in asked and answer.id not in settled:
                owed = case.samples_of(answer.sample)[voted.get(answer.id, 0) :]
                due.update({answer.id: [(sample, answer.id) for sample in owed]} if owed else {})
    return due


def _failed(request: RequestRecord, *, by_rule: bool) -> bool:
    if request.outcome != Outcome.OK.value:
        return True
    return request.parsed == Parsed.UNPARSED.value and not by_rule  # a rule that abstains has voted


def _plan(context: Context, case: Case, standing: _Standing, due: Due) -> Plan:
    judge = standing.judge
    suffix = f"_retry_{next_number(standing.retries)}"
    subjects = " ".join(str(subject) for pairs in due.values() for _, subject in pairs)
    return Plan(
        name=judge.name[: NAME_LENGTH - len(suffix)] + suffix,
        kind=Kind.JUDGE,
        provider=judge.provider,
        model=judge.model,
        endpoint=judge.endpoint,
        task=judge.task,
        split=judge.split,
        hints=judge.hints,
        source=case.source,
        template=case.layout,
        params=Params(**judge.params),
        can=context.settings.capabilities(judge.provider, judge.model),
        options=judge.options,
        extra={
            "retries": judge.name,
            "requests_sha256": files.digest(subjects.encode()),
            **kinds.recorded(case.kind),
        },
        parent_id=case.parent.id,
        retries_id=judge.id,
    )


def _asks(context: Context, case: Case, due: Due, *, by_rule: bool) -> Iterator[Ask]:
    for request, item, answer in judgeable_answers(context, case):
        for sample, subject in due.get(request.id, ()):
            yield ask(case, item, answer, request, sample=sample, subject_id=subject, by_rule=by_rule)
