"""Making a batch: its file(s) and its rows in the ledger appear together, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from batchflow import batch_file, files
from batchflow.batch_file import PartWriter
from batchflow.errors import DataError, StaleState
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.models import SEQ_BITS
from batchflow.ledger.records import BatchRecord
from batchflow.local.base import options as local
from batchflow.prices.sizes import Sizes
from batchflow.records import Capabilities, Json, Kind, Params, Request
from batchflow.steps.base import payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.garbage import few_collections
from batchflow.steps.base.money.prompt_cache import PromptCache
from batchflow.steps.base.progress.local_pace import take_over
from batchflow.steps.base.progress.stages import STAGES, Stages
from batchflow.steps.building.asks import Ask, Places, blocks, blocks_together
from batchflow.steps.building.writing import taken
from batchflow.steps.building.writing.lines import Lines
from batchflow.steps.building.writing.shards import ShardWriter
from batchflow.steps.building.writing.spool import Spool
from batchflow.tasks.base import Source, Template
from batchflow.tasks.datasets import columns as mapped
from batchflow.texts import templates
from batchflow.vendors import registry
from batchflow.vocabulary import SHARDS


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that may be made. extra: further facts that decide what is asked (limit, samples, parent results).

    shards: files to cut it into; None: as many as the limits ask for.
    """

    name: str
    kind: Kind
    provider: str
    model: str
    endpoint: str
    task: str
    split: str
    hints: int
    source: Source
    template: Template
    params: Params
    can: Capabilities
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    parent_id: int | None = None
    retries_id: int | None = None
    notes: Sequence[str] = ()
    shards: int | None = None

    def spec(self) -> Json:
        """Everything that decides what is asked and of whom; not how fast, or at which address of the same model."""
        options = local.asked(self.options) if registry.traits_of(self.provider).own_engine else self.options
        return {
            "kind": self.kind.value,
            "provider": self.provider,
            "model": self.model,
            "endpoint": self.endpoint,
            "task": self.task,
            "split": self.split,
            "hints": self.hints,
            "dataset": self.source.location,
            "dataset_sha256": self.source.sha256,
            **({"map": mapped.text(self.source.mapping)} if self.source.mapping else {}),
            "template_sha256": self.template.sha256,
            **{name: value for name, value in asdict(self.params).items() if value is not None},
            **{name: value for name, value in options.items() if value is not None},
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class Made:
    """A batch that stands in the ledger. new: False when the same one stood there already; changes: to its pace.

    sizes: of its requests, where they were written just now.
    """

    batch: BatchRecord
    files: tuple[Path, ...]
    new: bool
    changes: tuple[str, ...] = ()
    sizes: Sizes | None = None


def refuse_taken(context: Context, plans: Iterable[Plan]) -> None:
    """Raise UsageError, before anything is made, where one of several names stands for another batch."""
    with context.ledger.read() as tx:
        for plan in plans:
            standing = batches.find(tx, plan.name)
            if standing is not None:
                taken.refuse_other(standing, plan.spec())


@few_collections()
def make(context: Context, plan: Plan, asks: Iterable[Ask], hint_counts: list[int] | None = None) -> Made:
    """Write a batch's file(s) and rows. Making the same batch twice is a no-op.

    hint_counts: filled by the caller's generator while it runs; read after the last ask.
    Raises UsageError for a taken name (saying what differs) and for options the vendor cannot take, DataError for bad
    rows and for a file of the user's under the batch's name; then nothing was written.
    """
    files.sweep(context.settings.processed)
    if (standing := _as_it_stands(context, plan)) is not None:
        return standing
    with _Draft(context, plan) as draft:
        draft.add_all(asks)
        return draft.settle(hint_counts or [])


@few_collections()
def make_together(context: Context, plans: Sequence[Plan], asks: Iterable[tuple[Places, Ask]]) -> list[Made | None]:
    """`make` for several batches in one pass; None for one without asks.

    Each ask comes with the places of the plans that it is for; a plan always comes with the same others. All asks are
    written aside before the first batch is made, so that an error in between leaves none of them.
    """
    files.sweep(context.settings.processed)
    counts = [0] * len(plans)
    builds = [_as_it_stands(context, plan) for plan in plans]
    with ExitStack() as stack:
        drafts = [
            stack.enter_context(_Draft(context, plan)) if standing is None else None
            for plan, standing in zip(plans, builds, strict=True)
        ]
        for places, block in blocks_together(asks):
            for place in places:
                counts[place] += len(block)
                if (draft := drafts[place]) is not None:
                    draft.write(block)
        for place, draft in enumerate(drafts):
            if draft is not None and counts[place]:
                builds[place] = draft.settle([])
    return [each if count else None for each, count in zip(builds, counts, strict=True)]


def _as_it_stands(context: Context, plan: Plan) -> Made | None:
    """The batch of a plan that was made earlier. Raises UsageError, DataError where the name is somebody else's."""
    with context.ledger.read() as tx:
        standing = batches.find(tx, plan.name)
    if standing is None:
        taken.refuse_to_overwrite(context.settings.results / f"{plan.name}.jsonl")
        return None
    with context.ledger.write(standing.id) as tx:
        return _standing(context, tx, batches.by_id(tx, standing.id), plan)


class _Draft:
    """A batch on its way: its lines in files aside, its rows on a spool; nothing of it stays unless it is settled."""

    def __init__(self, context: Context, plan: Plan, onto: BatchRecord | None = None, suffix: str = "") -> None:
        """onto: the batch that the requests join. suffix: of the names of its further files."""
        self._context, self._plan, self._spec, self._onto = context, plan, plan.spec(), onto
        with context.ledger.read() as tx:
            self._nonce = onto.nonce if onto else _nonce(batches.ledger_id(tx), plan.name, self._spec)
        self._vendor = registry.get(plan.provider, context.settings)
        limits = self._vendor.LIMITS.lowered(*context.settings.limits(plan.provider))
        folder = context.settings.processed
        writer = PartWriter if plan.shards is None else partial(ShardWriter, shards=plan.shards)
        self._writer, self._spool = writer(folder, f"{plan.name}{suffix}", limits), Spool(folder)
        self._open = ExitStack()
        self._checked: set[tuple[bool, bool]] = set()
        self._lines = Lines(
            self._request, self._check, self._encode, self._brought, by_sample=plan.params.seed is not None
        )
        self._count = self._first = onto.n_requests if onto else 0  # requests
        self._columns: tuple[Mapping[str, Any] | None, str] = None, ""
        cache = PromptCache.of(self._spec)
        self._cached = None if cache is None else cache.parts

    def __enter__(self) -> Self:
        self._open.enter_context(self._writer)
        self._open.enter_context(self._spool)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add_all(self, asks: Iterable[Ask]) -> None:
        """Write lines and rows side by side. No transaction is open while this takes its time."""
        for block in blocks(asks):
            self.write(block)

    def write(self, asks: Sequence[Ask]) -> None:
        """`add_all` for requests that are few enough to be made at once."""
        item_ids, _, _, _, samples, columns, subject_ids, *_ = zip(*asks, strict=True)
        custom_ids = batch_file.wire_ids(self._count, self._nonce, item_ids)
        _, lines, contents = self._lines.made(custom_ids, asks)
        numbers = self._writer.add_all(custom_ids, lines)
        texts = columns if set(map(type, columns)) == {str} else list(map(self._columns_text, columns))
        self._spool.add((self._count, numbers, custom_ids, item_ids, samples, contents, texts, subject_ids))
        self._count += len(asks)

    def _columns_text(self, columns: Mapping[str, Any] | str) -> str:
        """Columns as JSON; those of an item's further samples, or judges, are the same object."""
        if isinstance(columns, str):
            return columns
        cached, text = self._columns
        if columns is not cached:
            text = files.dumps(columns if columns.__class__ is dict else dict(columns)).decode()
            self._columns = columns, text
        return text

    def _request(self, custom_id: str, ask: Ask) -> Request:
        plan = self._plan
        params = plan.params if ask.sample == 0 else _resampled(plan.params, ask.sample)
        return Request(custom_id, plan.model, ask.system, ask.parts, ask.schema, params, ask.data, self._cached)

    def _check(self, request: Request) -> None:
        if (kind := (request.has_image, request.data is None)) not in self._checked:  # all else is the same in a batch
            self._vendor.check(request, self._plan.can, self._plan.endpoint, self._plan.options.get("window"))
            self._checked.add(kind)

    def _encode(self, request: Request) -> Json:
        return self._vendor.encode(request, self._plan.can, self._plan.endpoint)

    def _brought(self, custom_id: str, ask: Ask) -> batch_file.Line:
        """A brought line, under the request's id."""
        request = self._request(custom_id, ask)
        self._check(request)
        return batch_file.line(request, (ask.line or {}) | {self._vendor.LINE.id: custom_id})

    def settle(self, hint_counts: list[int]) -> Made:
        """Make the batch: its files and its rows together. Raises DataError where nothing is asked."""
        context, plan = self._context, self._plan
        self._finish()
        data = payloads.data_name(plan.source.sha256)
        with context.ledger.write(names=[plan.name, data]) as tx:
            is_free = batches.find(tx, plan.name) is None
            if is_free:
                facts = {**_facts(context, plan, self._spec, self._nonce), "hint_counts": hint_counts}
                if STAGES in self._spec:
                    facts["options"] |= {STAGES: {"ends": [self._count]}}
                if plan.shards is not None:
                    facts["options"] |= {SHARDS: plan.shards}
                batch, parts = _insert(context, tx, facts, self._writer, self._spool)
        if not is_free:  # made by another process meanwhile
            if (standing := _as_it_stands(context, plan)) is None:
                raise StaleState(f"{plan.name} was deleted meanwhile", hint="run the same command again")
            return standing
        self._keep(
            (part.path, part.path, part.sha256) for part in parts
        )  # a delete may have removed the same meanwhile
        return Made(batch, tuple(part.path for part in parts), new=True, sizes=self._lines.sizes)

    def _finish(self) -> None:
        """Bring all lines to the disk. Raises DataError where nothing is asked."""
        if self._count == self._first:
            raise DataError(f"{self._plan.name}: there is nothing to ask", hint=_NOTHING[self._plan.kind])
        self._writer.sync()
        finished = self._writer.finished()
        self._keep((source, part.path, part.sha256) for source, part in finished)  # before the ledger names them

    def _keep(self, lines: Iterable[tuple[Path, Path, str]]) -> None:
        """Bring files of lines (where they lie, their name, their hash) and the data set to the store."""
        for source, path, sha256 in lines:
            payloads.keep(self._context, path, sha256, source=source)
        made_from = self._plan.source
        payloads.keep_data(self._context, made_from.location, made_from.path, made_from.sha256)

    def join(self, counts: Sequence[int]) -> BatchRecord | None:
        """Adds the requests to their batch as its next stage; None where another process was faster."""
        self._finish()
        with self._context.ledger.write(*([self._onto.id] if self._onto else [])) as tx:
            batch = batches.by_id(tx, self._onto.id) if self._onto else None
            stages = Stages.of(batch) if batch else None
            if batch is None or stages is None or batch.n_requests != self._first:
                return None
            parts = self._writer.settle()
            last = max(job.part for job in jobs.of_batch(tx, batch.id))
            _insert_jobs(self._context, tx, batch.id, parts, self._writer, self._spool, first_part=last + 1)
            progress = stages.progress(ends=(*stages.ends, self._count))
            hints = [one + more for one, more in zip(batch.hint_counts, counts, strict=True)]
            batches.note(
                tx, batch.id, n_requests=self._count, hint_counts=hints, options={**batch.options, STAGES: progress}
            )
            return batches.by_id(tx, batch.id)


@few_collections()
def grow(
    context: Context, plan: Plan, batch: BatchRecord, asks: Iterable[Ask], *, suffix: str, counts: list[int]
) -> BatchRecord | None:
    """Adds further requests to a batch as its next stage: files and rows together. None where they are there already.

    counts: as `make`'s hint_counts.
    """
    files.sweep(context.settings.processed)
    with _Draft(context, plan, batch, suffix) as draft:
        draft.add_all(asks)
        return draft.join(counts)


def _standing(context: Context, tx: Tx, standing: BatchRecord, plan: Plan) -> Made:
    """The batch that has the name already, at the plan's pace. Raises UsageError where it is another one."""
    taken.refuse_other(standing, plan.spec())
    taken.refuse_other_shards(standing, plan.shards)
    paths = tuple(context.settings.project / job.path for job in jobs.of_batch(tx, standing.id))
    changes = take_over(tx, standing, plan.options)
    if changes and (plan.kind is Kind.JUDGE or plan.retries_id):  # whose cards have no place for it
        context.say(f"{plan.name}: changed: {'; '.join(changes)}")
    return Made(batches.by_id(tx, standing.id), paths, new=False, changes=changes)


def _insert(
    context: Context, tx: Tx, facts: dict[str, Any], writer: PartWriter, spool: Spool
) -> tuple[BatchRecord, tuple[batch_file.PartFile, ...]]:
    """Give a batch's files their names and write its rows: together, or not at all."""
    taken.refuse_to_overwrite(context.settings.results / f"{facts['name']}.jsonl")
    parts = writer.settle()
    batch_id = batches.insert(tx, **{**facts, "n_requests": sum(part.requests for part in parts)})
    _insert_jobs(context, tx, batch_id, parts, writer, spool)
    return batches.by_id(tx, batch_id), parts


def _insert_jobs(
    context: Context,
    tx: Tx,
    batch_id: int,
    parts: Iterable[batch_file.PartFile],
    writer: PartWriter,
    spool: Spool,
    *,
    first_part: int = 0,
) -> None:
    """Write the rows of files that have their names: jobs, then their requests."""
    job_ids = [
        jobs.insert(
            tx,
            batch_id,
            part=first_part + number,
            path=str(part.path.relative_to(context.settings.project)),
            sha256=part.sha256,
            bytes=part.bytes,
            n_requests=part.requests,
            counts=[[None, None, part.requests, 0, 0, 0, 0]],
        )
        for number, part in enumerate(parts)
    ]
    first = batch_id << SEQ_BITS
    for place, numbers, *columns in spool:
        ids = range(first + place, first + place + len(numbers))
        request_rows.insert(tx, [ids, [job_ids[number] for number in writer.placed(place, numbers)], *columns])


_NOTHING = {
    Kind.PREDICTION: "check --limit, --split and the data set",
    Kind.JUDGE: "none of the judged batch's requests is answered; batchflow show NAME says why",
}


def _resampled(params: Params, sample: int) -> Params:
    """Parameters of a further sample: with the first one's seed a vendor would give the first one's answer again."""
    return params if params.seed is None else replace(params, seed=sample_seed(params.seed, sample))


def sample_seed(seed: int, sample: int) -> int:
    """The seed of an item's further sample, below 2**31, which every vendor and engine takes.

    It is a hash of both numbers: with their sum, sample j of one seed would be sample j - 1 of the next seed. It never
    changes, as a retry asks a sample again under its seed.
    """
    digest = hashlib.blake2b(f"sample {sample} of seed {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 33


def _facts(context: Context, plan: Plan, spec: Json, nonce: str) -> dict[str, Any]:
    """Columns of the batch's row, as far as the plan tells them."""
    return {
        "name": plan.name,
        "kind": plan.kind.value,
        "parent_id": plan.parent_id,
        "retries_id": plan.retries_id,
        "provider": plan.provider,
        "model": plan.model,
        "endpoint": plan.endpoint,
        "task": plan.task,
        "split": plan.split,
        "hints": plan.hints,
        "dataset": plan.source.location,
        "dataset_path": str(plan.source.path.resolve()),  # later steps may be called from elsewhere
        "dataset_sha256": plan.source.sha256,
        "template": _where(plan.template),
        "template_sha256": plan.template.sha256,
        "params": asdict(plan.params),
        "options": dict(plan.options),
        "spec": spec,
        "spec_sha256": taken.digest(spec),
        "nonce": nonce,
        "notes": list(plan.notes),
        "rehearsal": context.settings.rehearsal,
        "created_at": context.clock(),
    }


def _where(template: Template) -> str:
    """A template's name; a file's is kept absolute, since later steps may be called from elsewhere."""
    return str(Path(template.name).resolve()) if templates.is_file(template.name) else template.name


def _nonce(ledger_id: str, name: str, spec: Json) -> str:
    """Salt of a batch's custom_ids: the same when a killed `prepare` is run again, another in another ledger."""
    return hashlib.sha256(f"{ledger_id} {name} {taken.digest(spec)}".encode()).hexdigest()[:8]
