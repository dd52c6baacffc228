"""Scores held against a published one, of which a mean and a standard error are all that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchflow.errors import UsageError
from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreReport

POINTS = 100


@dataclass(frozen=True, slots=True)
class Published:
    """A published score and its standard error, as shares. correlation: of the two models' values on an item."""

    mean: float
    standard_error: float
    correlation: float

    @classmethod
    def of(cls, text: str) -> Published:
        """Reads MEAN,SE or MEAN,SE,CORRELATION, the first two in points of 100. Raises UsageError."""
        try:
            mean, error, correlation = (*map(float, text.split(",")), 0.0)[:3]
        except ValueError:
            mean = error = correlation = float("nan")
        if not (0 <= mean <= POINTS and 0 <= error <= POINTS and -1 <= correlation <= 1) or text.count(",") > 2:
            raise UsageError(
                f"--against {text}: it takes a published score and its standard error, both in points of 100",
                hint="for example --against 72,1.9, or with the correlation of both models on an item 72,1.9,0.5",
            )
        return cls(mean / POINTS, error / POINTS, correlation)


def held_against(report: ScoreReport, published: Published, level: float) -> ScoreReport:
    """The report with a note on the difference of each score from the published one."""
    notes = [note for row in report.batches if (note := _note(row, published, level))]
    return replace(report, notes=(*report.notes, *notes))


def _note(row: BatchScore, published: Published, level: float) -> str:
    """The difference of one batch's score; empty without a standard error."""
    from batchflow.score.reported import reported_difference

    numbers = row.score.numbers if row.score else None
    if numbers is None or numbers.interval.standard_error is None:
        return ""
    gap = reported_difference(
        numbers.score, numbers.interval.standard_error, published.mean, published.standard_error,
        correlation=published.correlation, level=level,
    )  # fmt: skip
    basis = f"correlation {published.correlation:g}" if published.correlation else "as if of different items"
    return (
        f"{row.name} − published {POINTS * published.mean:g} (SE {POINTS * published.standard_error:g}): "
        f"{POINTS * gap.difference:+.1f} [{POINTS * gap.low:.1f}, {POINTS * gap.high:.1f}], p {gap.p:.2g}, "
        f"SE {POINTS * gap.standard_error:.2f}, {basis}"
    )
