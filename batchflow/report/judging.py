"""Sections about the judges: their votes, how far they agree, their biases."""

from __future__ import annotations

from batchflow.report.data import BatchPart, Json, ReportData, gain, points
from batchflow.report.markup import Markup, join, note, table, tag, text

_SIZES = {"own house": "points more for models of its house", "length": "points more for a doubled length"}


def judges(report: ReportData) -> Markup | None:
    """Votes of each judge, and how far the judges of each batch agree."""
    if not report.scored:
        return None
    many = len(report.scored) > 1
    rows = []
    for batch in report.scored:
        accuracy = batch.summary["agreement"].get("accuracy") or [None] * len(batch.summary["judges"])
        for judge, right in zip(batch.summary["judges"], accuracy, strict=True):
            name = join(judge["judge"], tag("small", batch.name) if many else None)
            rows.append([name, points(judge["mean"]), f"{judge['votes']:,}", f"{judge['missing']:,}", points(right)])
    head = ("Judge", "Mean vote", "Votes", "Lost", "Right by labels")
    return join(
        table("Votes of each judge", head, rows, numbers=(1, 2, 3, 4)),
        tag("div", *(_agreement(batch, named=many) for batch in report.scored), class_="columns"),
    )


def _agreement(batch: BatchPart, *, named: bool) -> Markup:
    """Agreement of a batch's judges, with Cohen's kappa of each pair as a matrix."""
    jury = batch.summary["agreement"]
    facts = []
    if jury["alpha"] is not None:
        interval = jury["alpha_interval"]
        bounds = f" [{interval['low']:.2f}, {interval['high']:.2f}]" if interval else ""
        facts.append(f"Krippendorff's alpha {jury['alpha']:.2f}{bounds}")
    if jury["unanimous"] is not None:
        facts.append(f"unanimous on {points(jury['unanimous'])} % of the answers")
    if jury["independent"] is not None:
        facts.append(f"worth {jury['independent']:.1f} independent judges of {jury['independent_among']}")
    judges = [judge["judge"] for judge in batch.summary["judges"]]
    pair_of = {frozenset((pair["judge_a"], pair["judge_b"])): pair for pair in jury["pairs"]}
    rows = [
        [
            tag("span", f"{row + 1} {one}"),
            *(_kappa(pair_of.get(frozenset((one, other))), one == other) for other in judges),
        ]
        for row, one in enumerate(judges)
    ]
    head = ["Cohen's kappa", *(str(number) for number in range(1, len(judges) + 1))]
    matrix = table(f"Cohen's kappa of the judges of {batch.name}", head, rows, numbers=range(1, len(judges) + 1))
    return tag(
        "div",
        tag("h3", batch.name) if named else None,
        tag("p", "; ".join(facts) + "." if facts else "One judge: no agreement to measure.", class_="about"),
        matrix if len(judges) > 1 else None,
    )


def _kappa(pair: Json | None, is_same: bool) -> Markup:
    if is_same:
        return tag("span", "·", aria_label="itself", role="img")
    value = pair["kappa"] if pair else None
    if value is None:
        return text("–")
    step = min(max(int(value * 5), 0), 4)
    return tag("span", f"{value:.2f}", class_=f"heat heat-{step}")


def biases(report: ReportData) -> Markup | None:
    """Tests of the judges' biases, and what could not be tested."""
    if not report.biases and not report.bias_notes:
        return None
    rows = [
        [
            bias["judge"] or "all judges", bias["kind"], gain(bias["size"]), _SIZES.get(bias["kind"], ""),
            f"{gain(bias['low'])} to {gain(bias['high'])}", f"{bias['p']:.2g}", f"{bias['p_holm']:.2g}",
            f"{bias['n']:,}", bias["reference"],
        ]
        for bias in report.biases
    ]  # fmt: skip
    head = (
        "Judge",
        "Bias",
        "Size",
        "In",
        f"{100 * report.level:g} % interval",
        "p",
        "p (Holm)",
        "Answers",
        "Held against",
    )
    about = (
        "What sways a judge besides the answer: models of its own house, and length. An interval that holds 0 shows no "
        "bias. The answer that stands first needs pairs: batchflow rank shows it."
    )
    return join(
        tag("p", about, class_="about"),
        table("Biases of the judges", head, rows, numbers=(2, 4, 5, 6, 7)) if rows else None,
        note(*report.bias_notes),
    )
