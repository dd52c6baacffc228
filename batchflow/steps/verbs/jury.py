"""jury: one judge batch per panel member, linked to the batch that it judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.batch_file import NAME_LENGTH, safe
from batchflow.errors import DataError, NotReady, UsageError
from batchflow.judges import deterministic, injection
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Item, Kind, Parsed
from batchflow.steps.base.answer_form import Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.failure_reasons import reasons
from batchflow.steps.base.next_command import jury_command, next_of
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.base.rehearsal_guard import refuse_paid_judges
from batchflow.steps.base.situation import members
from batchflow.steps.building.batch_builder import Ask, Plan, make, refuse_taken
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.judging.panel import Judge, panel_of
from batchflow.steps.verbs.retry import items_in_order, same_source
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task, Template
from batchflow.vendors import registry


@dataclass(frozen=True, slots=True)
class JudgeBatch:
    """One judge batch on the card. retries: the judge batch whose missing votes it asks again."""

    name: str
    handle: str
    judge: str
    requests: int
    new: bool
    files: tuple[str, ...]
    retries: str | None = None


@dataclass(frozen=True, slots=True)
class JuryReport:
    """The jury of a batch. unjudgeable: unanswered requests, which no judge is asked about; unanswered: them by kind.

    settled: answers that the cascade's rule judges alone. flagged: answers that seem to speak to the judge, in all and
    by what was seen in them.
    """

    name: str
    batches: tuple[JudgeBatch, ...]
    judgeable: int
    unjudgeable: int
    unanswered: dict[str, int]
    samples: int
    cascade: str | None
    settled: int
    settled_share: float
    flagged: int
    flags: dict[str, int]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def parent_of(context: Context, target: str) -> BatchRecord:
    """The batch that a name or a results file speaks of. Raises UnknownBatch, UsageError for a judge batch."""
    path = Path(target)
    name = path.stem if path.suffix == ".jsonl" else target
    with context.ledger.read() as tx:
        batch = batches.find(tx, name)
        if batch is None and path.is_file():
            raise UsageError(f"{target} is no batch of this ledger", hint=f"batchflow import predictions {target}")
        batch = batch or batches.get(tx, name)
    if batch.kind is not Kind.PREDICTION:
        raise UsageError(f"{batch.name} is a judge batch itself", hint="name the batch whose answers are to be judged")
    return batch


def jury(
    context: Context,
    target: str,
    judges: Sequence[str] = (),
    template: Path | None = None,
    local: LocalFlags = LocalFlags(),  # noqa: B008 - frozen and empty
    *,
    samples: int = 1,
    cascade: str | None = None,
    kind: str | None = None,
) -> JuryReport:
    """Make the judge batches. local: for judges that `judges` names with the provider `local`.

    kind: what judges are asked, by name or by a rubric's file, else what suits the task.

    samples: how often each judge is asked about an answer; its verdict is what most of them say, so the number is odd.
    cascade: a rule that settles what it can prove, so that judges are asked about the rest only.
    Raises NotReady before the answers are there, DataError for a changed data set, UsageError.
    """
    if samples % 2 == 0:
        raise UsageError(f"--samples {samples}: the votes of a judge could tie", hint="choose an odd number")
    batch = parent_of(context, target)
    refuse_unfinished(context, batch)
    task = tasks.get(batch.task)
    asked = kinds.named(kind) if kind else kinds.get(task.JUDGED_BY)
    panel, notes = panel_of(context, batch, judges, local, asked)
    source, layout = same_source(batch), asked.template(batch.split, template)
    case = Case(batch, task, asked, source, layout, samples, cascade)
    survey = take_survey(context, case)
    if not survey.judgeable:
        raise _nothing_to_judge(context, case)
    panel, more = _cascaded(panel, survey, cascade)
    refuse_paid_judges(context, batch, [judge.provider for judge in panel])
    _refuse_two_ways(context, case)
    plans = [_plan(context, case, judge) for judge in panel]
    refuse_taken(context, plans)
    made = [_judge_batch(context, case, judge, plan, survey.settled) for judge, plan in zip(panel, plans, strict=True)]
    return report_of(context, case, made, survey, (*notes, *more, *_later(case, made, survey)))


@dataclass(frozen=True, slots=True)
class Case:
    """The batch to be judged, and its prompts for judges."""

    parent: BatchRecord
    task: Task
    kind: JudgeKind
    source: Source
    layout: Template
    samples: int = 1
    cascade: str | None = None

    def samples_of(self, answer: int) -> range:
        """The sample numbers of the questions about an item's `answer`-th answer, for a judge that is a model."""
        return range(answer * self.samples, (answer + 1) * self.samples)


def report_of(
    context: Context, case: Case, made: Sequence[JudgeBatch], survey: Survey, notes: tuple[str, ...]
) -> JuryReport:
    """The card of a jury."""
    batch = case.parent
    with context.ledger.read() as tx:  # judges that stand there already may be further
        judges = members(tx, (batches.get(tx, judge.name) for judge in made))
        unanswered = request_rows.tally(tx, batch.id).unanswered
    return JuryReport(
        name=batch.name,
        batches=tuple(made),
        judgeable=survey.judgeable,
        unjudgeable=batch.n_requests - survey.judgeable,
        unanswered=unanswered,
        samples=case.samples,
        cascade=case.cascade,
        settled=len(survey.settled),
        settled_share=len(survey.settled) / survey.judgeable if survey.judgeable else 0.0,
        flagged=survey.flagged,
        flags=survey.flags,
        notes=(*notes, *_unread_note(batch, unanswered)),
        rehearsal=batch.rehearsal,
        next=str(jury_command(batch.name, judges)),
    )


def _unread_note(batch: BatchRecord, unanswered: Mapping[str, int]) -> tuple[str, ...]:
    unread = unanswered.get(Parsed.UNPARSED.value, 0)
    if not unread:
        return ()
    are = "1 answer is" if unread == 1 else f"{unread:,} answers are"
    if registry.traits_of(batch.provider).imported:  # what was brought cannot be asked again
        return (f"{are} unparsed; no judge is asked about them",)
    return (f"{are} unparsed; to ask them again: batchflow retry {batch.name} --also unparsed",)


@dataclass(frozen=True, slots=True)
class Survey:
    """Survey of the answers before a judge sees them. settled: requests that the cascade's rule can judge."""

    judgeable: int
    settled: frozenset[int]
    flagged: int
    flags: dict[str, int]


def take_survey(context: Context, case: Case) -> Survey:
    """Read every answer once. Raises UsageError for an unknown rule."""
    judgeable = flagged = 0
    settled: set[int] = set()
    seen: Counter[str] = Counter()
    for request, item, answer in judgeable_answers(context, case):
        judgeable += 1
        found = injection.flags(answer)
        flagged += bool(found)
        seen.update(found)
        if case.cascade and deterministic.settled(case.cascade, _text(answer), *item.references) is not None:
            settled.add(request.id)
    return Survey(judgeable, frozenset(settled), flagged, dict(sorted(seen.items())))


def _nothing_to_judge(context: Context, case: Case) -> DataError:
    """An error that says what came back in place of answers, and what to do."""
    batch = case.parent
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
        advice = next((reason.advice for reason in reasons(tx, batch, tally)), f"batchflow show {batch.name}")
    first = _first_unread(context, batch)
    if first is None:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in tally.unanswered.items())
        return DataError(f"{batch.name}: none of {batch.n_requests:,} requests is answered ({kinds})", hint=advice)
    unread, asked = tally.unanswered[Parsed.UNPARSED.value], case.task.ANSWER
    form = f"JSON {{{', '.join(sorted(asked.schema['properties']))}}}" if asked else "of a form that can be read"
    return DataError(f"None of {unread:,} answers is {form}. First one: {first[:80]!r}.", hint=advice)


def _first_unread(context: Context, batch: BatchRecord) -> str | None:
    """The text of the first unparsed answer."""
    vendor, project = registry.get(batch.provider), context.settings.project
    with context.ledger.read() as tx, RawReader(project, vendor, tx, batch) as reader:
        for request in request_rows.stream(tx, batch.id):
            if request.parsed == Parsed.UNPARSED.value:
                response = reader.response(request)
                return response.text if response and response.text else ""
    return None


def _cascaded(panel: list[Judge], survey: Survey, cascade: str | None) -> tuple[list[Judge], tuple[str, ...]]:
    """The panel behind a cascade's rule: the rule first, and nobody where there is nothing to ask."""
    if cascade is None:
        return panel, ()
    if any(registry.traits_of(judge.provider).judges_only for judge in panel):
        raise UsageError(
            f"--cascade {cascade}: the judges behind it have to be models", hint="--judges vendor:model,..."
        )
    if not survey.settled:
        return panel, (f"the rule {cascade} settles none of the answers: the judges are asked about all",)
    rule = Judge(registry.RULE, cascade)
    if len(survey.settled) == survey.judgeable:
        return [rule], (f"the rule {cascade} settles every answer: no judge is asked",)
    return [rule, *panel], ()


def _later(case: Case, made: Sequence[JudgeBatch], survey: Survey) -> tuple[str, ...]:
    """A note on answers that came after a jury was made; its batches are what they were."""
    wanted = (survey.judgeable - len(survey.settled)) * case.samples
    models = (judge for judge in made if not registry.traits_of(judge.judge.partition(":")[0]).judges_only)
    late = max((wanted - judge.requests for judge in models if not judge.new), default=0)
    if late <= 0:
        return ()
    return (f"{late // case.samples} answers came after this jury was made: batchflow jury {case.parent.name} --retry",)


def refuse_unfinished(context: Context, batch: BatchRecord) -> None:
    """Raise NotReady while answers are out."""
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
    if tally.pending or batch.results_path is None:
        have = tally.requests - tally.pending
        raise NotReady(
            f"{batch.name}: {have:,} of {tally.requests:,} answers are here", hint=next_of(context, batch.name)
        )


def _refuse_two_ways(context: Context, case: Case) -> None:
    """Raise UsageError where a jury with a cascade would grow by judges without it, or the other way round."""
    with context.ledger.read() as tx:
        standing = batches.judges_of(tx, case.parent.id)
    own = kinds.recorded(case.kind)
    alike = [judge for judge in standing if kinds.recorded(kinds.of_spec(judge.spec)) == own]
    other = [judge for judge in alike if judge.spec.get("cascade") != case.cascade]
    if other:
        was = other[0].spec.get("cascade")
        raise UsageError(
            f"{case.parent.name} is judged {f'behind the rule {was}' if was else 'without a cascade'} already, by "
            f"{', '.join(judge.name for judge in other)}: one jury is asked in one way",
            hint=f"{f'--cascade {was}' if was else 'leave out --cascade'}, or batchflow delete those judges",
        )


def _plan(context: Context, case: Case, judge: Judge) -> Plan:
    """The judge batch of one member of the panel."""
    parent = case.parent
    extra: dict[str, Any] = {"judges": parent.name, "answers_sha256": _answers_digest(context, parent)}
    extra |= kinds.recorded(case.kind)
    if case.cascade:
        extra["cascade"] = case.cascade
    if case.samples != 1 and not registry.traits_of(judge.provider).judges_only:  # a rule says the same each time
        extra["judge_samples"] = case.samples
    return Plan(
        name=_judge_name(case, judge),
        kind=Kind.JUDGE,
        provider=judge.provider,
        model=judge.model,
        endpoint=registry.get(judge.provider).ENDPOINTS[0],
        task=parent.task,
        split=parent.split,
        hints=parent.hints,
        source=case.source,
        template=case.layout,
        params=judge.params,
        can=context.settings.capabilities(judge.provider, judge.model),
        options=judge.options or {},
        extra=extra,
        parent_id=parent.id,
    )


def _judge_batch(context: Context, case: Case, judge: Judge, plan: Plan, settled: frozenset[int]) -> JudgeBatch:
    by_rule = registry.traits_of(judge.provider).judges_only
    asked = replace(case, samples=1) if by_rule else case
    made = make(
        context,
        plan,
        _asks(context, asked, lambda request: case.cascade is None or by_rule == (request in settled), by_rule=by_rule),
    )
    relative = tuple(str(path.relative_to(context.settings.project)) for path in made.files)
    return JudgeBatch(plan.name, made.batch.handle, judge.label, made.batch.n_requests, made.new, relative)


def _judge_name(case: Case, judge: Judge) -> str:
    """The judge batch's name, with its kind where another one suits the task.

    One that is too long keeps its ends, and a hash of the rest keeps it unique.
    """
    name = f"judge_{case.parent.name}_by_{safe(judge.provider)}_{safe(judge.model)}"
    if case.kind.NAME != case.task.JUDGED_BY:
        name += f"_as_{safe(case.kind.NAME)}"
    if len(name) <= NAME_LENGTH:
        return name
    half = (NAME_LENGTH - 10) // 2
    return f"{name[:half]}-{files.digest(name.encode())[:8]}-{name[-half:]}"


def _text(answer: Mapping[str, Any]) -> str:
    return str(answer.get("answer", ""))


def _answers_digest(context: Context, parent: BatchRecord) -> str:
    """Hash of the raw files that hold the answers: judging other answers is another batch."""
    with context.ledger.read() as tx:
        found = jobs.of_batch(tx, parent.id)
    return files.digest("".join(str(file["sha256"]) for job in found for file in job.raw).encode())


def _asks(context: Context, case: Case, wanted: Callable[[int], bool], *, by_rule: bool) -> Iterator[Ask]:
    """The questions about each wanted answer, in the order of the answers."""
    for request, item, answer in judgeable_answers(context, case):
        if wanted(request.id):
            for sample in case.samples_of(request.sample):
                yield ask(case, item, answer, request, sample=sample, subject_id=request.id, by_rule=by_rule)


def ask(
    case: Case,
    item: Item,
    answer: dict[str, Any],
    request: RequestRecord,
    *,
    sample: int,
    subject_id: int,
    by_rule: bool = False,
) -> Ask:
    """One question to a judge about the answer to `request`."""
    compare: dict[str, Any] = {"reference": case.task.reference(item), "answer": _text(answer)}
    if len(item.references) != 1:
        compare["references"] = list(item.references)
    columns = request.groups
    if by_rule:  # it reads two texts, and no question
        return Ask(item.id, "", (), None, sample, columns, subject_id, compare)
    prompt = case.kind.prompt(item, answer, case.layout)
    return Ask(item.id, prompt.system, prompt.parts, case.kind.SCHEMA, sample, columns, subject_id, compare)


def judgeable_answers(context: Context, case: Case) -> Iterator[tuple[RequestRecord, Item, dict[str, Any]]]:
    """Parsed answers with their items; data set and answers are read side by side. Raises DataError."""
    parent = case.parent
    item_of = items_in_order(case.task, case.source, parent)
    for request, answer in answers(context, parent):
        yield request, item_of(request.item_id), answer


def answers(context: Context, batch: BatchRecord) -> Iterator[tuple[RequestRecord, dict[str, Any]]]:
    """Requests of a batch that have a parsed answer, with it."""
    vendor, project, form = registry.get(batch.provider), context.settings.project, Form.of(batch)
    with context.ledger.read() as tx, RawReader(project, vendor, tx, batch) as reader:
        for request in request_rows.stream(tx, batch.id):
            if not request.has_answer:
                continue
            response = reader.response(request)
            value = form.read(response, request.columns).value if response else None
            if value is not None:
                yield request, value
