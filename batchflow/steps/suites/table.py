"""score of a suite: one row for each member and each group, with intervals; also as txt, csv, md and json."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.errors import BatchflowError, UnknownBatch, UsageError
from batchflow.ledger import batches, suites
from batchflow.ledger.suites import Group
from batchflow.report.cells import write_csv
from batchflow.steps.base.context import Context
from batchflow.steps.suites.suite_file import MACRO, WEIGHTED
from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreOptions, ScoreReport, score

if TYPE_CHECKING:
    from batchflow.score.intervals import Interval

MEMBER, BY = "member", "by"
FORMS = ("txt", "csv", "md", "json")


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One row of the table. kind: member, by (its items with one value of a column), or the mean of a group.

    score, ci_low, ci_high: shares; None where nothing is scored. method: of the interval. present, members: data sets
    of a group that are scored, and all of them. trouble: why a member is not scored.
    """

    label: str
    kind: str
    batch: str | None
    task: str | None
    metric: str | None
    n_items: int
    score: float | None
    ci_low: float | None
    ci_high: float | None
    method: str | None
    present: int
    members: int
    trouble: str | None

    @property
    def is_group(self) -> bool:
        """Tells a mean of data sets from one of them, or from a part of one."""
        return self.kind not in {MEMBER, BY}


@dataclass(frozen=True, slots=True)
class SuiteScore:
    """Report of `score` for a suite. model: of all members, None where they differ. files: those that were written.

    field: of all members, empty where they differ. batches: the scores of the members that have one.
    """

    field: str
    batches: tuple[BatchScore, ...]
    name: str
    model: str | None
    level: float
    rows: tuple[SuiteRow, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]
    complete: bool
    rehearsal: bool
    next: str

    def table(self) -> dict[str, Any]:
        """The table, without the scores from which it was made."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in {"field", "batches"}}

    def to_json(self) -> dict[str, Any]:
        """The document of `score`, with the table of the suite beside the scores of its members."""
        suite = {key: value for key, value in self.table().items() if key not in {"notes", "next"}}
        return ScoreReport(self.field, self.batches, self.notes, self.next).to_json() | {"suite": suite}


def score_suite(
    context: Context, name: str, options: ScoreOptions, *, refresh_after_s: float, out: Sequence[Path] = ()
) -> SuiteScore:
    """Score every member, and the groups. Raises UnknownBatch, UsageError; a member without a score says why."""
    forms = [form_of(path) for path in out]
    with context.ledger.read() as tx:
        suite = suites.find(tx, name)
        if suite is None:
            raise UnknownBatch(f"no suite is named {name!r}", hint="batchflow prepare --suite FILE makes one")
        records = {member.label: batches.find(tx, member.batch) for member in suite.members}
    samples = {label: int(one.spec.get("samples") or 1) for label, one in records.items() if one}
    lenient = replace(options, by_known=True)
    scored: dict[str, BatchScore] = {}
    troubles: dict[str, str] = {}
    for member in suite.members:
        if member.label not in samples:
            troubles[member.label] = "not prepared"
            continue
        try:
            (scored[member.label],) = score(context, [member.batch], lenient, refresh_after_s=refresh_after_s).batches
        except BatchflowError as error:
            troubles[member.label] = f"{error}; {error.hint}" if error.hint else str(error)
    lacking = _without_column(scored, options.by)
    rows = [
        row
        for member in suite.members
        for row in _member(member.label, member.batch, scored.get(member.label), troubles)
    ]
    rows += [_group(group, scored, samples) for group in suite.groups]
    models = {row.model for row in scored.values()}
    scored_fields = {row.score.numbers.field for row in scored.values() if row.score}
    late = [name for row in scored.values() for name in row.incomplete]
    report = SuiteScore(
        scored_fields.pop() if len(scored_fields) == 1 else "", tuple(scored.values()), name,
        models.pop() if len(models) == 1 else None, options.level, tuple(rows), (),
        (*(f"{label}: not scored: {why}" for label, why in troubles.items()), *lacking),
        not troubles and not late, any(row.rehearsal for row in scored.values()),
        f"batchflow get {name} --wait" if late else f"batchflow show {name}",
    )  # fmt: skip
    report = replace(report, files=tuple(map(str, out)))
    for path, form in zip(out, forms, strict=True):
        with files.replacing(path) as sink:
            sink.write(render(report, form))
    return report


def form_of(path: Path) -> str:
    """The form that a file's ending names. Raises UsageError."""
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMS:
        raise UsageError(f"{path}: the table is written as {', '.join(FORMS)}", hint="name a file with such an ending")
    return form


def _without_column(scored: Mapping[str, BatchScore], by: Sequence[str]) -> list[str]:
    """Notes on data sets that lack a column of --by. Raises UsageError where all of them do."""
    notes = []
    for column in by:
        lacking = [label for label, row in scored.items() if row.score and column not in row.score.numbers.groups]
        if lacking and len(lacking) == len(scored):
            raise UsageError(
                f"--by {column}: no data set has such a column", hint="batchflow score BATCH --by tells its columns"
            )
        if lacking:
            notes.append(f"--by {column}: {', '.join(lacking)} {'have' if len(lacking) > 1 else 'has'} no such column")
    return notes


def _member(label: str, batch: str, row: BatchScore | None, troubles: dict[str, str]) -> Iterator[SuiteRow]:
    """The row of a data set, and one for each value of the columns of --by."""
    if row is None or row.score is None:
        yield SuiteRow(label, MEMBER, batch, None, None, 0, *(None,) * 4, 0, 1, troubles.get(label))
        return
    numbers = row.score.numbers
    interval = numbers.interval
    yield SuiteRow(
        label, MEMBER, batch, row.task, numbers.metric, numbers.n_items, numbers.score, interval.low, interval.high,
        interval.method, 1, 1, None,
    )  # fmt: skip
    for column, parts in numbers.groups.items():
        for part in parts:
            own = part.interval
            yield SuiteRow(
                f"{label}: {column} = {part.group}", BY, batch, row.task, numbers.metric, part.n_judged, part.score,
                own.low if own else None, own.high if own else None, own.method if own else None,
                int(part.score is not None), 1, None,
            )  # fmt: skip


def _group(group: Group, scored: dict[str, BatchScore], samples: dict[str, int]) -> SuiteRow:
    """The mean of the members that are scored; those that are not are counted.

    micro: each member weighs as its items, however often each of them is asked.
    """
    from batchflow.score.parts import mean_of_parts

    weights = dict(zip(group.labels, group.weights or [1.0] * len(group.labels), strict=True))
    means: list[float] = []
    intervals: list[Interval] = []
    share: list[float] = []
    items = 0
    for label in group.labels:
        row = scored.get(label)
        if row is None or row.score is None:
            continue
        numbers = row.score.numbers
        means.append(numbers.score)
        intervals.append(numbers.interval)
        share.append(weights[label] if group.how in {MACRO, WEIGHTED} else numbers.interval.n / samples[label])
        items += numbers.n_items
    present, members = len(means), len(group.labels)
    if not any(share):
        return SuiteRow(group.name, group.how, None, None, None, items, *(None,) * 4, present, members, None)
    mean, interval = mean_of_parts(means, intervals, share)
    return SuiteRow(
        group.name, group.how, None, None, None, items, mean, interval.low, interval.high, interval.method, present,
        members, None,
    )  # fmt: skip


HEAD = ("data set", "mean", "items", "score", "low", "high", "of", "metric")


def cells(row: SuiteRow) -> tuple[str, ...]:
    """One row as text; points of 100."""
    points = ["-" if share is None else f"{100 * share:.2f}" for share in (row.score, row.ci_low, row.ci_high)]
    of = f"{row.present}/{row.members}" if row.is_group and row.present < row.members else ""
    return (row.label, row.kind if row.is_group else "", str(row.n_items), *points, of, row.metric or "")


def render(report: SuiteScore, form: str) -> bytes:
    """The table in one of its forms."""
    return _RENDERERS[form](report).encode()


def _txt(report: SuiteScore) -> str:
    return aligned([HEAD, *map(cells, report.rows)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines with columns of one width."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _csv(report: SuiteScore) -> str:
    return as_csv([HEAD, *map(cells, report.rows)])


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """CSV whose cells are no formulas."""
    text = io.StringIO()
    write_csv(text, rows)
    return text.getvalue()


def _md(report: SuiteScore) -> str:
    return as_markdown([HEAD, *map(cells, report.rows)])


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are no columns."""
    lines = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    head, *body = (f"| {line} |" for line in lines)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body]) + "\n"


def _json(report: SuiteScore) -> str:
    return files.dumps(report.table()).decode() + "\n"


_RENDERERS: dict[str, Callable[[SuiteScore], str]] = {"txt": _txt, "csv": _csv, "md": _md, "json": _json}
