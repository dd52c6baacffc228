"""Cards of `jury`, `score` and `compare`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchflow.cli.cards.card import Card, title
from batchflow.cli.cards.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchflow.steps.judging.jury_report import JuryReport
    from batchflow.steps.judging.labels import LabelReport
    from batchflow.steps.verbs.compare import CompareReport
    from batchflow.steps.verbs.import_predictions import ImportReport
    from batchflow.steps.verbs.score import BatchScore, ScoreReport


def share(value: float | None) -> str:
    """A share as points of 100, `-` where there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def between(interval: dict[str, Any] | None) -> str:
    """An interval in points of 100."""
    return f"{share(interval['low'])} – {share(interval['high'])}" if interval else "-"


def juried(report: JuryReport) -> Card:
    """The judge batches of `jury`."""
    table = (
        ("judge batch", "judge", "requests", ""),
        *((b.name, b.judge, f"{b.requests:,}", "" if b.new else "was there") for b in report.batches),
    )
    rows = [
        ("Judging", report.name),
        ("Answers", f"{report.judgeable:,} to judge{_unanswered(report)}"),
    ]
    if report.cascade:
        rows.append(("Settled", f"{report.settled:,} by the rule {report.cascade} ({share(report.settled_share)} %)"))
    if report.samples > 1:
        rows.append(("Samples", f"{report.samples} of each judge; its vote is what most of them say"))
    if report.flagged:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.flags.items())
        rows.append(("Flagged", f"{report.flagged:,} seem to speak to the judge ({kinds}); show lists them"))
    head = title(f"jury of {report.name}", report.rehearsal)
    return Card(head, report.next, tuple(rows), table, report.notes, report.rehearsal)


def _unanswered(report: JuryReport) -> str:
    return f"; {report.unjudgeable:,} unanswered ({counted(report.unanswered)})" if report.unjudgeable else ""


def scored(report: ScoreReport) -> Card:
    """One score with its agreement, or a leaderboard."""
    made = [row.summary for row in report.batches if row.summary]
    level = made[0]["level"] if made else 0.95
    interval = f"{100 * level:g} % interval"
    kinds = tuple(dict.fromkeys(kind for row in report.batches for kind in _kinds(row)))
    columns = (*kinds, "lost votes")
    names = ("#", "batch", "score", interval, "judged", *columns, "bounds", "alpha")
    table = [names, *(_row(place, row, kinds) for place, row in enumerate(report.batches, start=1))]
    facts = [("Field", report.field), ("How", _how(made)), *_meaning(made)]
    if len(made) == 1:
        table += _groups(made[0], len(names))
        facts += _bootstrap(made[0])
        facts += _agreement(made[0])
    notes = [f"{row.name}: not scored: {row.trouble}" for row in report.batches if row.trouble]
    notes += [
        f"{row.name}: the jury is incomplete, {', '.join(row.incomplete)} not done"
        for row in report.batches
        if row.incomplete
    ]
    notes += [*report.notes, *_footnotes(report.batches)]
    rehearsal = all(row.rehearsal for row in report.batches)
    head = title(f"score of {len(report.batches)} {'batch' if len(report.batches) == 1 else 'batches'}", rehearsal)
    return Card(head, report.next, tuple(facts), tuple(table), tuple(notes), rehearsal, folds=True)


_WORTH = {"wrong": "as wrong", "bounds": "in bounds", "exclude": "excluded"}


def _kinds(row: BatchScore) -> dict[str, int]:
    """Items without a vote by kind and by what they are worth, as the table calls them."""
    counts = {
        f"{kind.replace('_', ' ')} ({_WORTH[str(each['worth'])]})": int(each["items"])
        for kind, each in row.unanswered.items()
    }
    no_vote = row.left_out.get("no_vote", 0)
    return counts | ({"no vote": no_vote} if no_vote else {})


def _footnotes(batches: Sequence[BatchScore]) -> list[str]:
    """The batches' footnotes; one that several have is told once, under their names."""
    names: dict[str, list[str]] = {}
    for row in batches:
        for note in row.summary.get("footnotes", ()):
            names.setdefault(note, []).append(row.name)
    return [f"{'all' if len(of) == len(batches) > 1 else ', '.join(of)}: {note}" for note, of in names.items()]


def _how(made: Sequence[dict[str, Any]]) -> str:
    """Method and seed are the same for all; the intervals need not be, in a leaderboard or in groups."""
    if not made:
        return "nothing"
    groups = made[0]["groups"].values() if len(made) == 1 else ()
    seen = [*(s["interval"] for s in made), *(row["interval"] for rows in groups for row in rows)]
    different = list(dict.fromkeys(interval["method"] for interval in seen if interval))
    noun = "interval" if len(different) == 1 else "intervals"
    metric = "" if made[0]["metric"] == "mean" else f", {made[0]['metric']} of each item"
    return f"{made[0]['method']}{metric}, {' or '.join(different)} {noun}, seed {made[0]['seed']}"


def _meaning(made: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Row that says what an interval without labels leaves out."""
    if not made or made[0]["method"] not in {"mean", "majority"}:
        return []
    return [("Interval", "covers item sampling only, not judge error; add human labels with --gold")]


def _bootstrap(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The percentile bootstrap beside a Wilson interval."""
    boot = summary["intervals"]["percentile"]
    if summary["interval"]["method"] != "wilson":
        return []
    return [("Bootstrap", f"{between(boot)} (--ci percentile: {boot['resamples']:,} resamples)")]


def _row(place: int, row: BatchScore, kinds: Sequence[str]) -> tuple[str, ...]:
    name, s = title(row.name, row.rehearsal), row.summary
    if not s:
        return (str(place), name, *("-",) * (6 + len(kinds)))
    alpha = "-" if s["alpha"] is None else f"{s['alpha']:.2f}"
    return (
        str(place), name, share(s["score"]), f"{share(s['ci_low'])} – {share(s['ci_high'])}",
        f"{s['n_judged']:,}/{s['n_items']:,}", *(f"{_kinds(row).get(kind, 0):,}" for kind in kinds), _lost_votes(s),
        "-" if s["bounds_low"] is None else f"{share(s['bounds_low'])} – {share(s['bounds_high'])}", alpha,
    )  # fmt: skip


def _lost_votes(summary: dict[str, Any]) -> str:
    """Votes that were asked for and are not there; those of them that came back and could not be read."""
    missing, unread = summary["votes_missing"], summary["votes_unparsed"]
    return f"{missing} ({unread} unparsed)" if unread else str(missing)


def _groups(summary: dict[str, Any], width: int) -> list[tuple[str, ...]]:
    """Rows of the `--by` columns below the score, in the same columns."""
    return [
        ("", f"  {column} = {row['group']}", share(row["score"]), between(row["interval"]),
         f"{row['n_judged']:,}/{row['n_items']:,}", *("",) * (width - 5))
        for column, rows in summary["groups"].items()
        for row in rows
    ]  # fmt: skip


def _agreement(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The jury: each judge's mean, and how far the judges agree."""
    jury = summary["agreement"]
    judges = ", ".join(f"{judge['judge']} {share(judge['mean'])}" for judge in summary["judges"])
    facts = [("Judges", judges)]
    if summary["bounds_low"] is None:
        plain = f"mean {share(summary['mean'])} [{between(summary['intervals']['percentile'])}]"
        facts.append(("Votes", f"{plain} before the labels correct it"))
    if summary["method"] != "majority":
        facts.append(("Majority", share(summary["majority"])))
    if jury["unanimous"] is not None:
        facts.append(("Unanimous", f"{share(jury['unanimous'])} % of the answers with two votes or more"))
    if jury["alpha"] is not None:
        interval = jury["alpha_interval"]
        bounds = f" [{interval['low']:.2f}, {interval['high']:.2f}]" if interval else ""
        fleiss = f"; Fleiss' κ {jury['fleiss']:.2f}" if jury["fleiss"] is not None else ""
        facts.append(("Agreement", f"Krippendorff's α {jury['alpha']:.2f}{bounds}{fleiss}"))
    kappas = [pair for pair in jury["pairs"] if pair["kappa"] is not None]
    if kappas:
        facts.append(
            ("Pairwise κ", ", ".join(f"{p['judge_a']} / {p['judge_b']} {p['kappa']:.2f} (n {p['n']})" for p in kappas))
        )
    if jury["accuracy"] is not None:
        right = zip((judge["judge"] for judge in summary["judges"]), jury["accuracy"], strict=True)
        basis = f"from {_labels_of(jury)}"
        facts.append(("Right by gold", f"{', '.join(f'{judge} {share(value)}' for judge, value in right)}; {basis}"))
    if jury["independent"] is not None:
        among, others = jury["independent_among"], len(summary["judges"]) - jury["independent_among"]
        rest = f"; the other {others} made no labelled error" if others else ""
        facts.append(("Effective judges", f"{jury['independent']:.1f} of {among}{rest}"))
    return facts


def _labels_of(jury: dict[str, Any]) -> str:
    """Whose labelled answers tell how right the judges are."""
    whose = "this model's own" if jury["gold_basis"] == "own" else "other models'"
    return f"{jury['gold_labels']:,} labels of {whose} answers"


def compared(report: CompareReport) -> Card:
    """Models with the places that the tests leave open, then every pair."""
    names = ("place", "batch", "score", "items", "as wrong", "left out", "lost votes", "")
    models = [
        (_places(m.rank_best, m.rank_worst), title(m.name, m.rehearsal), share(m.score), str(m.n_items),
         str(m.as_wrong), str(m.left_out), str(m.votes_missing), "")
        for m in report.models
    ]  # fmt: skip
    interval = f"{100 * report.level:g} % interval"
    head = ("", "difference", "points", "items", interval, "p (Holm)", "McNemar", "detectable")
    pairs = [_pair(pair) for pair in report.pairs]
    facts = [
        ("Field", report.field),
        ("How", f"{report.method} of the votes, paired by item, seed {report.seed}"),
        ("Detectable", f"smallest difference found in {100 * report.power:g} % of repeats"),
    ]
    if len(report.pairs) > 1:
        facts.append(
            ("Holm", f"is for all {len(report.pairs)} pairs, as the places are; the rest is each pair's alone")
        )
    notes = [*report.notes]
    notes += [f"{p['a']} − {p['b']}: {p['interval']['note']}" for p in report.pairs if p["interval"]["note"]]
    for pair in report.pairs:
        for side, other in (("a", "b"), ("b", "a")):
            if only := pair[f"only_in_{side}"]:
                named = ", ".join(only[:5]) + (", ..." if len(only) > 5 else "")
                notes.append(f"{len(only):,} of {pair[side]}'s items are not judged in {pair[other]}: {named}")
    if report.incomplete:
        notes.append(f"juries are incomplete: {', '.join(report.incomplete)} not done")
    rehearsal = any(model.rehearsal for model in report.models)
    table = (names, *models, ("",) * 8, head, *pairs)
    return Card(title("comparison", rehearsal), report.next, tuple(facts), table, tuple(notes), rehearsal, folds=True)


def imported(report: ImportReport) -> Card:
    """A batch of brought predictions."""
    rows = (
        ("Name", report.name),
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
        ("Labels", f"{report.labels:,}"),
        ("Batches", counted(report.batches)),
        ("Changed", f"{report.changed:,} said something else before"),
    )
    return Card("labels", report.next, rows, notes=report.notes)


def _places(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}–{worst}"


def _pair(pair: dict[str, Any]) -> tuple[str, ...]:
    table = pair["mcnemar"]
    mcnemar = f"{table['only_a']}:{table['only_b']} (mid-p {table['mid_p']:.2g})" if table else "-"
    return (
        "", f"{pair['a']} − {pair['b']}", f"{100 * pair['difference']:+.1f}", str(pair["n"]), between(pair["interval"]),
        f"{pair['p']:.2g} ({pair['p_holm']:.2g})", mcnemar, share(pair["detectable"]),
    )  # fmt: skip
