"""The summary of a run: OpenCompass's table with intervals behind it, as txt, csv and md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.errors import BatchflowError
from batchflow.ledger import batches
from batchflow.steps.base.context import Context
from batchflow.steps.compass.config import Config
from batchflow.steps.compass.data_sets import CORE, DataSet
from batchflow.steps.compass.runs import SUMMARY, Run
from batchflow.steps.suites.suite_file import MACRO, MICRO, WEIGHTED
from batchflow.steps.suites.table import MEMBER, SuiteRow, SuiteScore, aligned, as_csv, as_markdown, score_suite
from batchflow.steps.verbs.evaluation.score import ScoreOptions, score

THRESHOLDS = ("0.0", "0.25", "0.5", "0.75", "1.0")
"""Of G-Pass@k, as OpenCompass shows them."""
_MEANS = {MACRO: "naive_average", WEIGHTED: "weighted_average", MICRO: "micro_average"}
_RULER, _END = "^" * 128, "$" * 128
_DIVIDER = f"{'-' * 128} THIS IS A DIVIDER {'-' * 128}"


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row. version: of the prompt; score, low, high: points of 100, None where nothing is scored.

    of: data sets of a group that are scored, of all, where some are missing.
    """

    dataset: str
    version: str
    metric: str
    mode: str
    score: float | None
    low: float | None
    high: float | None
    items: int
    of: str


def summarised(
    context: Context, config: Config, data: Sequence[DataSet], this: Run, *, refresh_after_s: float
) -> tuple[tuple[SummaryRow, ...], list[Path], tuple[str, ...]]:
    """The rows of a run's data sets and groups, the files that hold them, and notes on what is not scored."""
    by_label = {each.label: each for each in data}
    table = score_suite(context, this.suite, ScoreOptions(), refresh_after_s=refresh_after_s)
    rows: list[SummaryRow] = []
    for row in table.rows:
        if row.is_group:
            rows.append(_group(row))
        elif row.kind == MEMBER and row.label in by_label:
            rows += _members(context, row, by_label[row.label], refresh_after_s)
    return tuple(rows), _files(config, this, table, rows), table.notes


def _members(context: Context, row: SuiteRow, data: DataSet, refresh_after_s: float) -> list[SummaryRow]:
    """The row of a data set, and behind it those of the metrics of several repeats."""
    if row.score is None or row.batch is None:
        return [SummaryRow(row.label, "-", "-", "-", None, None, None, 0, "")]
    with context.ledger.read() as tx:
        version = batches.get(tx, row.batch).template_sha256[:6]
    runs = f" ({data.repeats} runs average)" if data.repeats > 1 else ""
    rows = [_row(row.label, version, f"accuracy{runs}", (row.score, row.ci_low, row.ci_high), row.n_items)]
    for metric in metrics_of(data):
        try:
            (more,) = score(context, [row.batch], ScoreOptions(metric=metric), refresh_after_s=refresh_after_s).batches
        except BatchflowError as error:
            context.say(f"{row.label}, {metric}: {error}")
            continue
        if more.score:
            numbers = more.score.numbers
            bounds = (numbers.score, numbers.interval.low, numbers.interval.high)
            rows.append(_row(row.label, version, metric, bounds, numbers.n_items))
    return rows


def metrics_of(data: DataSet) -> list[str]:
    """The metrics of a data set beside its accuracy: pass@k and G-Pass@k for each k, where items are asked so often."""
    names = []
    for k in data.k:
        if k <= data.repeats and data.repeats > 1:
            names += [f"pass@{k}", *(f"G-Pass@{k}_{threshold}" for threshold in THRESHOLDS), f"mG-Pass@{k}"]
    return names


def _row(
    dataset: str, version: str, metric: str, shares: tuple[float | None, float | None, float | None], items: int
) -> SummaryRow:
    score_, low, high = map(_points, shares)
    return SummaryRow(dataset, version, metric, "gen", score_, low, high, items, "")


def _group(row: SuiteRow) -> SummaryRow:
    """A group; one with missing members has the mean of those that are there, and says of how many."""
    of = f"{row.present}/{row.members}" if row.present < row.members else ""
    mode = "gen" if row.present else "-"
    mean = _MEANS[MACRO if row.label == CORE else row.kind]  # its weights make MMLU-Pro's categories one data set
    score_, low, high = map(_points, (row.score, row.ci_low, row.ci_high))
    return SummaryRow(row.label, "-", mean, mode, score_, low, high, row.n_items, of)


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _files(config: Config, this: Run, table: SuiteScore, rows: Sequence[SummaryRow]) -> list[Path]:
    """Write the three files."""
    head = ("dataset", "version", "metric", "mode", config.task_name, "95% low", "95% high", "items", "of")
    lines = [head, *(_cells(row) for row in rows)]
    raw = "\n".join(["-" * 31, f"Model: {config.task_name}", *(f"{row.label}: {_raw(row)}" for row in table.rows)])
    stem = this.folder / SUMMARY / f"summary_{this.name}"
    writers: dict[str, Callable[[], str]] = {
        ".txt": lambda: _text(this, lines, raw),
        ".csv": lambda: as_csv(lines),
        ".md": lambda: as_markdown(lines),
    }
    stem.parent.mkdir(exist_ok=True)
    paths = [stem.with_name(stem.name + ending) for ending in writers]
    for path, write in zip(paths, writers.values(), strict=True):
        with files.replacing(path) as out:
            out.write(write().encode())
    return paths


def _cells(row: SummaryRow) -> tuple[str, ...]:
    points = ["-" if value is None else f"{value:.2f}" for value in (row.score, row.low, row.high)]
    return (row.dataset, row.version, row.metric, row.mode, *points, str(row.items), row.of)


def _raw(row: SuiteRow) -> str:
    return f"not scored: {row.trouble}" if row.trouble else f"{row.score}, {row.n_items} items, interval {row.method}"


def _text(this: Run, lines: Sequence[Sequence[str]], raw: str) -> str:
    """OpenCompass's text: the same table three times, between rulers, and the raw numbers."""
    blocks = {"tabulate": aligned(lines), "csv": as_csv(lines).replace("\r\n", "\n"), "markdown": as_markdown(lines)}
    shown = [f"{name} format\n{_RULER}\n{text}{_END}\n" for name, text in blocks.items()]
    return f"{this.name}\n" + f"\n{_DIVIDER}\n\n".join([*shown, f"raw format\n{_RULER}\n{raw}\n{_END}\n"])
