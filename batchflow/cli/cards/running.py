"""Cards of `run` and `tick`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchflow.cli.cards import money
from batchflow.cli.cards.base.card import Card, Column, table_of, title
from batchflow.cli.cards.base.text import counted
from batchflow.cli.cards.judging import share

if TYPE_CHECKING:
    from batchflow.steps.running.run import RunReport, RunRow
    from batchflow.steps.running.tick import TickReport, TickRow
    from batchflow.steps.verbs.evaluation.compare import ModelPair


def ran(report: RunReport) -> Card:
    """A run: a row for each of its batches, and the pairs where there are several."""
    rows = [("Step", f"{report.until}: {'done' if report.finished else 'not reached yet'}")]
    if report.field:
        rows.append(("Field", report.field))
    unanswered: dict[str, int] = {}
    for row in report.batches:
        for kind, count in row.unanswered.items():
            unanswered[kind] = unanswered.get(kind, 0) + count
    if unanswered:
        rows.append(("Unanswered", counted(unanswered)))
    if lost := [f"{row.lost_votes:,} of {row.handle}" for row in report.batches if row.lost_votes]:
        rows.append(("Lost votes", ", ".join(lost)))
    rows += _money(report)
    rows += [("Stages", f"{row.handle} {_stages(row.stages)}") for row in report.batches if row.stages]
    rows += [("Difference", _pair(pair)) for pair in report.pairs]
    if report.report:
        rows.append(("Report", report.report))
    notes = tuple(f"{row.name}: {row.trouble}" for row in report.batches if row.trouble) + report.notes
    name = f"run of {len(report.batches)} {'batch' if len(report.batches) == 1 else 'batches'}"
    table = table_of(_RUN, report.batches)
    return Card(
        title(name, report.rehearsal), report.next, tuple(rows), table, notes, report.rehearsal, folds=True,
        more=table_of(_RUN_MORE, report.batches),
    )  # fmt: skip


_RUN: tuple[Column[RunRow], ...] = (
    Column("", lambda row: row.handle),
    Column("batch", lambda row: title(row.name, row.rehearsal)),
    Column("answered", lambda row: f"{row.answered:,}/{row.requests:,}"),
    Column("score", lambda row: share(row.score)),
    Column("interval", lambda row: "-" if row.score is None else f"{share(row.ci_low)} – {share(row.ci_high)}"),
    Column("next", lambda row: "stuck" if row.trouble else row.due),
)
_RUN_MORE: tuple[Column[RunRow], ...] = (
    Column("", lambda row: row.handle),
    Column("retries", lambda row: f"{row.retries}"),
    Column("judges", lambda row: f"{row.judges}"),
    Column("lost votes", lambda row: "-" if row.lost_votes is None else f"{row.lost_votes:,}"),
    Column("pending", lambda row: f"{row.pending:,}"),
)


def _money(report: RunReport) -> list[tuple[str, str]]:
    """Rows with the estimate from before this command sent anything, and the cost so far."""
    estimate = report.estimate
    tokens = f"{estimate.input_low:,} to {estimate.input_high:,} tokens in, {estimate.output_low:,} to {estimate.output_high:,} out"
    ends = "price unknown" if estimate.high_usd is None else money.between(estimate.low_usd, estimate.high_usd)
    cap = "" if estimate.max_cost_usd is None else f"; cap {money.usd(estimate.max_cost_usd)}"
    cost = report.cost
    rows = [("Estimate", f"{ends}{cap}; {estimate.requests:,} requests, {tokens}, {estimate.jury_text}")]
    return [*rows, *money.row(cost)] if cost.is_free or cost.requests else rows


def _stages(stages: dict[str, Any]) -> str:
    """Progress of a batch that is sent in stages, and why it ended."""
    why = {"precise": "stopped, precise enough", "decided": "stopped, decided"}.get(stages["reason"])
    end = why or ("all items are asked" if stages["made"] == stages["of"] else "goes on")
    return f"{stages['made']} of {stages['of']}: {stages['items']:,} of {stages['planned']:,} items; {end}"


def _pair(pair: ModelPair) -> str:
    numbers = pair.numbers
    low, high, looks = numbers.interval.low, numbers.interval.high, ""
    if pair.anytime is not None:
        low, high, looks = pair.anytime.last.low, pair.anytime.last.high, " at every look"
    difference = f"{100 * numbers.difference:+.1f} points [{share(low)} – {share(high)}{looks}]"
    if looks:
        return f"{numbers.a} − {numbers.b}: {difference}"
    return f"{numbers.a} − {numbers.b}: {difference}, p {numbers.p_holm:.2g}"


def ticked(report: TickReport) -> Card:
    """Batches that are open or moved."""
    rows = (
        ("Open", f"{report.open:,} {'batch' if report.open == 1 else 'batches'}"),
        ("Runs", f"{report.runs:,} not finished"),
    )
    table = table_of(_MOVED, report.batches) if report.batches else ()
    notes = tuple(f"{row.name}: {row.trouble}" for row in report.batches if row.trouble)
    return Card("tick", report.next, rows, table, notes)


_MOVED: tuple[Column[TickRow], ...] = (
    Column("", lambda row: row.handle),
    Column("batch", lambda row: title(row.name, row.rehearsal)),
    Column("state", lambda row: row.state if row.before == row.state else f"{row.before} → {row.state}"),
)
