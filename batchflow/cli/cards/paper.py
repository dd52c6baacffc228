"""Sentences for a paper, from the reports of `score` and `compare`. Pure: a report in, a text out."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from batchflow import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchflow.score.intervals import Interval
    from batchflow.score.summary import Summary
    from batchflow.steps.verbs.evaluation.compare import CompareReport, ModelPair, ModelRank
    from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreReport

_INTERVALS = {
    "wilson": "Wilson's score interval",
    "percentile": "percentile bootstrap",
    "refitted percentile": "percentile bootstrap, the model fitted to each resample",
    "exact": "Clopper–Pearson",
    "beta": "Beta(1, 1) posterior",
    "t": "Student's t",
    "agresti-min": "Agresti–Min",
    "mover": "MOVER over the groups",
    "ppi++ adjusted": "PPI++ with pseudo-items",
    "rogan-gladen": "Rogan–Gladen, adjusted plug-in",
    "layton": "layton-eval's draw, calibration noise only",
}
_METHODS = {
    "mean": "the mean over items of the mean vote",
    "majority": "the mean over items of the majority of the votes",
    "dawid-skene": "the share of right answers by Dawid and Skene's method (EM)",
    "ppi": "the mean vote, corrected by human labels",
    "layton": "layton-eval's calibrated score",
}


def scored(report: ScoreReport) -> str:
    """A paragraph for each batch, and one on how the numbers were made."""
    paragraphs = [_score(row, row.score.numbers) for row in report.batches if row.score]
    seeds = [row.score.numbers for row in report.batches if row.score]
    resamples = dict.fromkeys(numbers.percentile.resamples for numbers in seeds)
    return "\n\n".join([*paragraphs, *_notes(report.notes), _made(seeds[0].seed if seeds else 0, [*resamples])]) + "\n"


def _score(row: BatchScore, numbers: Summary) -> str:
    """One batch's sentences."""
    jury = row.score
    kind = f" (judge kind {jury.judge_kind})" if jury is not None else ""
    hints = f", {row.hints} hints" if row.hints else ""
    where = f"split {row.split}{hints}" if row.split else "judge files"
    names = [judge.judge for judge in numbers.judges]
    method = _METHODS[numbers.method] + (", weighted" if numbers.weighted else "")
    if numbers.macro:
        method = f"the mean of the scores of the {len(numbers.groups[numbers.macro])} groups of {numbers.macro}"
    metric = f", {numbers.metric} of each item" if numbers.metric != "mean" else ""
    whose = f"{row.model or 'the model'}{f' ({row.provider})' if row.provider else ''}"
    question = f"{whose} was asked the {numbers.n_items:,} items of {row.task} ({where}; batch {row.name})."
    sentences = [
        f"REHEARSAL, no real score: {question}" if row.rehearsal else question,
        f"{_listed(names)} judged {numbers.field}{kind}.",
        f"The score is {_points(numbers.score)} of 100, {method}{metric} ({_interval(numbers.interval)}).",
        _missing(row, numbers),
        _bounds(numbers),
        _agreement(numbers),
        "" if numbers.method in {"ppi", "layton"} else _COVERED,
        *_labels(row),
    ]
    return " ".join(filter(None, sentences))


_COVERED = "The interval covers the sampling of items, not errors that the judges share."


def _labels(row: BatchScore) -> list[str]:
    """Footnotes of the score about labels and interval."""
    notes = row.score.footnotes if row.score else ()
    kept = [note for note in notes if "gold labels" in note or "interval" in note.lower()]
    return [f"{note[0].upper()}{note[1:]}." for note in kept]


def _missing(row: BatchScore, numbers: Summary) -> str:
    """Items without an answer or a vote, and votes that are missing."""
    counts = [
        f"{each['items']:,} {kind.replace('_', ' ')} ({_WORTH[str(each['worth'])]})"
        for kind, each in row.unanswered.items()
    ]
    no_vote = row.left_out.get("no_vote", 0)
    counts += [f"{no_vote:,} without a valid vote (left out)"] if no_vote else []
    voted = f"{numbers.n_judged:,} items have a vote; of the others: {_listed(counts)}" if counts else _ALL
    votes = sum(judge.votes for judge in numbers.judges)
    lost = f"{numbers.votes_missing:,} of {votes + numbers.votes_missing:,} votes are missing"
    return f"{voted}. {lost if numbers.votes_missing else 'No vote is missing'}."


_ALL = "All items have a vote"
_WORTH = {"wrong": "counted as wrong", "bounds": "left out, and in the bounds", "exclude": "left out"}


def _bounds(numbers: Summary) -> str:
    if numbers.bounds_low is None or numbers.bounds_high is None or numbers.bounds_low == numbers.bounds_high:
        return ""
    return (
        f"With all that is missing taken for wrong it would be {_points(numbers.bounds_low)}, taken for right "
        f"{_points(numbers.bounds_high)}."
    )


def _agreement(numbers: Summary) -> str:
    if numbers.alpha is None:
        return ""
    interval = numbers.agreement.alpha_interval
    bounds = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
    return f"Krippendorff's alpha is {numbers.alpha:.2f}{bounds}."


def compared(report: CompareReport) -> str:
    """A sentence for each model, one for each pair, and one on how the numbers were made."""
    question = f"The models were asked the items of {report.task} (split {report.split})."
    models = [question, *(_model(model, report) for model in report.models)]
    pairs = [_pair(pair, len(report.pairs)) for pair in report.pairs]
    resamples = [pair.numbers.percentile.resamples for pair in report.pairs]
    return "\n\n".join([" ".join(models), *pairs, *_notes(report.notes), _made(report.seed, resamples[:1])]) + "\n"


def _model(model: ModelRank, report: CompareReport) -> str:
    kinds = [
        f"{each['items']:,} {kind.replace('_', ' ')} ({_WORTH[str(each['worth'])]})"
        for kind, each in model.unanswered.items()
    ]
    missing = f"; unanswered: {_listed(kinds)}" if kinds else "; no item is unanswered"
    lost = f"; {model.votes_missing:,} votes are missing" if model.votes_missing else "; no vote is missing"
    place = f"{model.rank_best}" if model.rank_best == model.rank_worst else f"{model.rank_best} to {model.rank_worst}"
    rehearsal = "REHEARSAL, no real score: " if model.rehearsal else ""
    return (
        f"{rehearsal}{model.model} (batch {model.name}) scores {_points(model.score)} on {report.field}, by the "
        f"{report.method} of the votes, on {model.n_items:,} items{missing}{lost}; judged by {_listed(model.judges)}; "
        f"place {place} of {len(report.models)}."
    )


def _pair(pair: ModelPair, pairs: int) -> str:
    numbers = pair.numbers
    units = "" if numbers.interval.n_clusters == numbers.n else f" in {numbers.interval.n_clusters:,} clusters"
    holm = f", {_p(numbers.p_holm)} after Holm's correction for {pairs} pairs" if pairs > 1 else ""
    text = (
        f"{numbers.a} minus {numbers.b} on the {numbers.n:,} common items{units}: {100 * numbers.difference:+.1f} points "
        f"({_interval(numbers.interval)}; {_p(numbers.p)}{holm})."
    )
    if pair.corrected is not None:
        by = pair.corrected
        text += (
            f" Corrected by {by.labels} human labels of both models' answers: {100 * by.difference:+.1f} points "
            f"({_interval(by.interval)}; {_p(by.p)})."
        )
    elif numbers.explained_by is not None and numbers.p < 1 - numbers.interval.level:
        text += (
            f" No human labels were used: judges that let {100 * numbers.explained_by:.1f} points more of one model's wrong "
            "answers pass than of the other's would explain it."
        )
    return text


def _interval(interval: Interval) -> str:
    """Level, bounds and method of an interval."""
    method = _INTERVALS.get(interval.method, interval.method)
    clusters = "" if interval.n_clusters == interval.n else f" in {interval.n_clusters:,} clusters"
    return (
        f"{100 * interval.level:.12g} % interval {_points(interval.low)} to {_points(interval.high)}, {method}, "
        f"n = {interval.n:,}{clusters}"
    )


def _made(seed: int, resamples: Sequence[int | None]) -> str:
    """Seed and versions."""
    drawn = f"seed {seed}, {', '.join(f'{n:,}' for n in resamples if n)} bootstrap resamples"
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    return f"Computed by batchflow {__version__} ({drawn}; {versions}, Python {platform.python_version()})."


def _notes(notes: Sequence[str]) -> list[str]:
    """Notes of the report about all its batches together."""
    kept = [note for note in notes if "differ in their" in note]
    return [" ".join(f"{note[0].upper()}{note[1:]}." for note in kept)] if kept else []


def _listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nobody"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
