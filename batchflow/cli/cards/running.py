"""Cards of `run` and `tick`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchflow.cli.cards import money
from batchflow.cli.cards.card import Card, title
from batchflow.cli.cards.judging import share
from batchflow.cli.cards.text import counted

if TYPE_CHECKING:
    from batchflow.steps.running.run import RunReport, RunRow
    from batchflow.steps.running.tick import TickReport
    from batchflow.steps.verbs.evaluation.compare import ModelPair


def ran(report: RunReport) -> Card:
    """A run: a row for each of its batches, and the pairs where there are several."""
    head = ("", "batch", "answered", "retries", "lost votes", "score", "interval", "next")
    table = (head, *map(_row, report.batches))
    rows = [("Step", f"{report.until}: {'done' if report.finished else 'not reached yet'}")]
    if report.field:
        rows.append(("Field", report.field))
    unanswered: dict[str, int] = {}
    for row in report.batches:
        for kind, count in row.unanswered.items():
            unanswered[kind] = unanswered.get(kind, 0) + count
    if unanswered:
        rows.append(("Unanswered", counted(unanswered)))
    rows += _money(report)
    rows += [("Stages", f"{row.handle} {_stages(row.stages)}") for row in report.batches if row.stages]
    rows += [("Difference", _pair(pair)) for pair in report.pairs]
    if report.report:
        rows.append(("Report", report.report))
    notes = tuple(f"{row.name}: {row.trouble}" for row in report.batches if row.trouble) + report.notes
    name = f"run of {len(report.batches)} {'batch' if len(report.batches) == 1 else 'batches'}"
    return Card(title(name, report.rehearsal), report.next, tuple(rows), table, notes, report.rehearsal)


def _row(row: RunRow) -> tuple[str, ...]:
    interval = f"{share(row.ci_low)} – {share(row.ci_high)}" if row.score is not None else "-"
    lost = "-" if row.lost_votes is None else f"{row.lost_votes:,}"
    due = "stuck" if row.trouble else row.due
    return (
        row.handle, title(row.name, row.rehearsal), f"{row.answered:,}/{row.requests:,}", f"{row.retries}", lost,
        share(row.score), interval, due,
    )  # fmt: skip


def _money(report: RunReport) -> list[tuple[str, str]]:
    """What was expected before this command sent anything, and what everything has cost so far."""
    told = report.estimate
    tokens = f"{told.input_low:,} to {told.input_high:,} tokens in, {told.output_low:,} to {told.output_high:,} out"
    ends = "price unknown" if told.high_usd is None else money.between(told.low_usd, told.high_usd)
    cap = "" if told.max_cost_usd is None else f"; cap {money.usd(told.max_cost_usd)}"
    cost = report.cost
    rows = [("Estimate", f"{ends}{cap}; {told.requests:,} requests, {tokens}, {told.jury_text}")]
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
    moved = (
        (
            row.handle,
            title(row.name, row.rehearsal),
            row.state if row.before == row.state else f"{row.before} → {row.state}",
        )
        for row in report.batches
    )
    table = (("", "batch", "state"), *moved) if report.batches else ()
    notes = tuple(f"{row.name}: {row.trouble}" for row in report.batches if row.trouble)
    return Card("tick", report.next, rows, table, notes)
