"""Card of `rank`. Pure: a report in, a card out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, tabulated, title
from batchflow.cli.cards.judging import biases, places, share

if TYPE_CHECKING:
    from batchflow.steps.verbs.evaluation.rank import RankReport, RatedPair, RatedRow

_UNITS = {
    "bradley-terry": "Bradley–Terry log strength, errors clustered on the prompt",
    "newman": "log strength with ties by Newman's iteration, bootstrap over prompts",
    "eigen": "eigenvector of the wins, sum 1, bootstrap over prompts",
    "win-rate": "mean share of wins against each opponent, bootstrap over prompts",
    "points": "wins and half of the ties, bootstrap over prompts",
    "elo": "Elo, mean over random orders",
}
_MODEL = {"place": "place", "model": "model", "rating": "rating", "interval": "interval", "record": "won–lost–tied"}
_PAIR = {
    "place": "", "model": "difference", "rating": "log odds", "interval": "interval", "record": "beats it", "p": "p (Holm)",
}  # fmt: skip


def ranked(report: RankReport) -> Card:
    """Models by rating, and every pair where the method tests pairs."""
    level = f"{100 * report.level:.12g} % interval"
    models = tabulated(_MODEL | {"interval": level}, [_model(row, report.method) for row in report.models])
    pairs = tabulated(_PAIR | {"interval": level}, [_pair(pair) for pair in report.pairs])
    unread = f", {report.unparsed:,} more could not be read" if report.unparsed else ""
    facts = [
        ("How", f"{_UNITS[report.method]}, seed {report.seed}"),
        ("Verdicts", f"{report.n:,} on {report.n_prompts:,} prompts{unread}"),
    ]
    if report.twice:
        same = f"{share(report.agreed / report.twice)} % with one verdict; the others: {report.orders}"
        facts.append(("Both orders", f"{report.twice:,} pairs, {same}"))
    notes = [*report.notes]
    if report.incomplete:
        notes.append(f"juries are incomplete: {', '.join(report.incomplete)} not done")
    head = title("ranking", report.rehearsal)
    facts += biases(report.biases)
    below = pairs if report.pairs else ()
    return Card(head, report.next, tuple(facts), models, tuple(notes), report.rehearsal, folds=True, below=below)


def _model(row: RatedRow, method: str) -> dict[str, str]:
    return {
        "place": places(row.rank_best, row.rank_worst),
        "model": row.model,
        "rating": _number(row.rating, method),
        "interval": "-" if method == "elo" else f"{_bound(row.low, method)} – {_bound(row.high, method)}",
        "record": f"{row.wins:,}–{row.losses:,}–{row.ties:,}",
    }


def _pair(pair: RatedPair) -> dict[str, str]:
    return {
        "model": f"{pair.a} − {pair.b}",
        "rating": f"{pair.difference:+.2f}",
        "interval": f"{_bound(pair.low, '')} – {_bound(pair.high, '')}",
        "record": f"{share(pair.chance)} %",
        "p": f"{pair.p:.2g} ({pair.p_holm:.2g})",
    }


def _bound(value: float | None, method: str) -> str:
    return "no limit" if value is None else _number(value, method)


def _number(value: float, method: str) -> str:
    if method == "win-rate":
        return f"{100 * value:.1f}"
    return f"{value:,.1f}" if method in {"points", "elo"} else f"{value:.3f}" if method == "eigen" else f"{value:+.2f}"
