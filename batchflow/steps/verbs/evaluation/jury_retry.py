"""jury --retry: ask a jury again for exactly the votes that are missing.

Each judge with missing votes gets a child batch. A vote on an answer that the judge was asked about before takes its
place in the old request, as in any retry; answers that came after the jury was made are asked about for the first time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from batchflow import files
from batchflow.batch_file import NAME_LENGTH
from batchflow.errors import NotReady, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.scripts.sandbox import SCRIPT
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Kind, Outcome, Params, Parsed
from batchflow.states import Stage, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.estimating import noted
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.rehearsal_guard import refuse_paid_judges
from batchflow.steps.building.asks import Ask, Places
from batchflow.steps.building.batch_builder import Made, Plan, make_together
from batchflow.steps.building.retries import next_number, refuse_another_limit, standing_retry, with_limit
from batchflow.steps.building.sources import recorded_template, same_source
from batchflow.steps.judging import readings
from batchflow.steps.judging.ballot import settles
from batchflow.steps.judging.case import Case, Subject, parent_of, subjects
from batchflow.steps.judging.jury_lookup import chosen_jury, juries
from batchflow.steps.judging.jury_report import JudgeBatch, JuryReport, Survey, report_of
from batchflow.steps.judging.readings import Extract, extract_of
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source
from batchflow.vendors.registry import traits_of

Due = Mapping[int, list[tuple[int, int]]]
"""Answer -> (sample, what the child's request is about) for each vote that is to be asked for."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """A judge, and the batches that retry it."""

    judge: BatchRecord
    retries: tuple[BatchRecord, ...]
    open: tuple[str, ...]  # names of those among all of them that are not finished


def retry_votes(
    context: Context, target: str, *, max_tokens: int | None = None, extract: Sequence[str] = ()
) -> JuryReport:
    """Make the child batches, with another token limit if one is given.

    extract: of the jury that is meant, in place of all. Raises NotReady while votes may still come, UsageError when
    none is missing.
    """
    parent = parent_of(context, target)
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, parent.id)
        if not judges:
            raise UsageError(f"{parent.name} has no jury yet", hint=f"batchflow jury {parent.name}")
        if extract:
            wanted_chain = chosen_jury(parent, judges, extract=extract).extract
            judges = tuple(judge for judge in judges if extract_of(judge) == wanted_chain)
        standings = [_standing(tx, judge) for judge in judges]
    for each in standings:
        if each.judge.name in each.open:
            raise NotReady(
                f"{each.judge.name} is not finished, its votes may still come",
                hint=next_of(context, each.judge.name),
            )
    refuse_paid_judges(context, parent, [each.judge.provider for each in standings])
    settled = [set(_settled(context, _same_jury(each, standings))) for each in standings]
    cases = _cases(context, parent, [each.judge for each in standings])
    wanted = [
        _wanted(context, case, each, done, max_tokens)
        for case, each, done in zip(cases, standings, settled, strict=True)
    ]
    if not any(wanted):
        raise UsageError(f"{parent.name}: no vote is missing", hint=f"batchflow score {parent.name}")
    survey = Survey()
    judge_batches = _made(context, cases[0], wanted, survey)
    survey.settled = set().union(*settled)
    cascade = next((str(each.judge.spec["cascade"]) for each in standings if each.judge.spec.get("cascade")), None)
    return report_of(context, replace(cases[0], cascade=cascade), judge_batches, survey, ())


def _standing(tx: Tx, judge: BatchRecord) -> _Standing:
    retries = batches.retries_of(tx, judge.id)
    states = {b.name: stage(job.state for job in jobs.of_batch(tx, b.id)) for b in (judge, *retries)}
    return _Standing(judge, retries, tuple(name for name, where in states.items() if where is not Stage.FINISHED))


def _cases(context: Context, parent: BatchRecord, judges: Sequence[BatchRecord]) -> list[Case]:
    """The case of each judge; a data set that several of them judge by is looked at once."""
    sources: dict[tuple[str, str], Source] = {}
    cases = []
    for judge in judges:
        data = (judge.dataset_path, judge.dataset_sha256)
        source = sources[data] = sources.get(data) or same_source(context, judge)
        kind = kinds.of_spec(judge.spec)
        layout = recorded_template(judge, partial(kind.template, judge.split))
        samples = int(judge.spec.get("judge_samples", 1))
        task, extract = tasks.of_spec(judge.task, judge.spec), extract_of(judge)
        cases.append(Case(parent, task, kind, source, layout, samples, extract=extract))
    return cases


def _same_jury(one: _Standing, standings: Sequence[_Standing]) -> list[_Standing]:
    """The judges of one kind that judge the same reading of the answers."""
    jury = next(jury for jury in juries([each.judge for each in standings]) if one.judge in jury.judges)
    return [each for each in standings if each.judge in jury.judges]


def _settled(context: Context, standings: list[_Standing]) -> Iterator[int]:
    """Answers that a cascade's rule was asked about: the judges are not."""
    with context.ledger.read() as tx:
        for each in standings:
            if settles(each.judge):
                yield from (request.subject_id or 0 for request in request_rows.stream(tx, each.judge.id))


@dataclass(frozen=True, slots=True)
class _Child:
    """A batch that is to ask a judge again. due: the votes that it asks for."""

    judge: BatchRecord
    case: Case
    plan: Plan
    due: Due


def _wanted(
    context: Context, case: Case, standing: _Standing, settled: set[int], max_tokens: int | None
) -> _Child | JudgeBatch | None:
    """The child batch of one judge, or the one that was made already and is not finished; None without a lost vote."""
    judge = standing.judge
    if standing.open:  # it is not made twice
        child = standing_retry(context, standing.open[-1])
        refuse_another_limit(child.batch, max_tokens)
        return _judge_batch(context, judge, child)
    due = _due(context, case, standing, settled)
    if not due:
        return None
    limit = None if traits_of(judge.provider).judges_only else max_tokens
    return _Child(judge, case, with_limit(_plan(context, case, standing, due), limit), due)


def _made(context: Context, case: Case, wanted: list[_Child | JudgeBatch | None], survey: Survey) -> list[JudgeBatch]:
    """The batches on the card; those that are new are made in one pass over the answers."""
    children = [each for each in wanted if isinstance(each, _Child)]
    builds = iter(make_together(context, [child.plan for child in children], _asks(context, case, children, survey)))
    jury: list[JudgeBatch] = []
    for each in wanted:
        if isinstance(each, JudgeBatch):
            jury.append(each)
        elif each is not None and (batch := next(builds)) is not None:
            jury.append(_judge_batch(context, each.judge, batch))
    return jury


def _judge_batch(context: Context, judge: BatchRecord, build: Made) -> JudgeBatch:
    paths = tuple(str(path.relative_to(context.settings.project)) for path in build.files)
    expected = noted(context, build.batch, new=build.new, sizes=build.sizes)
    return JudgeBatch(
        build.batch.name, build.batch.handle, _label(judge), build.batch.n_requests, build.new, paths, judge.name,
        expected,
    )  # fmt: skip


def _label(judge: BatchRecord) -> str:
    return f"{judge.provider}:{judge.model}"


def _due(context: Context, case: Case, standing: _Standing, settled: set[int]) -> Due:
    """The votes that a judge owes: failed and unread ones again, and those on answers that it never saw."""
    judge, due = standing.judge, dict[int, list[tuple[int, int]]]()
    ids: set[int] = set()
    by_rule = traits_of(judge.provider).judges_only
    with context.ledger.read() as tx:
        for request in request_rows.stream(tx, judge.id):
            ids.add(request.subject_id or 0)
            if _failed(request, by_rule=by_rule):
                due.setdefault(request.subject_id or 0, []).append((request.sample, request.id))
        voted: dict[int, int] = {}
        for retry in standing.retries:
            for subject, valid in request_rows.voted(tx, retry.id).items():
                voted[subject] = voted.get(subject, 0) + valid
        if settles(judge):
            return due
        for answer in readings.outcomes(context, tx, case.parent, [judge]):
            if answer.has_answer and answer.id not in ids and answer.id not in settled:
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
            **({} if case.extract is None else {"extract": list(case.extract)}),
            **kinds.recorded(case.kind),
            **tasks.recorded(case.task),
        },
        parent_id=case.parent.id,
        retries_id=judge.id,
    )


def _asks(context: Context, case: Case, children: list[_Child], survey: Survey) -> Iterator[tuple[Places, Ask]]:
    rules = [child.judge.model if traits_of(child.judge.provider).judges_only else None for child in children]
    places: dict[Extract | None, list[tuple[int, _Child]]] = {case.extract: []}
    for place, child in enumerate(children):
        places.setdefault(child.case.extract, []).append((place, child))
    for extract, own in places.items():
        yield from _asks_about(context, replace(case, extract=extract), own, rules, survey)


def _asks_about(
    context: Context, case: Case, children: Sequence[tuple[int, _Child]], rules: Sequence[str | None], survey: Survey
) -> Iterator[tuple[Places, Ask]]:
    """The questions about one reading of the answers; the survey counts the answers of its first one."""
    counts = not survey.judgeable
    for subject in subjects(context, case):
        if counts:
            survey.count(subject)
        for place, child in children:
            for sample, about in child.due.get(subject.request.id, ()):
                own = Subject(child.case, subject.request, subject.item, subject.answer)
                script = child.judge.options.get(SCRIPT)
                yield (place,), own.ask(sample=sample, about=about, rule=rules[place], script=script)
