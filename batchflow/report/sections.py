"""The sections of the page above its items: tables and plots, as markup. Every text in them is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from batchflow.report import judging, plots
from batchflow.report.data import BatchPart, Json, ReportData, between, gain, plural, points
from batchflow.report.drawing import svg
from batchflow.report.markup import Markup, figure, join, note, table, tag, text


def sections(report: ReportData) -> list[tuple[str, str, Markup]]:
    """(id, heading, content) of each section that has something to show."""
    makers: tuple[tuple[str, str, Callable[[ReportData], Markup | None]], ...] = (
        ("scores", "Scores", _scores),
        ("differences", "Paired differences", _differences),
        ("judges", "Judges", judging.judges),
        ("biases", "Biases of the judges", judging.biases),
        ("groups", "Score by column", _groups),
        ("outcomes", "Outcomes and cost", _outcomes),
        ("labels", "Human labels", _labels),
        ("method", "How it was made", _method),
    )
    parts = ((name, title, maker(report)) for name, title, maker in makers)
    return [(name, title, content) for name, title, content in parts if content is not None]


def tiles(report: ReportData) -> Markup:
    """The few numbers that a reader looks for first."""
    best = report.scored[0] if report.scored else None
    shown = []
    if best is not None:
        interval = f"{between(best.summary['ci_low'], best.summary['ci_high'])}"
        many = len(report.batches) > 1
        shown.append((f"Best score: {best.name}" if many else "Score", points(best.summary["score"]), interval))
        if best.summary["alpha"] is not None:
            shown.append(("Agreement of its judges", f"{best.summary['alpha']:.2f}", "Krippendorff's alpha"))
    requests, answered = (sum(getattr(b, name) for b in report.batches) for name in ("requests", "answered"))
    shown.append(("Answered", f"{answered:,}", f"of {plural(requests, 'request')}"))
    shown.append(("Cost", report.cost, "; ".join(("answers, retries and jury", *report.cost_notes))))
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)), class_="tile")
            for name, value, more in shown
        ),
        class_="tiles",
    )


def _name(batch: BatchPart) -> Markup:
    mark = tag("span", "rehearsal", class_="badge warn") if batch.rehearsal else None
    return join(tag("span", batch.name, class_="name"), mark, tag("small", f"{batch.provider} · {batch.model}"))


def _scores(report: ReportData) -> Markup:
    low, high = plots.reach(report) if report.scored else (0.0, 1.0)
    rows = []
    for batch in report.batches:
        s = batch.summary
        if not s:
            rows.append([_name(batch), "–", text(batch.trouble or "not scored"), "–", "–", "–", "–"])
            continue
        left = sum(batch.left_out.values())
        rows.append([
            _name(batch), tag("strong", points(s["score"])), Markup(svg(plots.bar(s, low, high), standalone=False)),
            between(s["ci_low"], s["ci_high"]), f"{s['n_judged']:,} / {s['n_items']:,}", f"{left:,}",
            "–" if s["alpha"] is None else f"{s['alpha']:.2f}",
        ])  # fmt: skip
    axis = f"{points(low, 0)} to {points(high, 0)}"
    head = ("Batch", "Score", f"Interval ({axis})", f"{100 * report.level:g} %", "Judged", "Left out", "Alpha")
    about = (
        f"Mean vote on {report.field}, in points of 100. The interval covers the sampling of items, not errors of the "
        "judges. An answer that the model failed to give counts as wrong; what the vendor failed to deliver, and items "
        "without a valid vote, are left out."
    )
    return join(
        tag("p", about, class_="about"),
        table("Scores, best first", head, rows, numbers=(1, 3, 4, 5, 6)),
        note(*report.notes),
    )


def _differences(report: ReportData) -> Markup | None:
    if not report.pairs:
        return None
    rows = [
        [
            f"{pair['a']} − {pair['b']}", gain(pair["difference"]),
            f"{gain(pair['interval']['low'])} to {gain(pair['interval']['high'])}", f"{pair['n']:,}",
            f"{pair['p']:.2g}", f"{pair['p_holm']:.2g}", points(pair["detectable"]),
        ]
        for pair in report.pairs
    ]  # fmt: skip
    head = ("Pair", "Points", f"{100 * report.level:g} % interval", "Items", "p", "p (Holm)", "Detectable")
    about = (
        "The same items, answered by both. A pair whose interval holds 0 is not told apart; Holm's p counts all pairs; "
        "detectable is the smallest difference found in 80 % of repeats."
    )
    return join(
        tag("p", about, class_="about"),
        figure(plots.differences(report)),
        table("Paired differences", head, rows, numbers=(1, 2, 3, 4, 5, 6)),
    )


def _groups(report: ReportData) -> Markup | None:
    parts = []
    for column in report.columns:
        names = plots.group_names(report, column)
        if not names:
            continue
        rows = []
        for value in names:
            cells: list[str | Markup] = [value]
            for batch in report.scored:
                row = next((r for r in batch.summary["groups"].get(column, ()) if str(r["group"]) == value), None)
                cells.append(_group(row))
            rows.append(cells)
        head = [column, *(batch.name for batch in report.scored)]
        parts += [
            tag("h3", column),
            figure(plots.groups(report, column)),
            tag("details", tag("summary", "As a table"), table(f"Score by {column}", head, rows,
                numbers=range(1, len(head)))),
        ]  # fmt: skip
    return join(*parts) if parts else None


def _group(row: Json | None) -> str:
    if row is None or row["score"] is None:
        return "–"
    interval = row["interval"]
    bounds = f" [{points(interval['low'])}, {points(interval['high'])}]" if interval else ""
    return f"{points(row['score'])}{bounds} (n {row['n_judged']:,})"


def _outcomes(report: ReportData) -> Markup:
    rows = []
    for batch in report.batches:
        bar = Markup(svg(plots.outcome_bar(batch), standalone=False))
        ends = ", ".join(f"{count:,} {kind}" for kind, count in plots.unanswered(batch).items()) or "none"
        tokens = batch.tokens
        rows.append([
            _name(batch), bar, f"{batch.answered:,}", ends, f"{tokens['input_tokens']:,}",
            f"{tokens['output_tokens']:,}", batch.cost,
        ])  # fmt: skip
    head = ("Batch", "Outcomes", "Answered", "Unanswered", "Tokens in", "Tokens out", "Cost with jury")
    why = [
        [
            join(f"{reason['count']:,} {reason['kind']}", tag("small", batch.name)),
            tag("span", reason["text"], class_="quote"),
            tag("a", f"{reason['item']}", href=_link(batch.name, reason["item"])),
            {"yes": "yes", "no": "no", "perhaps": "perhaps"}.get(reason["retry_helps"], ""),
            reason["advice"],
        ]
        for batch in report.batches
        for reason in batch.reasons[:20]
    ]
    reasons = table(
        "Reasons of unanswered requests", ("Requests", "Reason", "Example", "Retry helps", "What to do"), why
    )
    return join(
        table("How the requests ended", head, rows, numbers=(2, 4, 5)),
        join(tag("h3", "Why requests are unanswered"), reasons) if why else None,
    )


def _link(batch: str, item: str) -> str:
    from urllib.parse import urlencode

    return f"#items?{urlencode({'open': f'{batch}/{item}/0'})}"


def _labels(report: ReportData) -> Markup | None:
    rows = []
    for batch in report.scored:
        jury = batch.summary["agreement"]
        if not jury.get("gold_labels"):
            continue
        corrected = batch.corrected
        rows.append([
            _name(batch), f"{jury['gold_labels']:,}", "its own" if jury["gold_basis"] == "own" else "other models'",
            points(batch.summary["score"]), points(corrected.get("score")),
            between(corrected.get("ci_low"), corrected.get("ci_high")),
        ])  # fmt: skip
    if not rows:
        return None
    head = ("Batch", "Labels", "Answers of", "By the jury", "Corrected", f"{100 * report.level:g} %")
    about = "People judged some of the answers. The corrected score takes out the errors that the judges made on these."
    return join(tag("p", about, class_="about"), table("Scores with labels", head, rows, numbers=(1, 3, 4, 5)))


def _method(report: ReportData) -> Markup:
    parts = []
    for batch in report.batches:
        judges = [join(tag("h4", f"Judge {name}"), _facts(facts)) for name, facts in batch.judges]
        parts.append(tag("details", tag("summary", batch.name), _facts(batch.made), *judges,
                         open=len(report.batches) == 1))  # fmt: skip
    footnotes = dict.fromkeys(note for batch in report.scored for note in batch.summary.get("footnotes", ()))
    return join(
        *parts,
        join(tag("h3", "Notes on the scores"), note(*footnotes)) if footnotes else None,
        tag("h3", "Versions"),
        _facts(report.versions),
    )


def _facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")
