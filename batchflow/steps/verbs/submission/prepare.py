"""prepare: items of a task into a batch. Needs neither key nor network with built-in or local data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

from batchflow.batch_file import safe
from batchflow.errors import UsageError
from batchflow.extract.chain import chain
from batchflow.ledger import jobs
from batchflow.ledger.records import JobRecord
from batchflow.prices.estimates import Estimate
from batchflow.records import Capabilities, Item, Kind, Params
from batchflow.settings import LOCAL
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context, choose, decimal, whole
from batchflow.steps.base.money.billing import quote_for
from batchflow.steps.base.money.estimating import noted
from batchflow.steps.base.options import source_of, split_of, task_of
from batchflow.steps.base.progress.local_pace import pointed_at
from batchflow.steps.base.progress.next_command import next_command
from batchflow.steps.base.progress.situation import read_situation
from batchflow.steps.base.progress.stages import STAGES
from batchflow.steps.building import subset as subsets
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Made, Plan, make
from batchflow.steps.building.cache_choice import with_cache
from batchflow.steps.building.local_options import (
    OPTIONS_WITHOUT_FLAG,
    LocalFlags,
    Shaping,
    local_options,
    refuse_elsewhere,
    refuse_mixed_modes,
    refuse_shards,
    refuse_unnamed_model,
)
from batchflow.steps.building.model_notes import model_notes, setting_notes
from batchflow.steps.building.names import fit_name
from batchflow.steps.building.preflight import absence, known_model
from batchflow.steps.building.provider_choice import only_provider, provider_named, refuse_anothers_model
from batchflow.steps.building.staging import Order, Staging, items_of, of_stage, order, questions, units_of
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Asked, Task, Template, rows_asked
from batchflow.vendors import registry as vendors


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """The flags of `prepare`; None where not given. tag: end of a name that is not chosen. staging: for `run` only."""

    provider: str | None = None
    model: str | None = None
    name: str | None = None
    task: str | None = None
    dataset: Path | None = None
    split: str | None = None
    hints: int | None = None
    limit: int | None = None
    ids: Path | None = None
    samples: int | None = None
    seed: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    thinking_level: str | None = None
    thinking_budget: int | None = None
    endpoint: str | None = None
    completion_window: str | None = None
    template: Path | None = None
    system_prompt: str | None = None
    max_image_pixels: int | None = None
    map: tuple[str, ...] = ()
    extract: tuple[str, ...] | None = None
    cache: str | None = None
    as_named: bool = False
    tag: str = ""
    staging: Staging | None = None
    shards: int | None = None
    local: LocalFlags = field(default_factory=LocalFlags)

    def resolved(self, context: Context) -> Self:
        """The options as flag, environment and batchflow.toml give them, in this order. Raises UsageError.

        Those of the local engines are resolved by `local_options`, since a judge has its own.
        """
        return replace(self, **{name: _resolved(context, name, getattr(self, name)) for name in _OWN})


def _resolved(context: Context, name: str, flag: Any) -> Any:
    """One option: a number where it is one, else a text."""
    option = name.replace("_", "-")
    value = choose(context, option, flag)
    if name in _NUMBERS:
        return _NUMBERS[name](option, value)
    return None if value is None else str(value)


_WHOLE = ("hints", "limit", "samples", "seed", "max_tokens", "thinking_budget", "max_image_pixels")
_NUMBERS: dict[str, Callable[[str, Any], Any]] = {**dict.fromkeys(_WHOLE, whole), "temperature": decimal}
_FLAG_ONLY = {
    "as_named", "name", "tag", "staging", "shards",
    "dataset", "ids", "map", "extract", "template", "local", "base_url", "engine_arg", "no_cache",
}  # fmt: skip
_FLAG_ONLY |= {"wait_for_model", "wait_timeout", "wait_interval"}
_OWN = tuple(one.name for one in fields(PrepareOptions) if one.name not in _FLAG_ONLY)
SETTABLE = (
    *_OWN,
    *(one.name for one in fields(LocalFlags) if one.name not in _FLAG_ONLY),
    *OPTIONS_WITHOUT_FLAG,
)
"""Options of [prepare] in batchflow.toml, and of BATCHFLOW_<OPTION>."""


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """Report of `prepare`. template: of the prompt that is sent. base_url: the vendor's, if not its own.

    hint_counts[k]: items that really have hint k+1, whether hints were asked for or not. estimate: what the batch will
    cost, without a jury.
    """

    name: str
    handle: str
    new: bool
    provider: str
    model: str
    task: str
    split: str
    hints: int
    template: str
    extract: tuple[str, ...]
    requests: int
    hint_counts: tuple[int, ...]
    files: tuple[str, ...]
    bytes: int
    base_url: str | None
    notes: tuple[str, ...]
    rehearsal: bool
    next: str
    estimate: Estimate | None = None


def prepare(context: Context, options: PrepareOptions) -> PrepareReport:
    """Write the batch's file(s) and ledger rows. Raises UsageError, DataError; then nothing was written."""
    _refuse_unknown_settings(context)
    options = options.resolved(context)
    provider, why = _provider(context, options)
    model, can = _model(context, options, provider)
    own = _provider_options(context, options, provider)
    if vendors.traits_of(provider).own_engine:
        model = known_model(context, model, own)
    task = task_of(context, options.task, options.dataset)
    split = split_of(context, task, options.split)
    hints, samples = options.hints or 0, options.samples or 1
    if hints > task.MAX_HINTS:
        raise UsageError(f"--hints {hints}: task {task.NAME} has at most {task.MAX_HINTS}")
    source = source_of(context, task, split, options.dataset, options.map)
    template = task.template(split, options.template)
    subset = subsets.read(options.ids)
    of_all = items_of(task, source, split, options.limit, subset)
    staging, drawn = _drawn(task, of_all, hints, template, options.staging)
    params = Params(
        options.max_tokens, options.temperature, options.seed, options.thinking_level, options.thinking_budget
    )
    plan = Plan(
        name=fit_name(options.name or _name(provider, model, task, split, hints, options.dataset) + options.tag),
        kind=Kind.PREDICTION,
        provider=provider,
        model=model,
        endpoint=options.endpoint or vendors.get(provider, context.settings).ENDPOINTS[0],
        task=task.NAME,
        split=split,
        hints=hints,
        source=source,
        template=template,
        params=params,
        can=can,
        options=own,
        extra={
            "limit": options.limit,
            **({} if subset is None else {subsets.IDS: subset.record}),
            "samples": samples,
            **_extraction(task, options.extract),
            **tasks.recorded(task),
            **({} if drawn is None else {STAGES: drawn.recorded(staging)}),
        },
        notes=(
            *why,
            *model_notes(provider, model, can, context.clock().date()),
            *setting_notes(params, can, samples, own.get("engine")),
        ),
        shards=options.shards,
    )
    counts, shaping = [0] * task.MAX_HINTS, Shaping.of(plan.options)

    def asked(counts: list[int]) -> Iterator[Ask]:
        rows: Iterator[Item | Asked]
        if drawn is None:
            rows = rows_asked(task, source, split, hints, template)
            rows = islice(rows if subset is None else subset.of(rows), options.limit)
        else:
            rows = of_stage(items_of(task, source, split, options.limit, subset), drawn, 0)
        asks = questions(task, _seen(context, plan, rows), hints, template, samples, counts)
        return asks if shaping == Shaping() else map(shaping.ask, asks)

    plan = with_cache(context, plan, lambda: asked([0] * task.MAX_HINTS), options.cache)
    quote_for(context.settings, provider, model, context.clock())  # raises for a broken [prices]
    report = report_of(context, make(context, plan, asked(counts), counts))
    return replace(report, notes=(*report.notes, *absence(context, provider, model, own)))


def report_of(context: Context, build: Made) -> PrepareReport:
    """The card of a batch that was made just now, or stood there already."""
    batch, project = build.batch, context.settings.project
    with context.ledger.read() as tx:  # the same batch may stand there already, and be further
        parts = jobs.of_batch(tx, batch.id)
        follow = str(next_command(read_situation(tx, batch, parts)))
    if gone := _gone(context, parts) if follow.startswith("batchflow start ") else []:  # `start` would refuse it
        follow = f"batchflow delete {batch.name}"
    return PrepareReport(
        name=batch.name,
        handle=batch.handle,
        new=build.new,
        provider=batch.provider,
        model=batch.model,
        task=batch.task,
        split=batch.split,
        hints=batch.hints,
        template=batch.template,
        extract=tuple(batch.spec.get("extract", ())),
        requests=batch.n_requests,
        hint_counts=tuple(batch.hint_counts),
        files=tuple(str(path.relative_to(project)) for path in build.files),
        bytes=sum(path.stat().st_size for path in build.files if path.exists()),
        base_url=pointed_at(context.settings, batch, parts),
        notes=(
            *batch.notes,
            *_changes(build),
            *(f"{name} is gone: delete the batch, then prepare it again" for name in gone),
        ),
        rehearsal=batch.rehearsal,
        next=follow,
        estimate=None if gone else noted(context, batch, new=build.new, sizes=build.sizes),
    )


def _gone(context: Context, parts: Sequence[JobRecord]) -> list[str]:
    """Names of the files that are neither here nor in the store, of a batch that was never sent."""
    paths = [payloads.sent_file(context, job) for job in parts]
    return [path.name for path in paths if not path.exists()]


def _changes(build: Made) -> tuple[str, ...]:
    """Changes that another `prepare` made to a batch; a running worker keeps its options."""
    if not build.changes:
        return ()
    when = "a worker that is at work goes on as it was started, the next one by this"
    return (f"it stood there already, and was changed: {'; '.join(build.changes)} ({when})",)


def _drawn(
    task: Task, items: Iterator[Item], hints: int, template: Template, staging: Staging | None
) -> tuple[Staging, Order | None]:
    """The stages of the items, where they are to be sent in stages; by the task's clusters where none are named."""
    if staging is None:
        return Staging(), None
    staging = replace(staging, cluster=staging.cluster or task.CLUSTER)
    return staging, order(units_of(task, items, hints, template, staging.cluster), staging)


def _seen(context: Context, plan: Plan, items: Iterator[Item | Asked]) -> Iterator[Item | Asked]:
    """The items, none of which has a picture that the model cannot take. Raises UsageError naming models that can."""
    return _read_only(context, plan, items) if plan.can.images is False else items


def _read_only(context: Context, plan: Plan, items: Iterator[Item | Asked]) -> Iterator[Item | Asked]:
    for item in items:
        if isinstance(item, Item) and item.image is not None:
            defaults = ((name, context.settings.default_model(name) or "") for name in vendors.names(context.settings))
            able = [f"--provider {v} --model {m}" for v, m in defaults if context.settings.capabilities(v, m).images]
            raise UsageError(
                f"{plan.provider}: {plan.model} reads text only, and item {item.id} has a picture",
                hint=f"these take pictures: {'; '.join(able)}; or --base-url with a server of your own that does",
            )
        yield item


def _refuse_unknown_settings(context: Context) -> None:
    """Raise UsageError for a key of [prepare] that nothing reads: a slip there would be another experiment."""
    unknown = sorted(set(context.settings.section("prepare")) - set(SETTABLE))
    if unknown:
        raise UsageError(
            f"batchflow.toml: [prepare] {', '.join(unknown)}: unknown", hint=f"it may hold {', '.join(SETTABLE)}"
        )


def _provider(context: Context, options: PrepareOptions) -> tuple[str, tuple[str, ...]]:
    """Provider, and a note where it was not the user who chose. Raises UsageError."""
    if options.provider is not None:
        return provider_named(context.settings, options.provider), ()
    if options.local.given:  # they are flags of the local engine
        return LOCAL, ()
    return only_provider(context, options.split, options.model)


def _model(context: Context, options: PrepareOptions, provider: str) -> tuple[str, Capabilities]:
    model = options.model or context.settings.default_model(provider)
    if not model:
        raise UsageError(f"{provider}: no default model is set", hint="name one with --model")
    refuse_anothers_model(context.settings, provider, model, as_named=options.as_named)
    return model, context.settings.capabilities(provider, model)


def _name(provider: str, model: str, task: Task, split: str, hints: int, dataset: Path | None) -> str:
    """The name of a batch for which none was chosen. One of a task without hints is named after its data set."""
    start = f"{safe(provider)}_{safe(_label(model))}"
    of = task.NAME if tasks.recorded(task) else dataset.stem if dataset else ""
    if task.MAX_HINTS or not of:
        return f"{start}_{split}_hints_{hints}"
    part = "" if split == task.SPLITS[0] else f"_{safe(split)}"
    return f"{start}_{safe(of)}{part}"


def _extraction(task: Task, flags: tuple[str, ...] | None) -> dict[str, Any]:
    """Returns the extractors as the spec records them, for a task with plain text answers. Raises UsageError."""
    if task.ANSWER is None:
        return {"extract": list(chain(flags or task.EXTRACT).names)}
    if flags:
        raise UsageError(
            f"--extract: answers of task {task.NAME} are JSON objects, from which nothing is extracted",
            hint="it is for tasks with plain text answers: --task qa, --task choice",
        )
    return {}


def _label(model: str) -> str:
    """A model as part of a name: of a model file or folder, its name without the path."""
    if model.endswith(".gguf"):
        return Path(model).stem
    with suppress(OSError):  # longer than any file's name
        return Path(model).resolve().name if Path(model).is_dir() else model
    return model


def _provider_options(context: Context, options: PrepareOptions, provider: str) -> dict[str, Any]:
    """Options of this provider only: the completion window, or the local engine's settings; and how rows are shaped."""
    own = {
        "window": options.completion_window,
        "system_prompt": options.system_prompt,
        "max_image_pixels": options.max_image_pixels,
    }
    result: dict[str, Any] = {name: value for name, value in own.items() if value}
    if vendors.traits_of(provider).own_engine:
        engine = local_options(context, options.local)
        refuse_unnamed_model(engine, options.model)
        result |= engine
        refuse_mixed_modes(result)
    else:
        refuse_elsewhere(options.local, provider)
        refuse_shards(options.shards, provider)
    return result
