"""Cards of `jury`, `score` and `compare`. Pure: a report in, a card out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from batchflow.cli.cards import money
from batchflow.cli.cards.base.card import Card, Column, table_of, tabulated, title
from batchflow.cli.cards.base.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchflow.score.bias import Bias
    from batchflow.score.intervals import Interval
    from batchflow.score.paired import Comparison
    from batchflow.score.summary import Summary
    from batchflow.steps.judging.jury_report import JudgeBatch, JuryReport
    from batchflow.steps.judging.jury_score import JuryScore
    from batchflow.steps.judging.labels.import_labels import LabelReport
    from batchflow.steps.verbs.evaluation.compare import CompareReport
    from batchflow.steps.verbs.evaluation.import_predictions import ImportReport
    from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreReport


def share(value: float | None) -> str:
    """A share as points of 100, `-` where there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def between(interval: Interval | None) -> str:
    """An interval in points of 100."""
    return f"{share(interval.low)} – {share(interval.high)}" if interval else "-"


def juried(report: JuryReport) -> Card:
    """The judge batches of `jury`."""
    rows = [
        ("Judging", report.name),
        ("Answers", f"{report.judgeable:,} to judge{_unanswered(report)}"),
    ]
    if report.extract:
        rows.append(("Extract", ", ".join(report.extract)))
    if report.cascade:
        rows.append(("Settled", f"{report.settled:,} by the rule {report.cascade} ({share(report.settled_share)} %)"))
    if report.samples > 1:
        rows.append(("Samples", f"{report.samples} of each judge; its vote is their majority"))
    if report.flagged:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.flags.items())
        rows.append(("Flagged", f"{report.flagged:,} seem to address the judge ({kinds}); show lists them"))
    head = title(f"jury of {report.name}", report.rehearsal)
    table = table_of(_JURY, report.batches)
    unknown = dict.fromkeys(
        f"price unknown: {'; '.join(batch.estimate.why)}"
        for batch in report.batches
        if batch.estimate is not None and not batch.estimate.is_free and batch.estimate.high_usd is None
    )
    return Card(head, report.next, tuple(rows), table, (*report.notes, *unknown), report.rehearsal)


_JURY: tuple[Column[JudgeBatch], ...] = (
    Column("", lambda batch: batch.handle),
    Column("judge", lambda batch: batch.judge),
    Column("requests", lambda batch: f"{batch.requests:,}"),
    Column("estimate", lambda batch: money.brief(batch.estimate)),
    Column("judge batch", lambda batch: batch.name),
    Column("", lambda batch: "" if batch.new else "already made"),
)


def _unanswered(report: JuryReport) -> str:
    return f"; {report.unjudgeable:,} unanswered ({counted(report.unanswered)})" if report.unjudgeable else ""


def scored(report: ScoreReport) -> Card:
    """One score with its agreement, or a leaderboard."""
    scores = [row.score for row in report.batches if row.score]
    level = scores[0].numbers.interval.level if scores else 0.95
    kinds = tuple(dict.fromkeys(kind for row in report.batches for kind in _kinds(row)))
    columns = {
        "place": "#", "batch": "batch", "score": "score", "interval": f"{100 * level:.12g} % interval",
        **({"spread": "rank spread"} if any(row.rank_best for row in report.batches) else {}),
        "judged": "judged",
        **{kind: kind for kind in kinds},
        "lost": "lost votes", "bounds": "bounds", "alpha": "alpha",
    }  # fmt: skip
    rows = [_row(place, row, columns) for place, row in enumerate(report.batches, start=1)]
    facts = [("Field", f"{report.field}{_scale(scores)}"), ("How", _how(scores)), *_extract(report.batches)]
    facts += [*_meaning(scores), *_unparsed(scores)]
    if len(scores) == 1:
        rows += _groups(scores[0].numbers)
        facts += _bootstrap(scores[0].numbers)
        facts += _agreement(scores[0].numbers)
        facts += _narrower(scores[0])
    notes = [f"{row.name}: not scored: {row.trouble}" for row in report.batches if row.trouble]
    notes += [
        f"{row.name}: the jury is incomplete, {', '.join(row.incomplete)} not done"
        for row in report.batches
        if row.incomplete
    ]
    notes += [*report.notes, *_footnotes(report.batches)]
    costs = [(row.name, row.cost.total) for row in report.batches if row.cost]
    facts += [("Cost", ", ".join(f"{name} {money.cell(cost)}" if len(costs) > 1 else money.cell(cost)
               for name, cost in costs))] if costs else []  # fmt: skip
    facts += biases(report.biases)
    legacy = [(row.name, row.score.legacy_overall) for row in report.batches if row.score]
    facts += [("Legacy overall", f"{name} {value:.4f}") for name, value in legacy if value is not None]
    facts += [(name, str(dictionary)) for name, dictionary in report.plus_minus.items()]
    rehearsal = all(row.rehearsal for row in report.batches)
    head = title(f"score of {len(report.batches)} {'batch' if len(report.batches) == 1 else 'batches'}", rehearsal)
    table = tabulated(columns, rows)
    return Card(head, report.next, tuple(facts), table, tuple(notes), rehearsal, folds=True)


def biases(tests: Sequence[Bias]) -> list[tuple[str, str]]:
    """Rows of the tests of judges' biases, a row a kind."""
    rows = []
    for kind in dict.fromkeys(each.kind for each in tests):
        of_kind = [each for each in tests if each.kind == kind]
        texts = [
            f"{each.judge or 'judges'} {100 * each.size:+.1f} [{share(each.low)}, {share(each.high)}], p {each.p_holm:.2g} (Holm), n {each.n:,} "
            f"against {each.reference}"
            for each in of_kind
        ]
        rows.append((f"Bias: {kind}", f"{_BIASES[kind]}: {'; '.join(texts)}"))
    return rows


_BIASES = {
    "own house": "points more for models of its house",
    "length": "points more for a doubled length",
    "position": "points more for the left answer than half",
}
_WORTH = {"wrong": "as wrong", "bounds": "in bounds", "exclude": "excluded"}


def _kinds(row: BatchScore) -> dict[str, int]:
    """Items without a vote by kind and by what they are worth, as the table calls them."""
    counts = {
        f"{kind.replace('_', ' ')} ({_WORTH[str(each['worth'])]})": int(each["items"])
        for kind, each in row.unanswered.items()
    }
    no_vote = row.left_out.get("no_vote", 0)
    return counts | ({"no vote": no_vote} if no_vote else {})


def _narrower(score: JuryScore) -> list[tuple[str, str]]:
    """Row with what would narrow the interval most for its money: items, samples, judges or labels."""
    if len(score.levers) < 2:
        return []
    from batchflow.steps.judging.design import told

    return [("To narrow it", told(score.levers))]


def _bootstrap(numbers: Summary) -> list[tuple[str, str]]:
    """The percentile bootstrap beside a Wilson interval."""
    boot = numbers.percentile
    if numbers.interval.method != "wilson":
        return []
    return [("Bootstrap", f"{between(boot)} (--ci percentile: {boot.resamples:,} resamples)")]


def _scale(scores: Sequence[JuryScore]) -> str:
    """The scale of the field, with the judge kind, where it is the same for all and not the plain true or false."""
    kinds = {(score.judge_kind, score.scale.name, score.scale.low, score.scale.high) for score in scores}
    if len(kinds) != 1:
        return ""
    ((kind, name, low, high),) = kinds
    words = "true or false" if name == "boolean" else f"{name}, from {low:g} to {high:g}"
    labels = f" ({', '.join(scores[0].scale.labels)})" if scores[0].scale.labels else ""
    return f" (kind {kind}; {words}{labels})"


def _unparsed(scores: Sequence[JuryScore]) -> list[tuple[str, str]]:
    """Row that counts the votes that could not be read by their reasons."""
    reasons = sum((Counter(score.unparsed_reasons) for score in scores), Counter[str]())
    if not reasons:
        return []
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(_FEW))
    more = len(reasons) - _FEW
    return [("Unparsed votes", f"{listed}{f', {more} more reasons (--json)' if more > 0 else ''}")]


def _extract(rows: Sequence[BatchScore]) -> list[tuple[str, str]]:
    """Row that names the extractors between the texts and the answers that were judged."""
    chains = {row.name: row.score.extract for row in rows if row.score and row.score.extract is not None}
    if not any(chains.values()):
        return []
    words = {name: ", ".join(names) or "none" for name, names in chains.items()}
    if len(set(words.values())) == 1:
        return [("Extract", next(iter(words.values())))]
    return [("Extract", "; ".join(f"{name}: {text}" for name, text in words.items()))]


_FEW = 3


def _footnotes(batches: Sequence[BatchScore]) -> list[str]:
    """The batches' footnotes; one that several have is told once, under their names."""
    names: dict[str, list[str]] = {}
    for row in batches:
        for note in row.score.footnotes if row.score else ():
            names.setdefault(note, []).append(row.name)
    return [f"{'all' if len(of) == len(batches) > 1 else ', '.join(of)}: {note}" for note, of in names.items()]


def _how(scores: Sequence[JuryScore]) -> str:
    """Method and seed are the same for all; the intervals need not be, in a leaderboard or in groups."""
    if not scores:
        return "nothing"
    first = scores[0].numbers
    groups = first.groups.values() if len(scores) == 1 else ()
    seen = [*(score.numbers.interval for score in scores), *(row.interval for rows in groups for row in rows)]
    different = list(dict.fromkeys(interval.method for interval in seen if interval))
    noun = "interval" if len(different) == 1 else "intervals"
    metric = "" if first.metric == "mean" else f", {first.metric} of each item"
    weighed = ", weighted" if first.weighted else ""
    parts = f", mean over {first.macro}" if first.macro else ""
    return f"{first.method}{metric}{weighed}{parts}, {' or '.join(different)} {noun}, seed {first.seed}"


def _meaning(scores: Sequence[JuryScore]) -> list[tuple[str, str]]:
    """Row that says what an interval without labels leaves out."""
    method = scores[0].numbers.method if scores else ""
    if method == "dawid-skene":
        return [("Interval", "covers item sampling and independent judge errors, not errors that the judges share")]
    if method not in {"mean", "majority"}:
        return []
    return [("Interval", "covers item sampling only, not judge error; add human labels with --gold")]


_OWN = frozenset({"place", "batch", "score", "interval", "spread", "judged", "lost", "bounds", "alpha"})
"""Columns of every leaderboard; the others count items that are in no mean, by kind."""


def _row(place: int, row: BatchScore, columns: Mapping[str, str]) -> dict[str, str]:
    head = {"place": str(place), "batch": title(row.name, row.rehearsal)}
    if row.score is None:
        return dict.fromkeys(columns, "-") | head
    numbers = row.score.numbers
    low, high = numbers.bounds_low, numbers.bounds_high
    return {
        **head,
        "score": share(numbers.score),
        "interval": between(numbers.interval),
        **({"spread": places(row.rank_best, row.rank_worst)} if row.rank_best and row.rank_worst else {}),
        "judged": f"{numbers.n_judged:,}/{numbers.n_items:,}",
        **dict.fromkeys(columns.keys() - _OWN, "0"),
        **{kind: f"{count:,}" for kind, count in _kinds(row).items()},
        "lost": _lost_votes(numbers),
        "bounds": "-" if low is None else f"{share(low)} – {share(high)}",
        "alpha": "-" if numbers.alpha is None else f"{numbers.alpha:.2f}",
    }


def _lost_votes(numbers: Summary) -> str:
    """Votes that were asked for and are not there; those of them that came back and could not be read."""
    missing, unread = numbers.votes_missing, numbers.votes_unparsed
    return f"{missing} ({unread} unparsed)" if unread else str(missing)


def _groups(numbers: Summary) -> list[dict[str, str]]:
    """Rows of the `--by` columns below the score, in the same columns."""
    return [
        {
            "batch": f"  {column} = {row.group}", "score": share(row.score), "interval": between(row.interval),
            "judged": f"{row.n_judged:,}/{row.n_items:,}",
        }
        for column, rows in numbers.groups.items()
        for row in rows
    ]  # fmt: skip


def _agreement(numbers: Summary) -> list[tuple[str, str]]:
    """The jury: each judge's mean, and how far the judges agree."""
    jury = numbers.agreement
    judges = ", ".join(f"{judge.judge} {share(judge.mean)}" for judge in numbers.judges)
    facts = [("Judges", judges)]
    is_corrected = numbers.method in {"ppi", "layton"}
    if is_corrected or numbers.score != numbers.mean:
        plain = f"mean {share(numbers.mean)} [{between(numbers.percentile)}]"
        other = "before the labels correct it" if is_corrected else "all votes and items alike"
        facts.append(("Votes", f"{plain} {other}"))
    if numbers.latent:
        texts = [f"{j.judge} {share(j.sensitivity)} / {share(j.specificity)}" for j in numbers.latent]
        facts.append(("As fitted", f"right answers called right / wrong ones called wrong: {', '.join(texts)}"))
    if numbers.method != "majority":
        facts.append(("Majority", share(numbers.majority)))
    if jury.unanimous is not None:
        facts.append(("Unanimous", f"{share(jury.unanimous)} % of the answers with two votes or more"))
    if jury.alpha is not None:
        interval = jury.alpha_interval
        bounds = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
        fleiss = f"; Fleiss' κ {jury.fleiss:.2f}" if jury.fleiss is not None else ""
        facts.append(("Agreement", f"Krippendorff's α {jury.alpha:.2f}{bounds}{fleiss}"))
    kappas = [
        f"{pair.judge_a} / {pair.judge_b} {pair.kappa:.2f} (n {pair.n})"
        for pair in jury.pairs
        if pair.kappa is not None
    ]
    if kappas:
        facts.append(("Pairwise κ", ", ".join(kappas)))
    return facts + _by_gold(numbers)


def _by_gold(numbers: Summary) -> list[tuple[str, str]]:
    """Facts that human labels show about the judges."""
    jury, facts = numbers.agreement, []
    if jury.accuracy is not None:
        right = zip((judge.judge for judge in numbers.judges), jury.accuracy, strict=True)
        whose = "this model's own" if jury.gold_basis == "own" else "other models'"
        basis = f"from {jury.gold_labels:,} labels of {whose} answers"
        facts.append(("Right by gold", f"{', '.join(f'{judge} {share(value)}' for judge, value in right)}; {basis}"))
    if jury.independent is not None and jury.independent_among is not None:
        among, others = jury.independent_among, len(numbers.judges) - jury.independent_among
        rest = f"; the other {others} made no labelled error" if others else ""
        facts.append(("Effective judges", f"{jury.independent:.1f} of {among}{rest}"))
    return facts


_MODEL = {
    "place": "place", "batch": "batch", "score": "score", "items": "items", "as_wrong": "as wrong",
    "left_out": "left out", "lost": "lost votes",
}  # fmt: skip
_PAIR = {
    "indent": "", "difference": "difference", "points": "points", "items": "items", "interval": "interval",
    "p": "p (Holm)", "mcnemar": "McNemar", "detectable": "detectable",
}  # fmt: skip
"""Headings of the two tables of `compare`."""


def compared(report: CompareReport) -> Card:
    """Models with the places that the tests leave open, then every pair."""
    models = [
        {
            "place": places(m.rank_best, m.rank_worst), "batch": title(m.name, m.rehearsal), "score": share(m.score),
            "items": str(m.n_items), "as_wrong": str(m.as_wrong), "left_out": str(m.left_out),
            "lost": str(m.votes_missing),
        }
        for m in report.models
    ]  # fmt: skip
    pairs = tabulated(
        _PAIR | {"interval": f"{100 * report.level:.12g} % interval"}, [_pair(p.numbers) for p in report.pairs]
    )
    facts = [
        ("Field", report.field),
        ("How", f"{report.method} of the votes, paired by item, seed {report.seed}"),
        ("Detectable", f"smallest difference found in {100 * report.power:g} % of repeats"),
    ]
    if len(report.pairs) > 1:
        facts.append(
            ("Holm", f"is for all {len(report.pairs)} pairs, as the places are; the rest is each pair's alone")
        )
    facts += _judge_errors(report)
    notes = [*report.notes]
    numbers = [pair.numbers for pair in report.pairs]
    notes += [f"{pair.a} − {pair.b}: {pair.interval.note}" for pair in numbers if pair.interval.note]
    for pair in numbers:
        for side, other, only in ((pair.a, pair.b, pair.only_in_a), (pair.b, pair.a, pair.only_in_b)):
            if only:
                named = ", ".join(only[:5]) + (", ..." if len(only) > 5 else "")
                notes.append(f"{len(only):,} of {side}'s items are not judged in {other}: {named}")
    if report.incomplete:
        notes.append(f"juries are incomplete: {', '.join(report.incomplete)} not done")
    rehearsal = any(model.rehearsal for model in report.models)
    table = tabulated(_MODEL, models)
    return Card(
        title("comparison", rehearsal),
        report.next,
        tuple(facts),
        table,
        tuple(notes),
        rehearsal,
        folds=True,
        below=pairs,
    )


def _judge_errors(report: CompareReport) -> list[tuple[str, str]]:
    """A row for each judge with its errors by batch, where labels show them."""
    texts: dict[str, list[str]] = {}
    for row in report.judge_errors:
        passed = f"{share(row.wrong_passed)} % of {row.wrong:,} wrong pass"
        failed = f"{share(row.right_failed)} % of {row.right:,} right fail"
        texts.setdefault(row.judge, []).append(f"{row.name}: {passed}, {failed}")
    return [(f"Errors of {judge}", "; ".join(of_judge)) for judge, of_judge in texts.items()]


def imported(report: ImportReport) -> Card:
    """A batch of brought predictions."""
    rows = (
        ("Name", f"{report.name} ({report.handle})"),
        ("Vendor", report.provider or "not said"),
        ("Model", report.model),
        ("Task", f"{report.task}, split {report.split}"),
        ("Requests", f"{report.requests:,}"),
        ("Outcomes", counted(report.outcomes)),
        ("Answers", counted(report.parsed)),
        ("Results", report.path),
    )
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=report.notes, rehearsal=report.rehearsal)


def labelled(report: LabelReport) -> Card:
    """Labels that were taken in."""
    rows = (
        ("File", report.file),
        ("Answers", f"{report.labels:,} labelled"),
        ("Batches", counted(report.batches)),
        ("Labels", f"{report.new:,} new, {report.changed:,} changed, {report.unchanged:,} unchanged"),
    )
    return Card("labels", report.next, rows, notes=report.notes)


def places(best: int, worst: int) -> str:
    """A place, or the range of places that are open."""
    return str(best) if best == worst else f"{best}–{worst}"


def _pair(pair: Comparison) -> dict[str, str]:
    table = pair.mcnemar
    return {
        "difference": f"{pair.a} − {pair.b}",
        "points": f"{100 * pair.difference:+.1f}",
        "items": str(pair.n),
        "interval": between(pair.interval),
        "p": f"{pair.p:.2g} ({pair.p_holm:.2g})",
        "mcnemar": f"{table.only_a}:{table.only_b} (mid-p {table.mid_p:.2g})" if table else "-",
        "detectable": share(pair.detectable),
    }
