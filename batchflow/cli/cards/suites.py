"""Cards of suites. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, Column, table_of, title
from batchflow.cli.cards.judging import share

if TYPE_CHECKING:
    from batchflow.steps.suites.compare import SuiteComparison, SuiteDifference
    from batchflow.steps.suites.members import MemberRow, SuiteReport
    from batchflow.steps.suites.table import SuiteRow, SuiteScore


def shown(report: SuiteReport) -> Card:
    """The batches of a suite."""
    groups = "; ".join(f"{group.name} ({group.mean} of {len(group.members)})" for group in report.groups)
    rows = (("Suite", report.name), ("Requests", f"{report.requests:,}"), ("Groups", groups))
    table = table_of(_MEMBERS, report.members)
    return Card(title(report.name, report.rehearsal), report.next, rows, table, report.notes, report.rehearsal)


_MEMBERS: tuple[Column[MemberRow], ...] = (
    Column("data set", lambda row: row.label),
    Column("batch", lambda row: row.name),
    Column("", lambda row: row.handle),
    Column("state", lambda row: row.state),
    Column("requests", lambda row: f"{row.requests:,}"),
)


def scored(report: SuiteScore) -> Card:
    """The table of a suite: its members, then its groups."""
    rows = [("Suite", report.name)]
    if report.model:
        rows.append(("Model", report.model))
    rows.append(("How", "groups are means of members, with MOVER intervals; micro weighs a member by its items"))
    if report.files:
        rows.append(("Files", ", ".join(report.files)))
    interval: Column[SuiteRow] = Column(f"{100 * report.level:.12g} % interval", _between)
    table = table_of((*_SCORES, interval, *_BEHIND), report.rows)
    return Card(title(report.name, report.rehearsal), report.next, tuple(rows), table, report.notes, report.rehearsal)


def compared(report: SuiteComparison) -> Card:
    """Differences of suites: data sets, then groups, pair by pair."""
    rows = (
        ("Suites", ", ".join(report.names)),
        ("How", f"{report.method} of the votes, paired by item; groups are means of data sets, with MOVER intervals"),
        ("Holm", "is for all data sets and pairs; a group has an interval alone"),
    )
    interval: Column[SuiteDifference] = Column(
        f"{100 * report.level:.12g} % interval",
        lambda row: "-" if row.ci_low is None else f"{_points(row.ci_low)} – {_points(row.ci_high)}",
    )
    pair: tuple[Column[SuiteDifference], ...] = (Column("pair", lambda row: f"{row.a} − {row.b}"),)
    several = pair if len(report.names) > 2 else ()
    table = table_of((*several, *_DIFFERENCES, interval, *_TESTS), report.rows)
    notes = tuple(report.notes)
    return Card(title("comparison", report.rehearsal), report.next, rows, table, notes, report.rehearsal)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"


_DIFFERENCES: tuple[Column[SuiteDifference], ...] = (
    Column("data set", lambda row: row.label),
    Column("mean", lambda row: "" if row.kind == "member" else row.kind),
    Column("items", lambda row: f"{row.n_items:,}"),
    Column("first", lambda row: share(row.score_a)),
    Column("second", lambda row: share(row.score_b)),
    Column("difference", lambda row: _points(row.difference)),
)
_TESTS: tuple[Column[SuiteDifference], ...] = (
    Column("p (Holm)", lambda row: "" if row.p_holm is None else f"{row.p_holm:.2g}"),
    Column("of", lambda row: f"{row.present}/{row.members}" if row.present < row.members else ""),
)

_SCORES: tuple[Column[SuiteRow], ...] = (
    Column("data set", lambda row: row.label),
    Column("mean", lambda row: row.kind if row.is_group else ""),
    Column("items", lambda row: f"{row.n_items:,}"),
    Column("score", lambda row: share(row.score)),
)
_BEHIND: tuple[Column[SuiteRow], ...] = (
    Column("of", lambda row: f"{row.present}/{row.members}" if row.is_group and row.present < row.members else ""),
    Column("metric", lambda row: row.metric or ""),
)


def _between(row: SuiteRow) -> str:
    return "-" if row.ci_low is None else f"{share(row.ci_low)} – {share(row.ci_high)}"
