"""estimate: what a batch and its jury will cost, before anything is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchflow.errors import UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind
from batchflow.ledger import Ledger, batches, jobs
from batchflow.ledger.records import BatchRecord
from batchflow.prices.estimates import LIKELY_RATIO, Estimate, Seen, estimate
from batchflow.prices.sizes import Sizes
from batchflow.settings import VENDORS
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import RunCost, cost_of_run, family
from batchflow.steps.base.money.estimating import caching_of, estimate_of, price_of, seen_of, sizes_of
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.judging.panel import Judge, panel_of
from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import traits_of

JUDGE_LIMITS = {"anthropic": 16_000}
"""Token limits that a vendor's module sends for a judge that has none of its own."""

MORE_TEXT = 3_000
"""Bytes that a judge reads beside question and answer: its instructions, the reference, the schema."""


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """One batch of the run. role: answers, retry or judge. made: False for a judge batch that does not exist yet."""

    name: str
    role: str
    provider: str
    model: str
    made: bool
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class EstimateReport:
    """Report of `estimate`. low_usd, high_usd: of all batches together; None where a price is not known.

    spent: what the run has cost so far. batches that are done are in their rows with what they were expected to cost.
    """

    name: str
    batches: tuple[EstimateRow, ...]
    low_usd: float | None
    high_usd: float | None
    spent: RunCost | None
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def estimate_batch(
    context: Context, name: str, judges: Sequence[str] = (), *, with_jury: bool = True, samples: int = 1
) -> EstimateReport:
    """Cost of a prepared batch, and of its jury. Raises UnknownBatch, UsageError.

    judges: as for `jury`; without any, those that exist, else the panel that `jury` would choose.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        root, retries, jury = family(tx, batch)
        spent = cost_of_run(tx, root)
    rows = [_row(context, one, role) for role, them in (("answers", [root]), ("retry", retries)) for one in them]
    notes: tuple[str, ...] = ()
    if with_jury and jury and not judges:
        rows += [_row(context, one, "judge") for one in jury]
    elif with_jury:
        planned, notes = _planned(context, root, judges, samples, rows[0].estimate)
        rows += planned
    return _report(root, rows, spent, notes, f"batchflow start {root.name}")


def estimate_prepared(
    context: Context, options: PrepareOptions, judges: Sequence[str] = (), *, with_jury: bool = True, samples: int = 1
) -> EstimateReport:
    """Cost of a batch that `prepare` would make: it is made in a folder that is thrown away. Raises as `prepare`."""
    with tempfile.TemporaryDirectory(prefix="batchflow-") as folder:
        environment = {**context.settings.environment, "BATCHFLOW_STORE": ""}  # nothing of it is kept
        url = f"sqlite:///{folder}/batchflow.db"
        aside = replace(context.settings, project=Path(folder), database_url=url, environment=environment)
        ledger = Ledger.open(aside.database_url)
        try:
            there = replace(context, ledger=ledger, settings=aside)
            name = prepare(there, options).name
            with ledger.read() as tx:
                batch = batches.get(tx, name)
                sizes = sizes_of(there, jobs.of_batch(tx, batch.id), batch.model)
            with context.ledger.read() as tx:
                seen = seen_of(tx, batch)
            with ledger.read() as tx:
                caching = caching_of(tx, batch, jobs.of_batch(tx, batch.id))
            expected = estimate(sizes, price_of(context, batch.provider, batch.model), seen, caching)
            rows = [EstimateRow(name, "answers", batch.provider, batch.model, False, expected)]
            notes: tuple[str, ...] = ()
            if with_jury:
                planned, notes = _planned(context, batch, judges, samples, expected, sizes)
                rows += planned
        finally:
            ledger.close()
    return _report(batch, rows, None, notes, "batchflow prepare (with the same options)")


def planned_jury(
    context: Context, root: BatchRecord, judges: Sequence[str], *, samples: int = 1, kind: JudgeKind | None = None
) -> list[EstimateRow]:
    """The judge batches that `jury` would make for a prepared batch. kind: None for the one that suits the task."""
    answers = _row(context, root, "answers").estimate
    return _planned(context, root, judges, samples, answers, kind=kind)[0]


def _row(context: Context, batch: BatchRecord, role: str) -> EstimateRow:
    with context.ledger.read() as tx:
        parts = jobs.of_batch(tx, batch.id)
    return EstimateRow(batch.name, role, batch.provider, batch.model, True, estimate_of(context, batch, parts))


def _planned(
    context: Context, root: BatchRecord, judges: Sequence[str], samples: int, answers: Estimate,
    sizes: Sizes | None = None, kind: JudgeKind | None = None,
) -> tuple[list[EstimateRow], tuple[str, ...]]:  # fmt: skip
    """The judge batches that `jury` would make, from the size of the questions and of the answers to come."""
    task = tasks.of_spec(root.task, root.spec)
    judge_kind = kind or kinds.suiting(task.JUDGED_BY, task.JUDGE_FACTS)
    panel, notes = panel_of(context, root, list(judges), LocalFlags(), judge_kind)
    with context.ledger.read() as tx:
        text = (sizes or sizes_of(context, jobs.of_batch(tx, root.id))).text_bytes
        rows = []
        for judge in panel:
            alike = _as_judge(root, judge)
            rows.append(_judge_row(context, root, judge, samples, text, answers, seen_of(tx, alike)))
    return rows, notes


def _as_judge(root: BatchRecord, judge: Judge) -> BatchRecord:
    from dataclasses import asdict

    from batchflow.records import Kind

    return replace(
        root, id=-1, kind=Kind.JUDGE, provider=judge.provider, model=judge.model, params=asdict(judge.params), spec={},
    )  # fmt: skip


def _judge_row(
    context: Context, root: BatchRecord, judge: Judge, samples: int, text: int, answers: Estimate, seen: Seen
) -> EstimateRow:
    """One judge: it reads each question with its answer."""
    by_rule = traits_of(judge.provider).judges_only
    count = root.n_requests * (1 if by_rule else samples)
    output = round(answers.output_high / max(answers.requests, 1) / LIKELY_RATIO) if answers.requests else 0
    each = text // max(root.n_requests, 1) + MORE_TEXT + min(output, 4_000)
    limit = judge.params.max_tokens or JUDGE_LIMITS.get(judge.provider, 0)
    sizes = Sizes()
    sizes.add(each, 0, limit, count)
    expected = estimate(sizes, price_of(context, judge.provider, judge.model), seen)
    name = f"judge of {root.name} by {judge.label}"
    return EstimateRow(name, "judge", judge.provider, judge.model, False, expected)


def _report(
    batch: BatchRecord, rows: Sequence[EstimateRow], spent: RunCost | None, notes: tuple[str, ...], follow: str
) -> EstimateReport:
    lows, highs = ([getattr(row.estimate, f"{end}_usd") for row in rows] for end in ("low", "high"))
    return EstimateReport(batch.name, tuple(rows), total(lows), total(highs), spent, notes, batch.rehearsal, follow)


def total(values: Sequence[float | None]) -> float | None:
    """The sum of amounts; None where one of them is not known."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) if len(numbers) == len(values) else None


def refuse_both(names: Sequence[str], given: Sequence[str]) -> None:
    """Raise UsageError for a batch's name beside options that describe another batch."""
    if names and given:
        raise UsageError(
            f"{', '.join(given)}: {names[0]} is prepared already, and these would make another batch",
            hint=f"name the batch alone, or leave the name out; vendors: {', '.join(VENDORS)}",
        )
