"""list: the batches and suites of the ledger, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from batchflow.ledger import batches, jobs, suites
from batchflow.ledger.records import BatchRecord
from batchflow.ledger.suites import Suite
from batchflow.states import stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import Cost, cost_of
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.base.suites import NOT_THERE
from batchflow.vendors import registry


@dataclass(frozen=True, slots=True)
class ListRow:
    """One batch of `list`. parent: what it judges. retries: the batch whose requests it asks again.

    stages: how far it is, where it is sent in stages.
    """

    name: str
    handle: str
    kind: str
    state: str
    provider: str
    model: str
    split: str
    hints: int
    requests: int
    parent: str | None
    retries: str | None
    created_at: str
    rehearsal: bool
    cost: Cost
    stages: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One batch of a suite. state: its stage, or `not prepared`."""

    label: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class SuiteLine:
    """One suite of `list`, with all its members. requests: of those that are there."""

    name: str
    members: tuple[MemberLine, ...]
    requests: int


@dataclass(frozen=True, slots=True)
class ListReport:
    """Batches that match, and the suites that have one of them; without filters, all suites."""

    batches: tuple[ListRow, ...]
    suites: tuple[SuiteLine, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """Filters of `list`; None: all."""

    state: str | None = None
    provider: str | None = None
    kind: str | None = None
    parent: str | None = None
    sort: str = "created"
    descending: bool = False


def listing(context: Context, options: ListOptions | None = None) -> ListReport:
    """All batches that match, in order. Raises UnknownBatch for the name of a parent."""
    options = options or ListOptions()
    with context.ledger.read() as tx:
        records = batches.listing(tx)
        names = {batch.id: batch.name for batch in records}
        if options.parent is not None:
            root = batches.get(tx, options.parent).id
            records = tuple(batch for batch in records if root in {batch.parent_id, batch.retries_id})
        parts = {batch.id: jobs.of_batch(tx, batch.id) for batch in records}
        rows = [_row(batch, parts[batch.id], names, cost_of(tx, batch, parts[batch.id])) for batch in records]
        known = suites.listing(tx)
    lines = [] if options.parent else _suite_lines(known, rows)
    rows = [row for row in rows if _matches(row, options)]
    if replace(options, sort="created", descending=False) != ListOptions():
        shown_names = {row.name for row in rows}
        lines = [each for each in lines if any(member.name in shown_names for member in each.members)]
    key = {"created": "created_at"}.get(options.sort, options.sort)
    rows.sort(key=lambda row: str(getattr(row, key)), reverse=options.descending)
    shown = [row for row in rows if row.retries is None] or rows
    return ListReport(tuple(rows), tuple(lines), f"batchflow show {shown[-1].name}" if rows else _first(context))


def _suite_lines(known: Iterable[Suite], rows: Iterable[ListRow]) -> list[SuiteLine]:
    """A line for each suite, its members as they stand among the rows."""
    by_name = {row.name: row for row in rows}
    lines = []
    for suite in known:
        there = [by_name.get(member.batch) for member in suite.members]
        members = (
            MemberLine(member.label, member.batch, row.state if row else NOT_THERE)
            for member, row in zip(suite.members, there, strict=True)
        )
        lines.append(SuiteLine(suite.name, tuple(members), sum(row.requests for row in there if row)))
    return lines


def _first(context: Context) -> str:
    """The first command of an empty project."""
    has_settings = (context.settings.project / "batchflow.toml").is_file()
    return "batchflow prepare --help" if has_settings else "batchflow init"


def _row(batch: BatchRecord, parts: Any, names: dict[int, str], cost: Cost) -> ListRow:
    stages = Stages.of(batch)
    return ListRow(
        batch.name, batch.handle, batch.kind.value, stage(job.state for job in parts).value,
        batch.provider, batch.model, batch.split, batch.hints, batch.n_requests, names.get(batch.parent_id or -1),
        names.get(batch.retries_id or -1), f"{batch.created_at:%Y-%m-%dT%H:%M:%SZ}", batch.rehearsal, cost,
        stages.to_json() if stages else None,
    )  # fmt: skip


def _matches(row: ListRow, options: ListOptions) -> bool:
    return (
        options.state in {None, row.state}
        and registry.spelled(options.provider or row.provider) == row.provider
        and options.kind in {None, row.kind}
    )
