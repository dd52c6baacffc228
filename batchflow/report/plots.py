"""The plots of a report: scores, paired differences, groups. The page, SVG and PNG draw the same shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from batchflow.report.data import BatchPart, Json, ReportData, gain, points
from batchflow.report.drawing import Box, Dot, Drawing, Line, Shape, Words, short

ROW = 30.0
LABELS = 250.0
PLOT = 400.0
VALUES = 150.0
TOP = 34.0
_MOST = 34  # characters of a label


def scores(report: ReportData) -> Drawing:
    """One line a batch: its score and interval, on points of 100."""
    rows = [
        (batch.name, f"{batch.provider} · {batch.model}", *_estimate(batch.summary), "accent")
        for batch in report.scored
    ]
    label = f"Scores with {100 * report.level:g} % intervals, {report.field}"
    return _forest(rows, label, signed=False)


def differences(report: ReportData) -> Drawing:
    """One line a pair: the difference of its scores and its interval; zero is marked."""
    rows = []
    for pair in report.pairs:
        interval = pair["interval"]
        is_clear = interval["low"] > 0 or interval["high"] < 0
        role = "none" if not is_clear else ("good" if pair["difference"] > 0 else "bad")
        rows.append(
            (
                f"{pair['a']} − {pair['b']}",
                f"n {pair['n']:,}",
                pair["difference"],
                interval["low"],
                interval["high"],
                role,
            )
        )
    return _forest(rows, f"Paired differences with {100 * report.level:g} % intervals, {report.field}", signed=True)


def groups(report: ReportData, column: str) -> Drawing:
    """One line for each value of a column and batch."""
    rows: list[_Row] = []
    many = len(report.scored) > 1
    for value in group_names(report, column):
        for batch in report.scored:
            row = next((r for r in batch.summary["groups"].get(column, ()) if str(r["group"]) == value), None)
            if row is not None and row["interval"]:
                name = f"{value} · {batch.name}" if many else value
                interval = row["interval"]
                rows.append((name, f"n {row['n_judged']:,}", row["score"], interval["low"], interval["high"], "accent"))
    return _forest(rows, f"Score by {column}, {report.field}", signed=False)


def group_names(report: ReportData, column: str) -> list[str]:
    """The values of a column, as the batches have them."""
    names = dict.fromkeys(str(row["group"]) for b in report.scored for row in b.summary["groups"].get(column, ()))
    return list(names)


def named(report: ReportData) -> Iterator[tuple[str, Drawing]]:
    """All plots of a report with anything in them, by the names of their files."""
    if report.scored:
        yield "scores", scores(report)
    if report.pairs:
        yield "differences", differences(report)
    for number, column in enumerate(report.columns, start=1):
        drawing = groups(report, column)
        if any(isinstance(shape, Dot) for shape in drawing.shapes):
            yield f"groups-{number}", drawing


_Row = tuple[str, str, float, float, float, str]
"""Label, what is said beside it, value, low, high, role."""


def _estimate(summary: Json) -> tuple[float, float, float]:
    return float(summary["score"]), float(summary["ci_low"]), float(summary["ci_high"])


def _forest(rows: Sequence[_Row], label: str, *, signed: bool) -> Drawing:
    low, high, step = _scale([value for row in rows for value in row[2:5]], signed=signed)
    height = TOP + ROW * len(rows) + 34
    longest = max((min(max(len(name) * 1.12, len(more)), _MOST) for name, more, *_ in rows), default=0)
    left = min(24 + 6.8 * longest, LABELS)
    width = left + PLOT + VALUES

    def at(value: float) -> float:
        return left + PLOT * (value - low) / (high - low)

    shapes: list[Shape] = [Words(0, 14, label, "faint", size=12)]
    bottom = TOP + ROW * len(rows)
    ticks = [low + step * n for n in range(round((high - low) / step) + 1)]
    for tick in ticks:
        shapes.append(Line(at(tick), TOP - 6, at(tick), bottom, "grid"))
        shapes.append(Words(at(tick), bottom + 18, _tick(tick, signed=signed), "faint", "middle", 11))
    if signed:
        shapes.append(Line(at(0), TOP - 6, at(0), bottom, "axis", 1.5))
    for number, (name, more, value, start, end, role) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        shapes += [
            Words(0, y - 1, short(name, _MOST), "ink", size=12.5, bold=True),
            Words(0, y + 12, short(more, _MOST + 6), "faint", size=10.5),
            Line(at(max(start, low)), y, at(min(end, high)), y, role, 3),
            Dot(at(min(max(value, low), high)), y, 5, role),
            Words(left + PLOT + 12, y + 4, _value(value, start, end, signed=signed), "ink", size=12),
        ]
    return Drawing(width, height, label, tuple(shapes))


def _value(value: float, low: float, high: float, *, signed: bool) -> str:
    if signed:
        return f"{gain(value)}  [{gain(low)}, {gain(high)}]"
    return f"{points(value)}  [{points(low)}, {points(high)}]"


def _tick(value: float, *, signed: bool) -> str:
    return gain(value, 0) if signed and round(value, 6) else f"{100 * value:.0f}"


def _scale(values: Sequence[float], *, signed: bool) -> tuple[float, float, float]:
    """Ends and step of an axis that holds the values, on round numbers.

    >>> _scale([0.31, 0.62], signed=False)
    (0.3, 0.7, 0.1)
    """
    least, most = min(values, default=0.0), max(values, default=1.0)
    if signed:
        least, most = min(least, 0.0), max(most, 0.0)
    step = next((one for one in (0.01, 0.02, 0.05, 0.1, 0.2) if (most - least) / one <= 6), 0.5)
    low, high = math.floor(round(least / step, 6)) * step, math.ceil(round(most / step, 6)) * step
    if high - low < step:
        low, high = low - step, high + step
    if not signed:
        low, high = max(low, 0.0), min(high, 1.0)
    return round(low, 6), round(high, 6), step


def bar(summary: Json, low: float, high: float) -> Drawing:
    """A batch's score and interval as one line of a table."""
    score, start, end = _estimate(summary)
    width, height = 240.0, 22.0

    def at(value: float) -> float:
        return 6 + (width - 12) * (value - low) / ((high - low) or 1.0)

    middle = height / 2
    shapes = (
        Line(6, middle, width - 6, middle, "grid", 1),
        Box(at(start), middle - 5, max(at(end) - at(start), 2), 10, "soft"),
        Line(at(score), middle - 8, at(score), middle + 8, "accent", 3),
    )
    return Drawing(width, height, f"{points(score)}, interval {points(start)} to {points(end)}", shapes)


def reach(report: ReportData) -> tuple[float, float]:
    """Ends of the axis that the bars of a report share."""
    low, high, _ = _scale([v for batch in report.scored for v in _estimate(batch.summary)], signed=False)
    return low, high


def outcome_bar(batch: BatchPart) -> Drawing:
    """Outcomes of a batch's requests, as shares of one bar."""
    width, height, x = 420.0, 16.0, 0.0
    shapes: list[Shape] = []
    parts = [("good", batch.answered)] + [(ROLES.get(kind, "bad"), count) for kind, count in unanswered(batch).items()]
    total = sum(count for _, count in parts) or 1
    for role, count in parts:
        wide = width * count / total
        if count:
            shapes.append(Box(x, 0, max(wide - 1, 1), height, role))
        x += wide
    words = ", ".join(f"{count:,} {kind}" for kind, count in unanswered(batch).items())
    return Drawing(width, height, f"{batch.answered:,} answered{', ' if words else ''}{words}", tuple(shapes))


ROLES = {"refused": "warn", "unparsed": "warn", "pending": "grid", "cancelled": "none"}


def unanswered(batch: BatchPart) -> dict[str, int]:
    """Requests that are not answered, by how they ended."""
    return {kind: count for kind, count in batch.outcomes.items() if kind != "answered" and count}
