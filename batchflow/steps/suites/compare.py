"""compare of suites: the difference of each two models on every data set, and in every group, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from batchflow.errors import BatchflowError, UsageError
from batchflow.ledger import batches, suites
from batchflow.ledger.suites import Group, Suite
from batchflow.steps.base.context import Context
from batchflow.steps.suites.suite_file import MICRO
from batchflow.steps.verbs.evaluation.compare import CompareOptions, CompareReport, compare

if TYPE_CHECKING:
    from batchflow.score.paired import Comparison

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SuiteDifference:
    """Suite a minus suite b on one data set, or the mean over those of a group; shares, None where nothing is compared.

    kind: member, or the group's mean. n_items: common ones. p_holm: corrected for all data sets and pairs; a group has
    an interval alone. present, members: data sets of a group that are compared, and all of them. trouble: why not.
    """

    label: str
    kind: str
    a: str
    b: str
    n_items: int
    score_a: float | None = None
    score_b: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    present: int = 0
    members: int = 1
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class SuiteComparison:
    """Report of `compare` for suites. complete: every data set is compared, and every jury has finished.

    merged: models and pairs of all data sets.
    """

    merged: CompareReport
    names: tuple[str, ...]
    level: float
    method: str
    rows: tuple[SuiteDifference, ...]
    notes: tuple[str, ...]
    complete: bool
    rehearsal: bool
    next: str

    def to_json(self) -> dict[str, Any]:
        """The document of `compare`, with the table of the suites beside models and pairs of all data sets."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "merged"}
        top = {key: own.pop(key) for key in ("notes", "next")}
        return self.merged.to_json() | top | {"suite": own}


@dataclass(slots=True)
class _Compared:
    """The comparisons by data set and pair of suites, and what is to be said of them."""

    reports: list[CompareReport] = field(default_factory=list)
    pairs: dict[tuple[str, Pair], Comparison] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    rehearsal: bool = False

    def add(self, label: str, report: CompareReport, suite_of: Mapping[str, str]) -> None:
        """Keep the pairs of one data set under the suites' names, each both ways round."""
        from batchflow.score.paired import mirrored

        self.reports.append(report)
        for pair in report.pairs:
            numbers = replace(pair.numbers, a=suite_of[pair.numbers.a], b=suite_of[pair.numbers.b])
            self.pairs[label, (numbers.a, numbers.b)] = numbers
            self.pairs[label, (numbers.b, numbers.a)] = mirrored(numbers)
        self.notes += [f"{label}: {note}" for note in report.notes]
        self.late += report.incomplete
        self.rehearsal = self.rehearsal or any(model.rehearsal for model in report.models)

    def merged(self, options: CompareOptions) -> CompareReport:
        """The reports of all data sets in one. field: empty where they differ."""
        compared_fields = {report.field for report in self.reports}
        return CompareReport(
            compared_fields.pop() if len(compared_fields) == 1 else "",
            options.method, options.level, options.seed, options.power,
            tuple(model for report in self.reports for model in report.models),
            tuple(pair for report in self.reports for pair in report.pairs),
            tuple(self.late), (), "",
            judge_errors=tuple(row for report in self.reports for row in report.judge_errors),
        )  # fmt: skip


def compare_suites(
    context: Context, names: Sequence[str], options: CompareOptions, *, refresh_after_s: float
) -> SuiteComparison:
    """Compare suites data set by data set, and in the first one's groups.

    Raises UsageError below two suites, and for batches among them; a data set that cannot be compared says why.
    """
    several = _suites(context, names)
    labels = list(dict.fromkeys(member.label for suite in several for member in suite.members))
    compared = _Compared()
    for label in labels:
        try:
            there = _there(context, several, label, compared)
            if len(there) > 1:
                compared.add(label, compare(context, list(there), options, refresh_after_s=refresh_after_s), there)
        except BatchflowError as error:
            compared.troubles[label] = f"{error}; {error.hint}" if error.hint else str(error)
    pairs = list(combinations([suite.name for suite in several], 2))
    rows = _holm([_member(label, pair, compared) for pair in pairs for label in labels])
    rows += [_group(group, pair, compared) for pair in pairs for group in several[0].groups]
    notes = [f"{label}: not compared: {why}" for label, why in compared.troubles.items()]
    is_complete = not compared.late and all(row.present == row.members for row in rows)
    follow = f"batchflow get {' '.join(names)} --wait" if compared.late else f"batchflow score {names[0]}"
    return SuiteComparison(
        compared.merged(options), tuple(suite.name for suite in several), options.level, options.method, tuple(rows),
        (*notes, *compared.notes), is_complete, compared.rehearsal, follow,
    )  # fmt: skip


def _suites(context: Context, names: Sequence[str]) -> list[Suite]:
    """The suites of these names. Raises UsageError."""
    with context.ledger.read() as tx:
        known = {name: suites.find(tx, name) for name in names}
    if others := [name for name, suite in known.items() if suite is None]:
        raise UsageError(
            f"{', '.join(others)}: no suite has this name, and suites are compared with suites",
            hint="batchflow compare SUITE SUITE, or BATCH BATCH",
        )
    if len(known) < 2:
        raise UsageError("compare needs two suites", hint="batchflow compare A B")
    return [suite for suite in known.values() if suite is not None]


def _there(context: Context, several: Sequence[Suite], label: str, compared: _Compared) -> dict[str, str]:
    """The batches of one data set that are there, each with its suite; a note tells those that are not."""
    named = {member.batch: suite.name for suite in several for member in suite.members if member.label == label}
    with context.ledger.read() as tx:
        there = {batch: suite for batch, suite in named.items() if batches.find(tx, batch)}
    if gone := [suite.name for suite in several if suite.name not in there.values()]:
        compared.notes.append(f"{label}: not prepared in {', '.join(gone)}")
    return there


def _member(label: str, pair: Pair, compared: _Compared) -> SuiteDifference:
    numbers = compared.pairs.get((label, pair))
    if numbers is None:
        trouble = compared.troubles.get(label, "not prepared in both")
        return SuiteDifference(label, "member", *pair, 0, trouble=trouble)
    return SuiteDifference(
        label, "member", *pair, numbers.n, numbers.mean_a, numbers.mean_b, numbers.difference, numbers.interval.low,
        numbers.interval.high, numbers.p, present=1,
    )  # fmt: skip


def _holm(rows: Sequence[SuiteDifference]) -> list[SuiteDifference]:
    """The rows with p corrected for all of them together."""
    from batchflow.score.base.significance import holm

    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else replace(row, p_holm=next(corrected)) for row in rows]


def _group(group: Group, pair: Pair, compared: _Compared) -> SuiteDifference:
    """The mean difference over the data sets of a group that are compared, weighted as their scores are."""
    from batchflow.score.parts import mean_of_parts

    weights = dict(zip(group.labels, group.weights or [1.0] * len(group.labels), strict=True))
    present = {label: numbers for label in group.labels if (numbers := compared.pairs.get((label, pair)))}
    share = [numbers.n if group.how == MICRO else weights[label] for label, numbers in present.items()]
    row = SuiteDifference(
        group.name, group.how, *pair, sum(numbers.n for numbers in present.values()),
        present=len(present), members=len(group.labels),
    )  # fmt: skip
    if not any(share):
        return row
    intervals = [numbers.interval for numbers in present.values()]
    mean, interval = mean_of_parts([numbers.difference for numbers in present.values()], intervals, share, least=-1.0)
    sides = [
        sum(part * value for part, value in zip(share, values, strict=True)) / sum(share)
        for values in (
            [numbers.mean_a for numbers in present.values()],
            [numbers.mean_b for numbers in present.values()],
        )
    ]
    return replace(row, score_a=sides[0], score_b=sides[1], difference=mean, ci_low=interval.low, ci_high=interval.high)
