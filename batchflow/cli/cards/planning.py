"""Card of `plan`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards import money
from batchflow.cli.cards.base.card import Card

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchflow.steps.verbs.evaluation.plan import LabelRow, PlanReport, PlanRow

_PARTS = {
    "items": "items", "samples": "samples of an item", "judges": "judges", "disagreement": "judges about an item",
    "rest": "rest",
}  # fmt: skip


def planned(report: PlanReport) -> Card:
    """The split of the variance, the designs for a precision and for a difference, and labels."""
    basis = ", ".join(report.names) or "assumptions"
    pilot = f" ({report.pilot_items:,} items × {report.pilot_samples} × {report.pilot_judges} judges)"
    wanted = (
        f"a score to ± {100 * report.precision:g} points; then a difference of {100 * report.difference:g} points, "
        f"found in {100 * report.power:g} % of repeats"
    )
    rows = [
        ("From", f"{basis}{pilot if report.names else ''}"),
        *((("Field", report.field),) if report.field else ()),
        ("Mean", f"{100 * report.mean:.1f}"),
        ("Spread", f"standard deviation of one vote, in points: {_spread(report.spread)}"),
        ("For", wanted),
        ("Of a difference", _spread(report.spread_difference)),
        *(("Labels", _labels(row)) for row in report.labels),
    ]
    own = "as the pilot" if report.names else "as assumed"
    precise = _table(f"for ± {100 * report.precision:g}", report.by_precision, own)
    heading = f"to find {100 * report.difference:g}"
    below = _table(heading, report.by_difference, own)
    return Card(f"plan from {basis}", report.next, tuple(rows), precise, report.notes, below=below)


def _spread(parts: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{_PARTS[name]} {'unknown' if value is None else f'{value:.1f}'}" for name, value in parts.items()
    )


def _labels(row: LabelRow) -> str:
    cost = "" if row.usd is None else f", {money.usd(row.usd)}"
    need = "no number reaches that" if row.labels is None else f"{row.labels:,} labels{cost}"
    return (
        f"{row.model}: {need} (± {100 * row.half_width:.1f}; jury and people correlate {row.correlation:.2f} on "
        f"{row.labelled} labels); {row.of_100} of each 100 labels for a comparison"
    )


def _table(head: str, rows: tuple[PlanRow, ...], own: str) -> tuple[tuple[str, ...], ...]:
    """Designs. head: what they are for. own: the mark of the one that has the pilot's samples and judges."""
    names = ("items", "samples", "judges", "half-width", "answers", "votes", "cost", head)
    return (names, *(_row(row, own) for row in rows))


def _row(row: PlanRow, own: str) -> tuple[str, ...]:
    cost = "price unknown" if row.high_usd is None else money.between(row.low_usd, row.high_usd)
    marks = (own if row.pilot else "", "the data set is smaller" if row.enough is False else "")
    return (
        f"{row.items:,}", f"{row.samples}", f"{row.judges}", f"{100 * row.half_width:.1f}", f"{row.answers:,}",
        f"{row.votes:,}", cost, "; ".join(filter(None, marks)),
    )  # fmt: skip
