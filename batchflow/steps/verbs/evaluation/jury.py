"""jury: one judge batch per panel member, linked to the batch that it judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.batch_file import NAME_LENGTH, safe
from batchflow.errors import DataError, UsageError
from batchflow.judges import registry as kinds
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind, Outcome, Parsed
from batchflow.settings import RULE
from batchflow.steps.base.context import Context, choose
from batchflow.steps.base.money.billing import quote_for
from batchflow.steps.base.money.estimating import noted
from batchflow.steps.base.money.prompt_cache import KEY, OFF
from batchflow.steps.base.progress.failure_reasons import reasons
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.base.rehearsal_guard import refuse_paid_judges
from batchflow.steps.building.asks import Ask, Places
from batchflow.steps.building.batch_builder import Made, Plan, make_together, refuse_taken
from batchflow.steps.building.cache_choice import with_cache
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.building.sources import same_source
from batchflow.steps.judging import readings
from batchflow.steps.judging.case import Case, Subject, compared, keep_flags, parent_of, refuse_unfinished, subjects
from batchflow.steps.judging.jury_report import JudgeBatch, JuryReport, Survey, report_of
from batchflow.steps.judging.panel import Alike, Judge, alike, panel_of
from batchflow.tasks import registry as tasks
from batchflow.vendors import registry


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
    extract: Sequence[str] = (),
) -> JuryReport:
    """Make the judge batches. local: for judges that `judges` names with the provider `local`.

    kind: what judges are asked, by name or by a rubric's file, else what suits the task.

    samples: how often each judge is asked about an answer; its verdict is what most of them say, so the number is odd.
    cascade: a rule that settles what it can prove, so that judges are asked about the rest only.
    extract: extractors in place of the batch's own; the answers are read anew from their raw texts.
    Raises NotReady before the answers are there, DataError for a changed data set, UsageError.
    """
    if samples % 2 == 0:
        raise UsageError(f"--samples {samples}: the votes of a judge could tie", hint="choose an odd number")
    batch = parent_of(context, target)
    refuse_unfinished(context, batch)
    task = tasks.of_spec(batch.task, batch.spec)
    wanted_kinds = kinds.named(kind) if kind else kinds.suiting(task.JUDGED_BY, task.JUDGE_FACTS)
    panel, notes = panel_of(context, batch, judges, local, wanted_kinds)
    source, layout = same_source(context, batch), wanted_kinds.template(batch.split, template)
    case = Case(batch, task, wanted_kinds, source, layout, samples, cascade, readings.asked_for(batch, extract))
    panel = _behind_a_rule(panel, cascade)
    if cascade is None:
        refuse_paid_judges(context, batch, [judge.provider for judge in panel])
    _refuse_two_ways(context, case)
    plans = [_with_cache(context, case, _plan(context, case, judge)) for judge in panel]
    refuse_taken(context, plans)
    for plan in plans:  # a broken [prices] is refused before anything is made
        quote_for(context.settings, plan.provider, plan.model, context.clock())
    survey = Survey()
    builds = make_together(context, plans, _asks(context, case, panel, survey))
    if case.extract is None:
        with context.ledger.write(batch.id) as tx:
            keep_flags(tx, batch, survey.rows)
    jury = [_judge_batch(context, judge, each) for judge, each in zip(panel, builds, strict=True) if each is not None]
    notes = (*notes, *_cascade_notes(case, survey), *_later(case, jury, survey))
    return report_of(context, case, jury, survey, notes)


def _behind_a_rule(panel: list[Judge], cascade: str | None) -> list[Judge]:
    """The panel with a cascade's rule in front. Raises UsageError where the judges behind it are rules."""
    if cascade is None:
        return panel
    if any(registry.traits_of(judge.provider).judges_only for judge in panel):
        raise UsageError(
            f"--cascade {cascade}: the judges behind it have to be models", hint="--judges vendor:model,..."
        )
    return [Judge(RULE, cascade), *panel]


def _asks(context: Context, case: Case, panel: Sequence[Judge], survey: Survey) -> Iterator[tuple[Places, Ask]]:
    """The questions to all judges, each with its judges' places, in the order of the answers, which are read once.

    Raises DataError without an answer to judge, WrongWorld where judges of a rehearsed batch would be paid.
    """
    groups, recipients = alike(panel), set[Places]()
    compares = case.cascade is None and all(group.compares for group in groups)
    quick = compared(context, case, survey.see) if compares else None
    if quick is not None:
        for ask in quick:
            yield groups[0].places, ask
        recipients = {groups[0].places}
    else:
        for subject in subjects(context, case):
            is_settled = survey.count(subject)
            for group in groups:
                if case.cascade is not None and (group.rule is not None) != is_settled:
                    continue
                recipients.add(group.places)
                for ask in _about(subject, group):
                    yield group.places, ask
    if not survey.judgeable:
        raise _nothing_to_judge(context, case)
    refuse_paid_judges(
        context, case.parent, sorted({panel[place].provider for places in recipients for place in places})
    )


def _about(subject: Subject, group: Alike) -> Iterator[Ask]:
    """The questions about one answer; a rule says the same each time."""
    about, answer = subject.request.id, subject.request.sample
    if group.rule is not None:
        yield subject.ask(sample=answer, about=about, rule=group.rule, script=group.script)
        return
    for sample in subject.case.samples_of(answer):
        yield subject.ask(sample=sample, about=about, rule=None)


def _nothing_to_judge(context: Context, case: Case) -> DataError:
    """An error that says what came back in place of answers, and what to do."""
    batch = case.parent
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
        advice = next((reason.advice for reason in reasons(tx, batch, tally)), f"batchflow show {batch.name}")
    first, chain = _first_unread(context, case), readings.used(batch, case.extract)
    if first is not None and chain:
        text = f"{batch.name}: {', '.join(chain)} finds nothing in any of {tally.outcomes[Outcome.OK.value]:,} answers"
        return DataError(f"{text}. First one: {first[-80:]!r}.", hint=f"batchflow jury {batch.name} --extract NAME,...")
    if first is None:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in tally.unanswered.items())
        return DataError(f"{batch.name}: none of {batch.n_requests:,} requests is answered ({kinds})", hint=advice)
    unread, answer_form = tally.unanswered[Parsed.UNPARSED.value], case.task.ANSWER
    form = (
        f"JSON {{{', '.join(sorted(answer_form.schema['properties']))}}}"
        if answer_form
        else "of a form that can be read"
    )
    return DataError(f"None of {unread:,} answers is {form}. First one: {first[:80]!r}.", hint=advice)


def _first_unread(context: Context, case: Case) -> str | None:
    """The text of the first unparsed answer; none is answered."""
    batch = case.parent
    with (
        context.ledger.read() as tx,
        RawReader(context, registry.get(batch.provider, context.settings), tx, batch) as reader,
    ):
        for request in request_rows.stream(tx, batch.id):
            if request.outcome == Outcome.OK.value:
                response = reader.response(request)
                return response.text if response and response.text else ""
    return None


def _cascade_notes(case: Case, survey: Survey) -> tuple[str, ...]:
    """A note on a rule that settles nothing, or everything."""
    if case.cascade is None or 0 < len(survey.settled) < survey.judgeable:
        return ()
    if survey.settled:
        return (f"the rule {case.cascade} settles every answer: no judge is asked",)
    return (f"the rule {case.cascade} settles none of the answers: the judges are asked about all",)


def _later(case: Case, judge_batches: Sequence[JudgeBatch], survey: Survey) -> tuple[str, ...]:
    """A note on answers that came after a jury was made; its batches are what they were."""
    wanted = (survey.judgeable - len(survey.settled)) * case.samples
    models = (judge for judge in judge_batches if not registry.traits_of(judge.judge.partition(":")[0]).judges_only)
    late = max((wanted - judge.requests for judge in models if not judge.new), default=0)
    if late <= 0:
        return ()
    return (f"{late // case.samples} answers came after this jury was made: batchflow jury {case.parent.name} --retry",)


def _refuse_two_ways(context: Context, case: Case) -> None:
    """Raise UsageError where a jury with a cascade would grow by judges without it, or the other way round."""
    with context.ledger.read() as tx:
        standing = batches.judges_of(tx, case.parent.id)
    own = kinds.recorded(case.kind), case.extract
    alike = [
        judge for judge in standing if (kinds.recorded(kinds.of_spec(judge.spec)), readings.extract_of(judge)) == own
    ]
    other = [judge for judge in alike if judge.spec.get("cascade") != case.cascade]
    if other:
        was = other[0].spec.get("cascade")
        raise UsageError(
            f"{case.parent.name} is judged {f'behind the rule {was}' if was else 'without a cascade'} already, by "
            f"{', '.join(judge.name for judge in other)}: all judges of a jury are asked in the same way",
            hint=f"{f'--cascade {was}' if was else 'leave out --cascade'}, or batchflow delete those judges",
        )


def _plan(context: Context, case: Case, judge: Judge) -> Plan:
    """The judge batch of one member of the panel."""
    parent = case.parent
    extra: dict[str, Any] = {"judges": parent.name, "answers_sha256": _answers_digest(context, parent)}
    extra |= kinds.recorded(case.kind) | tasks.recorded(case.task)
    if case.extract is not None:
        extra["extract"] = list(case.extract)
    if case.cascade:
        extra["cascade"] = case.cascade
    if case.samples != 1 and not registry.traits_of(judge.provider).judges_only:  # a rule says the same each time
        extra["judge_samples"] = case.samples
    return Plan(
        name=_judge_name(case, judge),
        kind=Kind.JUDGE,
        provider=judge.provider,
        model=judge.model,
        endpoint=registry.get(judge.provider, context.settings).ENDPOINTS[0],
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


def _with_cache(context: Context, case: Case, plan: Plan) -> Plan:
    """A judge's plan with its cache decided; `--cache off` of the judged batch holds for its judges."""
    flag = OFF if case.parent.spec.get(KEY) == OFF else choose(context, KEY, None)

    def asked() -> Iterator[Ask]:
        for subject in subjects(context, case):
            for sample in case.samples_of(subject.request.sample):
                yield subject.ask(sample=sample, about=subject.request.id, rule=None)

    return with_cache(context, plan, asked, flag)


def _judge_batch(context: Context, judge: Judge, build: Made) -> JudgeBatch:
    relative = tuple(str(path.relative_to(context.settings.project)) for path in build.files)
    expected = noted(context, build.batch, new=build.new, sizes=build.sizes)
    return JudgeBatch(
        build.batch.name,
        build.batch.handle,
        judge.label,
        build.batch.n_requests,
        build.new,
        relative,
        estimate=expected,
    )


def _judge_name(case: Case, judge: Judge) -> str:
    """The judge batch's name, with its kind where another one suits the task, and with extractors of its own.

    One that is too long keeps its ends, and a hash of the rest keeps it unique.
    """
    name = f"judge_{case.parent.name}_by_{safe(judge.provider)}_{safe(judge.model)}"
    if case.kind.NAME != case.task.JUDGED_BY:
        name += f"_as_{safe(case.kind.NAME)}"
    if case.extract is not None:
        name += f"_extract_{'-'.join(map(_short, case.extract)) or 'nothing'}"
    if len(name) <= NAME_LENGTH:
        return name
    half = (NAME_LENGTH - 10) // 2
    return f"{name[:half]}-{files.digest(name.encode())[:8]}-{name[-half:]}"


def _short(extractor: str) -> str:
    """An extractor as part of a name, with a hash of its argument."""
    name, _, argument = extractor.partition(":")
    return f"{safe(name)}{f'-{files.digest(argument.encode())[:8]}' if argument else ''}"


def _answers_digest(context: Context, parent: BatchRecord) -> str:
    """Hash of the raw files that hold the answers: judging other answers is another batch."""
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, parent.id)
    return files.digest("".join(str(file["sha256"]) for job in parts for file in job.raw).encode())
