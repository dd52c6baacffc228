"""Scores and paired differences as LaTeX. Texts from outside are no macro."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchflow.report.data import ReportData

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "−": "--",
}  # fmt: skip


def latex(report: ReportData) -> str:
    """Scores and paired differences as tables for `booktabs`."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    if report.rehearsal:
        parts.append("% REHEARSAL: these answers are made up, no model gave them\n")
    rows = [
        (
            _tex(batch.name), _tex(batch.model), _number(batch.summary.get("score")),
            f"[{_number(batch.summary['ci_low'])}, {_number(batch.summary['ci_high'])}]" if batch.summary else "",
            str(batch.summary.get("n_judged", "")),
        )
        for batch in report.batches
    ]  # fmt: skip
    level = f"{100 * report.level:g}\\,\\%"
    head = ("Batch", "Model", "Score", f"{level} interval", "Items")
    parts.append(_tabular(head, rows, "llrrr", f"Scores ({_tex(report.field)}), points of 100.", "tab:scores"))
    pairs = [
        (
            f"{_tex(pair['a'])} -- {_tex(pair['b'])}", _difference(pair["difference"]),
            f"[{_difference(pair['interval']['low'])}, {_difference(pair['interval']['high'])}]", str(pair["n"]),
            f"{pair['p_holm']:.2g}",
        )
        for pair in report.pairs
    ]  # fmt: skip
    if pairs:
        head = ("Pair", "Difference", f"{level} interval", "Items", "$p$ (Holm)")
        parts.append(_tabular(head, pairs, "lrrrr", "Paired differences, points of 100.", "tab:differences"))
    return "\n".join(parts)


def _tabular(head: Sequence[str], rows: Iterable[Sequence[str]], columns: str, caption: str, label: str) -> str:
    lines = [" & ".join(row) + r" \\" for row in rows]
    body = "\n".join(lines)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{{label}}}\n\\begin{{tabular}}{{{columns}}}\n"
        f"\\toprule\n{' & '.join(head)} \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _tex(text: str) -> str:
    r"""A text of which TeX makes nothing.

    >>> print(_tex("a_b 5 %"))
    a\_b 5 \%
    """
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return "".join(_TEX.get(char, char) for char in plain)


def _number(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _difference(share: float) -> str:
    return f"${100 * share:+.1f}$"
