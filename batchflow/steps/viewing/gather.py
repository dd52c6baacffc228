"""Contents of a report, gathered from the ledger: scores, comparison, outcomes, and the making of each batch."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as member
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from batchflow import __version__
from batchflow.errors import BatchflowError, NotReady
from batchflow.ledger import Tx, batches, labels, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.records import Kind
from batchflow.report.data import BatchPart, ReportData
from batchflow.steps.base.answer_form import Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.money import billing
from batchflow.steps.base.progress.failure_reasons import reasons
from batchflow.steps.base.progress.stages import STAGES, Stages
from batchflow.steps.judging.ballot import label
from batchflow.steps.verbs.evaluation.compare import CompareOptions, CompareReport, compare
from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreOptions, ScoreReport, score
from batchflow.steps.viewing import costs
from batchflow.steps.viewing.bias import with_biases
from batchflow.steps.viewing.items import shown
from batchflow.tasks.neutral import OPTIONS

_MOST_GROUPS = 12
"""Values of a column that is shown by itself, at most."""

_MOST_COLUMNS = 3
_ROWS = 20_000  # rows whose columns are looked at
_LIBRARIES = ("numpy", "scipy", "sqlalchemy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The flags of `report`. by: columns to group by; None for those with few values. bias: test the judges."""

    field: str | None = None
    by: tuple[str, ...] | None = None
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0
    extract: tuple[str, ...] = ()
    bias: bool = False


def chosen(context: Context, names: Sequence[str]) -> list[BatchRecord]:
    """The batches of a report: the named ones, or all that have answers. Raises UnknownBatch, NotReady."""
    with context.ledger.read() as tx:
        if names:
            return list({batch.id: batch for batch in (_root(tx, name) for name in names)}.values())
        records = [b for b in batches.listing(tx) if b.kind is Kind.PREDICTION and b.retries_id is None]
        answered = [batch for batch in records if batch.results_path is not None]
    if not answered:
        raise NotReady("no batch has results yet", hint="batchflow results NAME")
    return answered


def _root(tx: Tx, name: str) -> BatchRecord:
    """The batch that a name speaks of: what a judge judges, what a retry mends."""
    batch = batches.get(tx, name.rpartition("/")[2].removesuffix(".jsonl"))
    if batch.kind is Kind.JUDGE and batch.parent_id is not None:
        batch = batches.by_id(tx, batch.parent_id)
    return batch if batch.retries_id is None else batches.by_id(tx, batch.retries_id)


@dataclass(frozen=True, slots=True)
class Computed:
    """Results that whoever asks for a report has at hand: scores by batch, and the comparison of all batches."""

    scores: Mapping[str, BatchScore] = member(default_factory=dict)
    comparison: CompareReport | None = None


def gather(
    context: Context, records: Sequence[BatchRecord], options: ReportOptions, computed: Computed | None = None
) -> ReportData:
    """Everything but the items. A batch that cannot be scored stands in it with the reason.

    computed: scores and comparison on the same field, with groups by the same columns; all others are computed here.
    """
    ready = computed or Computed()
    columns = options.by if options.by is not None else few_valued(context, records)
    parts, rows = [], list[BatchScore]()
    for batch in records:
        own = ready.scores.get(batch.name)
        row = _scored(context, batch, replace(options, by=columns)) if own is None else _shown(own)
        rows += [row] if isinstance(row, BatchScore) else []
        parts.append(_part(context, batch, row, options))
    parts.sort(key=lambda part: -float(part.summary.get("score", -1.0)))
    judged = [part for part in parts if part.summary]
    pairs, notes = _compared(context, [part.name for part in judged], options, ready.comparison)
    biases, bias_notes = _biases(context, rows, options)
    with context.ledger.read() as tx:
        cost, cost_notes = costs.of_batches(tx, records)
    return ReportData(
        title=parts[0].name if len(parts) == 1 else f"{len(parts)} batches",
        made_at=f"{context.clock():%Y-%m-%dT%H:%M:%SZ}",
        field=options.field or ", ".join(dict.fromkeys(str(part.summary["field"]) for part in judged)),
        level=options.level,
        batches=tuple(parts),
        pairs=pairs,
        columns=columns,
        notes=notes,
        versions=tuple(_versions(options)),
        cost=cost,
        cost_notes=cost_notes,
        biases=biases,
        bias_notes=bias_notes,
    )


_Rows = tuple[dict[str, Any], ...]


def _compared(
    context: Context, names: Sequence[str], options: ReportOptions, ready: CompareReport | None
) -> tuple[_Rows, tuple[str, ...]]:
    """Pairs of judged batches, as `compare --json` has them, and its notes."""
    if len(names) < 2:
        return (), ()
    compare_options = CompareOptions(
        field=options.field,
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
        extract=options.extract,
    )
    try:
        comparison = ready or compare(context, names, compare_options)
    except BatchflowError as error:
        return (), (f"the batches are not compared: {error}",)
    return tuple(pair.to_json() for pair in comparison.pairs), comparison.notes


def _biases(context: Context, rows: Sequence[BatchScore], options: ReportOptions) -> tuple[_Rows, tuple[str, ...]]:
    """Tests of the judges' biases, as `score --bias --json` has them, and what could not be tested."""
    if not options.bias:
        return (), ()
    if not rows:
        return (), ("no batch has a score, so no bias was tested",)
    score_options = ScoreOptions(field=options.field, level=options.level, seed=options.seed, extract=options.extract)
    report = with_biases(context, ScoreReport("", tuple(rows), (), ""), score_options)
    return tuple(asdict(each) for each in report.biases), report.notes


def _scored(context: Context, batch: BatchRecord, options: ReportOptions) -> BatchScore | str:
    """A batch's score, or why it has none."""
    score_options = ScoreOptions(
        field=options.field,
        by=options.by or (),
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
        extract=options.extract,
    )
    try:
        row = score(context, [batch.name], score_options).batches[0]
    except BatchflowError as error:
        return str(error)
    return _shown(row)


def _shown(row: BatchScore) -> BatchScore | str:
    """A score, or why there is none."""
    return row if row.score else str(row.trouble)


def _corrected(context: Context, batch: BatchRecord, field: str, options: ReportOptions) -> dict[str, Any]:
    """The score that human labels correct; empty where there are none for it."""
    with context.ledger.read() as tx:
        if next(labels.of_batch(tx, batch.id), None) is None:
            return {}
    score_options = ScoreOptions(
        field=field, method="ppi", level=options.level, seed=options.seed, extract=options.extract
    )
    try:
        jury_score = score(context, [batch.name], score_options).batches[0].score
    except BatchflowError:  # too few labels, or none on this field: the section says how many there are
        return {}
    return jury_score.to_json() if jury_score else {}


def _part(context: Context, batch: BatchRecord, row: BatchScore | str, options: ReportOptions) -> BatchPart:
    scored = row if isinstance(row, BatchScore) else None
    summary = scored.score.to_json() if scored and scored.score else {}
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
        why = reasons(tx, batch, tally)
        judges = batches.judges_of(tx, batch.id)
        served = sorted(request_rows.models(tx, batch.id))
        cost = costs.in_words(billing.cost_of_run(tx, batch).total)
        of_judges = [(label(judge), tuple(_made(judge, sorted(request_rows.models(tx, judge.id))))) for judge in judges]
    outcomes = {**tally.unanswered, **({"pending": tally.pending} if tally.pending else {})}
    if scored and scored.score and scored.score.extract != Form.of(batch).chain.names:
        outcomes = {kind: int(each["items"]) for kind, each in scored.unanswered.items()}
        if cut := outcomes.pop("cut_off", 0):
            outcomes["unparsed"] = outcomes.get("unparsed", 0) + cut
    return BatchPart(
        name=batch.name,
        provider=batch.provider,
        model=batch.model,
        task=batch.task,
        split=batch.split,
        rehearsal=batch.rehearsal or any(judge.rehearsal for judge in judges),
        requests=tally.requests,
        answered=tally.requests - sum(outcomes.values()),
        outcomes=outcomes,
        reasons=tuple(asdict(reason) for reason in why if reason.kind in outcomes),
        tokens={
            "input_tokens": tally.input_tokens,
            "cached_tokens": tally.cached_tokens,
            "output_tokens": tally.output_tokens,
            "reasoning_tokens": tally.reasoning_tokens,
        },
        cost=cost,
        made=tuple(_made(batch, served)),
        judges=tuple(of_judges),
        summary=summary,
        corrected=_corrected(context, batch, str(summary["field"]), options) if summary else {},
        trouble=row if isinstance(row, str) else "",
        left_out=scored.left_out if scored else {},
    )


def _made(batch: BatchRecord, served: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Facts about the making of a batch, in words."""
    yield "Provider", batch.provider
    yield "Model", batch.model
    if served:
        yield "Models as served", ", ".join(served)
    yield "Task", f"{batch.task}, split {batch.split}" + (f", hints {batch.hints}" if batch.hints else "")
    yield "Data set", batch.dataset
    yield "Data set sha256", batch.dataset_sha256
    yield "Prompt template", batch.template
    yield "Template sha256", batch.template_sha256
    for name, value in sorted({**batch.params, **batch.options}.items()):
        if value is not None and name not in {"base_url", STAGES}:
            yield name.replace("_", " ").capitalize(), shown(value)
    for name in ("samples", "judge_samples", "cascade", "extract"):
        if batch.spec.get(name):
            entry = batch.spec[name]
            yield name.replace("_", " ").capitalize(), ", ".join(entry) if isinstance(entry, list) else shown(entry)
    if (stages := Stages.of(batch)) is not None:
        yield "Stages", f"{stages.text}; order seed {stages.seed}"
    yield "Requests", f"{batch.n_requests:,}"
    yield "Prepared", f"{batch.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if batch.results_at is not None:
        yield "Results", f"{batch.results_at:%Y-%m-%d %H:%M:%S} UTC"
    if batch.results_sha256:
        yield "Results sha256", batch.results_sha256


def _versions(options: ReportOptions) -> Iterator[tuple[str, str]]:
    yield "batchflow", __version__
    yield "Python", platform.python_version()
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
    yield "Seed", str(options.seed)
    yield "Resamples", f"{options.resamples:,}"


def few_valued(context: Context, records: Sequence[BatchRecord]) -> tuple[str, ...]:
    """Columns that all batches have, with 2 to _MOST_GROUPS values each; the first _MOST_COLUMNS."""
    by_batch = [_values(context, batch) for batch in records]
    names = [name for name in by_batch[0] if all(name in values for values in by_batch)]
    fit = [name for name in names if all(2 <= len(values[name]) <= _MOST_GROUPS for values in by_batch)]
    return tuple(fit[:_MOST_COLUMNS])


def _values(context: Context, batch: BatchRecord) -> dict[str, set[str]]:
    """The values of each column of a batch's first rows, as far as they are few."""
    values: dict[str, set[str]] = {}
    with context.ledger.read() as tx:
        for number, request in enumerate(request_rows.stream(tx, batch.id)):
            if number == _ROWS:
                break
            for name, value in request.groups.items():
                own = values.setdefault(name, set())
                if name not in {OPTIONS, "context"} and len(own) <= _MOST_GROUPS:
                    own.add(shown(value))
    return values
