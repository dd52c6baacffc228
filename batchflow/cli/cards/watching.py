"""Card of `watch`, and progress in the card of `get`. Pure: a report in, values out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from batchflow.cli.cards import money
from batchflow.cli.cards.base.card import Card, title
from batchflow.cli.cards.base.text import span

if TYPE_CHECKING:
    from batchflow.steps.collecting.progress_report import GetReport
    from batchflow.steps.watching.report import BatchRow, CostRow, WatchReport


def watched(report: WatchReport) -> Card:
    """A row for each batch, and what holds some of them up."""
    head = ("", "batch", "state", "rows", "cost", "end")
    table = (head, *(_row(row, report.at) for row in report.batches))
    notes = tuple(
        f"{row.name}: {problem.kind}: {problem.text}; what to do: {problem.advice}"
        for row in report.batches
        for problem in row.problems
    )
    count = len(report.batches)
    name = f"{count} {'batch' if count == 1 else 'batches'}"
    return Card(name, report.next, table=table if report.batches else (), notes=notes)


def _row(row: BatchRow, at: str) -> tuple[str, ...]:
    over = row.done + row.failed + row.cancelled
    is_uncounted = not over and any(job.counting == "none" for job in row.jobs)
    return (
        row.handle, title(row.name, row.rehearsal), row.state,
        f"{'?' if is_uncounted else f'{over:,}'}/{row.requests:,}", _cost(row.cost), _end(row, at)
    )  # fmt: skip


def _cost(cost: CostRow) -> str:
    if cost.is_free:
        return "free"
    if cost.unpriced and cost.low_usd is None:
        return "price unknown"
    if not cost.billed and not cost.estimated:
        return "-"
    return ("about " if cost.estimated else "") + money.between(cost.low_usd, cost.high_usd)


def _end(row: BatchRow, at: str) -> str:
    if row.expected_end is None:
        return "unknown" if row.unknown_end else "over"
    left = (datetime.fromisoformat(row.expected_end.likely) - datetime.fromisoformat(at)).total_seconds()
    return f"{span(left)} left" if left >= 1 else "any moment"


def told_counts(report: GetReport) -> str:
    """Outcomes of a batch's requests, else their progress; empty before anything is known."""
    counts, progress = report.counts, ("pending", "done", "failed")
    if not (counts["done"] or counts["failed"]) and any(job.counting == "none" for job in report.jobs):
        return "not counted by its vendor"
    outcomes = [kind for kind in counts if kind not in {"requests", *progress}]
    if outcomes == ["cancelled"]:  # told beside the vendor's counts as well
        outcomes = [*progress, "cancelled"]
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in outcomes or progress if counts.get(kind))
