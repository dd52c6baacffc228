"""jury: one judge batch per panel member, linked to the batch that it judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchflow import files, responses
from batchflow.errors import DataError, NotReady, UsageError
from batchflow.ledger import batches, jobs
from batchflow.ledger import requests as rows
from batchflow.ledger.models import Kind
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.records import Item, Outcome, Params, Parsed
from batchflow.requests import NAME_LENGTH, safe
from batchflow.steps.context import Context
from batchflow.steps.making import Ask, Plan, make
from batchflow.steps.raw import RawReader
from batchflow.steps.retry import same_source
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task, Template
from batchflow.vendors import registry

RULE_PANEL = ("rule:exact", "rule:normalised", "rule:numeric")
JURY_SIZE = 3


@dataclass(frozen=True, slots=True)
class Judge:
    """One member of the panel: who judges, and with which settings."""

    provider: str
    model: str
    params: Params = field(default_factory=Params)
    options: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """`provider:model`, as `--judges` takes it."""
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class JudgeBatch:
    """One judge batch on the card."""

    name: str
    judge: str
    requests: int
    new: bool
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JuryReport:
    """The jury of a batch. unjudgeable: requests without a parsed answer, which no judge is asked about."""

    name: str
    batches: tuple[JudgeBatch, ...]
    judgeable: int
    unjudgeable: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def parent_of(context: Context, target: str) -> BatchRecord:
    """The batch that a name or a results file speaks of. Raises UnknownBatch, UsageError for a judge batch."""
    path = Path(target)
    name = path.stem if path.suffix == ".jsonl" else target
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
    if batch.kind is not Kind.PREDICTION:
        raise UsageError(f"{name} is a judge batch itself", hint="name the batch whose answers are to be judged")
    return batch


def jury(context: Context, target: str, judges: Sequence[str] = (), template: Path | None = None) -> JuryReport:
    """Make the judge batches. Raises NotReady before the answers are there, DataError for a changed data set."""
    batch = parent_of(context, target)
    _refuse_unfinished(context, batch)
    task = tasks.get(batch.task)
    panel, notes = _panel(context, batch, judges)
    source, layout = same_source(batch), task.template("judge", batch.split, template)
    made = [_judge_batch(context, batch, task, judge, source, layout) for judge in panel]
    judgeable = made[0].requests
    names = " ".join(judge.name for judge in made)
    return JuryReport(
        name=batch.name,
        batches=tuple(made),
        judgeable=judgeable,
        unjudgeable=batch.n_requests - judgeable,
        notes=notes,
        rehearsal=batch.rehearsal,
        next=f"batchflow start {names}",
    )


def _refuse_unfinished(context: Context, batch: BatchRecord) -> None:
    with context.ledger.read() as tx:
        tally = rows.tally(tx, batch.id)
    if tally.pending or batch.results_path is None:
        have = tally.requests - tally.pending
        raise NotReady(
            f"{batch.name}: {have} of {tally.requests} answers are here", hint=f"batchflow results {batch.name}"
        )


def _panel(context: Context, batch: BatchRecord, chosen: Sequence[str]) -> tuple[list[Judge], tuple[str, ...]]:
    """Who judges, and what the user should know about it."""
    if chosen:
        panel = [_named(context, text) for text in chosen]
        _refuse_twins(panel)
        own = [judge.label for judge in panel if judge.provider == batch.provider and judge.provider != "local"]
        return panel, tuple(f"{label} judges a model of its own vendor" for label in own)
    pool = [_pooled(row) for row in context.settings.panel()]
    if not context.settings.vendors_with_key():
        note = "no vendor's key is set: rules judge the answers, nobody judges the justifications (--judges chooses)"
        return [_named(context, text) for text in RULE_PANEL], (note,)
    others = [judge for judge in pool if judge.provider != batch.provider]
    return others[:JURY_SIZE], ()


def _pooled(row: Mapping[str, Any]) -> Judge:
    """A row of the judge pool. Raises UsageError for a row without provider and model, or with unknown keys."""
    settings = {key: value for key, value in row.items() if key not in {"provider", "model"}}
    try:
        return Judge(str(row["provider"]), str(row["model"]), Params(**settings))
    except (KeyError, TypeError) as error:
        raise UsageError(f"batchflow.toml: [[panel]] {dict(row)}: {error}") from None


def _named(context: Context, text: str) -> Judge:
    """A judge as `provider:model`; the pool's settings hold where it names a member. Raises UsageError."""
    provider, colon, model = text.partition(":")
    registry.get(provider)
    model = model if colon else (context.settings.default_model(provider) or "")
    if not model:
        raise UsageError(f"--judges {text}: which model?", hint="write provider:model, for example rule:exact")
    for row in context.settings.panel():
        if row.get("provider") == provider and row.get("model") == model:
            return _pooled(row)
    url = context.settings.base_url("local") if provider == "local" else None
    return Judge(provider, model, options={"base_url": [url]} if url else None)


def _refuse_twins(panel: Sequence[Judge]) -> None:
    labels = [judge.label for judge in panel]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"--judges names {label} twice", hint="a judge has one vote")


def _judge_batch(
    context: Context, parent: BatchRecord, task: Task, judge: Judge, source: Source, layout: Template
) -> JudgeBatch:
    name = _judge_name(parent.name, judge)
    plan = Plan(
        name=name,
        kind=Kind.JUDGE,
        provider=judge.provider,
        model=judge.model,
        endpoint=registry.get(judge.provider).ENDPOINTS[0],
        task=parent.task,
        split=parent.split,
        hints=parent.hints,
        source=source,
        template=layout,
        params=judge.params,
        can=context.settings.capabilities(judge.provider, judge.model),
        options=judge.options or {},
        extra={"judges": parent.name, "answers_sha256": _answers_digest(context, parent)},
        parent_id=parent.id,
    )
    made = make(context, plan, _asks(context, parent, task, source, layout))
    relative = tuple(str(path.relative_to(context.settings.project)) for path in made.files)
    return JudgeBatch(name, judge.label, made.batch.n_requests, made.new, relative)


def _judge_name(parent: str, judge: Judge) -> str:
    """The judge batch's name; one that is too long keeps its ends, and a hash of the rest keeps it unique."""
    name = f"judge_{parent}_by_{safe(judge.provider)}_{safe(judge.model)}"
    if len(name) <= NAME_LENGTH:
        return name
    half = (NAME_LENGTH - 10) // 2
    return f"{name[:half]}-{files.digest(name.encode())[:8]}-{name[-half:]}"


def _answers_digest(context: Context, parent: BatchRecord) -> str:
    """Hash of the raw files that hold the answers: judging other answers is another batch."""
    with context.ledger.read() as tx:
        found = jobs.of_batch(tx, parent.id)
    return files.digest("".join(str(file["sha256"]) for job in found for file in job.raw).encode())


def _asks(context: Context, parent: BatchRecord, task: Task, source: Source, layout: Template) -> Iterator[Ask]:
    """One question per parsed answer, in the order of the answers; data set and answers are read side by side."""
    items = task.items(source, parent.split)
    item: Item | None = None
    for request, answer in answers(context, parent, task):
        while item is None or item.id != request.item_id:
            item = next(items, None)
            if item is None:
                raise DataError(f"{parent.name}: item {request.item_id} is not in the data set {source.location}")
        prompt = task.judge_prompt(item, answer, layout)
        compare = {"reference": task.reference(item), "answer": str(answer.get("answer", ""))}
        columns = files.loads(request.columns)
        yield Ask(item.id, prompt.system, prompt.parts, task.VERDICT, request.sample, columns, request.id, compare)


def answers(context: Context, batch: BatchRecord, task: Task) -> Iterator[tuple[RequestRecord, dict[str, Any]]]:
    """Requests of a batch that have a parsed answer, with it."""
    vendor, project = registry.get(batch.provider), context.settings.project
    with context.ledger.read() as tx, RawReader(project, vendor, jobs.with_retries(tx, batch.id)) as reader:
        for request in rows.stream(tx, batch.id):
            if request.outcome != Outcome.OK.value or request.parsed == Parsed.UNPARSED.value:
                continue
            response = reader.response(reader.line(request))
            value = responses.parse(response.text if response else None, task.ANSWER).value
            if value is not None:
                yield request, value
