"""import: predictions and verdicts that people bring become batches of the ledger, as if a vendor had given them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow import files
from batchflow.batch_file import NAME_LENGTH, safe
from batchflow.errors import DataError, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind
from batchflow.layouts.base import Brought, Key
from batchflow.ledger import request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.records import Capabilities, Kind, Outcome, Params
from batchflow.settings import IMPORT
from batchflow.steps.base.context import Context
from batchflow.steps.base.options import BroughtOptions, source_of, split_of, task_of
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Made, Plan, make
from batchflow.steps.building.names import free_name
from batchflow.steps.building.sources import recorded_source
from batchflow.steps.collecting.fetch import ResultsReport, results
from batchflow.steps.collecting.poll import get
from batchflow.steps.judging import judge_files
from batchflow.steps.verbs.submission.start import start
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task
from batchflow.vendors import registry as vendors

_FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions(BroughtOptions):
    """The flags of `import predictions`. provider: whose model gave the answers; None: not known."""

    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """A batch made of brought answers. requests: items of the data set; those without a row are `missing`."""

    name: str
    handle: str
    new: bool
    provider: str
    model: str
    task: str
    split: str
    requests: int
    outcomes: dict[str, int]
    parsed: dict[str, int]
    path: str
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def predictions(context: Context, path: Path, options: ImportOptions | None = None) -> ImportReport:
    """Bring one's own predictions {custom_id, answer, model} into the ledger. The same file twice is a no-op.

    Raises DataError for rows that no item of the data set fits or that answer one twice, UsageError for several models.
    """
    options = options or ImportOptions()
    if options.provider:
        options = replace(options, provider=vendors.vendor_word(options.provider))
    return bring(context, [path], options, lambda _: judge_files.read_rows(path, options.model))


def bring(
    context: Context,
    paths: Sequence[Path],
    options: ImportOptions,
    read: Callable[[Iterable[str]], Sequence[Brought]],
) -> ImportReport:
    """Make a batch of the rows that `read` gives, which is told the ids of the data set's items. Raises as above."""
    task, path = task_of(context, options.task, options.dataset), paths[0]
    split = split_of(context, task, options.split)
    source = source_of(context, task, split, options.dataset, options.map)
    item_ids = dict.fromkeys(item.id for item in task.items(source, split))
    rows = _by_item(path, read(item_ids))
    _check_items(path, rows, item_ids, source, split)
    model = options.model or _only_model(path, rows)
    plan = Plan(
        name=free_name(context, path, options.name, (context.settings.results,)),
        kind=Kind.PREDICTION,
        provider=IMPORT,
        model=model,
        endpoint=vendors.get(IMPORT).ENDPOINTS[0],
        task=task.NAME,
        split=split,
        hints=options.hints,
        source=source,
        template=task.template(split, None),
        params=Params(),
        can=Capabilities(),
        options={"vendor": options.provider} if options.provider else {},
        extra={
            "file_sha256": _sha256(paths),
            "samples": 1 + max(sample for _, sample in rows),
            **tasks.recorded(task),
        },
        notes=(f"imported from {', '.join(each.name for each in paths)}",),
    )
    build = make(context, plan, _prediction_asks(task, source, split, rows))
    return _report(build, _brought_home(context, build), options.provider or "")


def _sha256(paths: Sequence[Path]) -> str:
    """The hash of a file or folder; of several, the hash of their hashes."""
    hashes = [files.sha256_of(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else files.digest("".join(hashes).encode())


def verdicts(context: Context, parent: BatchRecord, paths: Sequence[Path], kind: JudgeKind) -> list[str]:
    """Bring judge files about a batch's answers into the ledger, one judge batch per judge; returns their names.

    Raises DataError for rows about answers that the batch does not have, and for a judge that votes twice.
    """
    judges = judge_files.by_judge(paths)
    with context.ledger.read() as tx:
        subjects = {
            (request.item_id, request.sample): request.id
            for request in request_rows.outcomes(tx, parent.id)
            if request.has_answer
        }
    names = []
    for judge, cast in judges.items():
        build = make(context, _verdict_plan(parent, judge, cast, kind), _verdict_asks(parent, cast, subjects, kind))
        _brought_home(context, build)
        names.append(build.batch.name)
    return names


def _brought_home(context: Context, build: Made) -> ResultsReport:
    """Start, get and results at once, since no vendor is involved; an import that was cut short goes on here."""
    start(context, build.batch.name)
    get(context, build.batch.name, refresh_after_s=0.0)
    return results(context, build.batch.name, refresh_after_s=0.0)


def _by_item(path: Path, rows: Sequence[Brought]) -> dict[Key, Brought]:
    by_item: dict[Key, Brought] = {}
    for row in rows:
        standing = by_item.setdefault(row.key, row)
        if standing is not row:
            raise DataError(
                f"item {row.key[0]} is answered twice: {standing.where}, and {row.where}",
                hint=f"leave one of them in {path.name}; repeated answers are told apart by a `sample` column",
            )
    return by_item


def _check_items(path: Path, rows: Mapping[Key, Brought], item_ids: Container[str], source: Source, split: str) -> None:
    strange = [row for (item, _), row in rows.items() if item not in item_ids]
    if strange:
        ids = ", ".join(row.key[0] for row in strange[:_FEW])
        raise DataError(
            f"{strange[0].where}, field custom_id: {len(strange):,} of {len(rows):,} rows of {path.name} are about "
            f"items that {source.location} does not have in split {split}: {ids}",
            hint="name the data set that was answered with --task, --dataset and --split",
        )


def _only_model(path: Path, rows: Mapping[Key, Brought]) -> str:
    models = sorted({row.model for row in rows.values() if row.model or row.text is not None})
    if len(models) != 1:
        raise UsageError(
            f"{path} holds answers of {len(models)} models: {', '.join(models)}",
            hint="one file for each model, or --model NAME if they are one",
        )
    return models[0]


def _prediction_asks(task: Task, source: Source, split: str, rows: Mapping[Key, Brought]) -> Iterator[Ask]:
    """One request per brought row in the order of the data set, and one for each item that has none."""
    samples: dict[str, list[int]] = {}
    for item_id, sample in sorted(rows):
        samples.setdefault(item_id, []).append(sample)
    for item in task.items(source, split):
        for sample in samples.get(item.id, [0]):
            row = rows.get((item.id, sample))
            data = {"row": dict(row.row) if row else None}
            # a system text of its own keeps items apart whose rows are alike
            yield Ask(item.id, item.id, (), task.ANSWER, sample, task.columns(item), data=data)


def _verdict_plan(parent: BatchRecord, judge: str, cast: Mapping[Key, Brought], kind: JudgeKind) -> Plan:
    task = tasks.of_spec(parent.task, parent.spec)
    other = "" if kind.NAME == task.JUDGED_BY else f"_as_{safe(kind.NAME)}"
    digest = files.digest(files.dumps([row.row for row in cast.values()]))
    return Plan(
        name=f"judge_{parent.name}_by_{safe(judge)}"[: NAME_LENGTH - len(other)] + other,
        kind=Kind.JUDGE,
        provider=IMPORT,
        model=judge,
        endpoint=vendors.get(IMPORT).ENDPOINTS[0],
        task=parent.task,
        split=parent.split,
        hints=parent.hints,
        source=recorded_source(parent),
        template=kind.template(parent.split, None),
        params=Params(),
        can=Capabilities(),
        extra={"judges": parent.name, "rows_sha256": digest, **kinds.recorded(kind), **tasks.recorded(task)},
        parent_id=parent.id,
    )


def _verdict_asks(
    parent: BatchRecord, cast: Mapping[Key, Brought], subjects: Mapping[Key, int], kind: JudgeKind
) -> Iterator[Ask]:
    for key, row in cast.items():
        if key not in subjects:
            if row.text is None:
                continue  # no vote on an answer that is not there
            raise DataError(
                f"{row.where}, field custom_id: {parent.name} has no answer to item {key[0]} that could be judged"
            )
        yield Ask(key[0], key[0], (), kind.SCHEMA, key[1], {}, subjects[key], {"row": dict(row.row)})


def _report(build: Made, results: ResultsReport, provider: str) -> ImportReport:
    batch = build.batch
    missing = results.outcomes.get(Outcome.MISSING.value, 0)
    notes = tuple(batch.notes) if build.new else ("this batch is in the ledger already; nothing was changed",)
    if missing:
        notes += (f"{missing:,} of {batch.n_requests:,} items have no answer in the file; they count as missing",)
    if not provider:
        notes += ("whose model it is was not said (--provider): no judge is left out for being of the same vendor",)
    return ImportReport(
        batch.name, batch.handle, build.new, provider, batch.model, batch.task, batch.split, batch.n_requests,
        results.outcomes,
        results.parsed, results.path, notes, batch.rehearsal, results.next,
    )  # fmt: skip
