"""rank: models by pairwise verdicts, of a file or of judged batches on the same items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchflow.errors import UsageError
from batchflow.steps.base.context import Context, whole
from batchflow.steps.judging.ballot import counted
from batchflow.steps.judging.jury_lookup import sort_targets
from batchflow.steps.verbs.evaluation.verdict_source import Source, of_batches, of_files
from batchflow.vocabulary import REFRESH_S

if TYPE_CHECKING:
    from batchflow.score.bias import Bias
    from batchflow.score.pairwise.orders import PairVerdict, Settled
    from batchflow.score.pairwise.ranking import Ranking, Verdicts

BRADLEY_TERRY, ELO = "bradley-terry", "elo"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOptions:
    """The flags of `rank`. orders: what becomes of two orders that contradict each other. unanswered: worth of an item
    of a judged batch without an answer.
    """

    method: str = BRADLEY_TERRY
    orders: str = "tie"
    field: str | None = None
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RatedRow:
    """One model. low, high: None where the verdicts set no limit, or the method knows no interval.

    rank_best, rank_worst: the places that the tests of all pairs leave open (Bradley–Terry), else its place.
    """

    model: str
    rating: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int
    rank_best: int
    rank_worst: int


@dataclass(frozen=True, slots=True)
class RatedPair:
    """Difference of two models' Bradley–Terry strengths. chance: that a beats b. low, high: None without a limit."""

    a: str
    b: str
    difference: float
    standard_error: float
    low: float | None
    high: float | None
    chance: float
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class RankReport:
    """Models by falling rating. n: verdicts; n_prompts: what they are about; unparsed: those that could not be read.

    twice, agreed, once: pairs judged in both orders, those with one verdict, and those judged in one order only.
    biases: of judges for the left answer.
    """

    method: str
    orders: str
    level: float
    seed: int
    n: int
    n_prompts: int
    unparsed: int
    twice: int
    agreed: int
    once: int
    models: tuple[RatedRow, ...]
    pairs: tuple[RatedPair, ...]
    biases: tuple[Bias, ...]
    rehearsal: bool
    notes: tuple[str, ...]
    next: str
    incomplete: tuple[str, ...] = field(default=())


def rank(
    context: Context,
    targets: Sequence[str],
    options: RankOptions | None = None,
    *,
    refresh_after_s: float = REFRESH_S,
) -> RankReport:
    """Rank the models of pairwise verdicts.

    targets: files of verdicts, or judged batches: of each pair of them the one whose votes on an item are higher wins
    it; answers that judges of kind `preference` held against the reference are verdicts as they are.
    Raises UsageError for both kinds of targets together, DataError for a broken row, NotReady without votes.
    """
    from batchflow.score.pairwise.orders import settle

    options = options or RankOptions()
    whole("seed", options.seed)
    names, paths = sort_targets(context, targets)
    if bool(names) == bool(paths):
        raise UsageError(
            "rank takes files of verdicts, or judged batches",
            hint="batchflow rank verdicts.jsonl; batchflow rank A B C",
        )
    source = (
        of_files(paths) if paths else of_batches(context, names, options.field, options.unanswered, refresh_after_s)
    )
    return _report(source, settle(source.rows, options.orders), options)


def _report(source: Source, settled: Settled, options: RankOptions) -> RankReport:
    from batchflow.score.pairwise.ranking import verdicts

    table = verdicts(*_columns(settled.rows))
    unsettled = _unsettled(settled.rows, source.missing)
    models, pairs, notes = _rated(table, options, unsettled)
    return RankReport(
        options.method, options.orders, options.level, options.seed, len(table.score), len(set(table.prompts.tolist())),
        table.unparsed, settled.twice, settled.agreed, settled.once, models, pairs,
        _position(source.rows, options.level), source.rehearsal,
        (*source.notes, *_order_notes(settled), *filter(None, notes), *_unsettled_notes(unsettled)),
        source.next, source.late,
    )  # fmt: skip


def _columns(rows: Sequence[PairVerdict]) -> tuple[list[str], list[str], list[str | None], list[Any]]:
    """The verdicts as `batchflow.score.verdicts` takes them."""
    return (
        [row.left for row in rows],
        [row.right for row in rows],
        [row.winner for row in rows],
        [row.prompt for row in rows],
    )


def _unsettled(rows: Sequence[PairVerdict], missing: Mapping[str, int]) -> set[tuple[str, str]]:
    """The pairs of batches that the answers which are missing could turn around: by name, in both orders."""
    if not any(missing.values()):
        return set()
    margins = dict[tuple[str, str], int]()
    for row in rows:
        pair = min(row.left, row.right), max(row.left, row.right)
        won = {"left": row.left, "right": row.right}.get(row.winner or "")
        margins[pair] = margins.get(pair, 0) + (0 if won is None else 1 if won == pair[0] else -1)
    near = {(a, b) for (a, b), lead in margins.items() if abs(lead) <= missing.get(a, 0) + missing.get(b, 0)}
    return {side for a, b in near if missing.get(a) or missing.get(b) for side in ((a, b), (b, a))}


def _unsettled_notes(unsettled: set[tuple[str, str]]) -> list[str]:
    return [
        f"{a} − {b}: the answers that are missing could turn it around, so the two are not ranked: batchflow retry "
        "asks them again"
        for a, b in sorted(unsettled)
        if a < b
    ]


def _rated(
    table: Verdicts, options: RankOptions, unsettled: set[tuple[str, str]]
) -> tuple[tuple[RatedRow, ...], tuple[RatedPair, ...], list[str]]:
    """The models, their pairs where the method tests them, and notes."""
    from batchflow.score.pairwise.ranking import elo, rank, record
    from batchflow.score.pairwise.ratings import rate

    if options.method == BRADLEY_TERRY:
        ranking = rank(table, level=options.level)
        pairs = tuple(
            RatedPair(
                c.a, c.b, c.difference, c.standard_error, _finite(c.low), _finite(c.high), c.chance, c.p, c.p_holm
            )
            for c in ranking.contrasts
        )
        places = _places(ranking, 1 - options.level, unsettled)
        rows = tuple(
            RatedRow(r.model, r.strength, _finite(r.low), _finite(r.high), r.wins, r.losses, r.ties, *places[r.model])
            for r in ranking.ratings
        )
        return rows, pairs, [ranking.note]
    if options.method == ELO:
        ratings = elo(table, seed=options.seed).tolist()
        order = sorted(range(len(ratings)), key=lambda place: -ratings[place])
        rows = tuple(
            RatedRow(table.models[of], ratings[of], None, None, **record(table, of), rank_best=place, rank_worst=place)
            for place, of in enumerate(order, start=1)
        )
        return rows, (), ["Elo is the mean over random orders of the verdicts, and has no interval"]
    rated = rate(table, options.method, level=options.level, resamples=options.resamples, seed=options.seed)
    rows = tuple(
        RatedRow(m.model, m.rating, _finite(m.low), _finite(m.high), m.wins, m.losses, m.ties, place, place)
        for place, m in enumerate(rated.models, start=1)
    )
    tied = "" if not rated.ties else f"Newman's parameter of ties is {rated.ties:.3f}"
    return rows, (), [rated.note, tied]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _places(ranking: Ranking, error: float, unsettled: set[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """The best and the worst place of each model, by the corrected tests of all pairs that are settled."""
    names = [each.model for each in ranking.ratings]
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for pair in ranking.contrasts:
        if pair.p_holm < error and pair.difference != 0 and (pair.a, pair.b) not in unsettled:
            winner, loser = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
            better[loser] += 1
            worse[winner] += 1
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}


def _position(rows: Sequence[PairVerdict], level: float) -> tuple[Bias, ...]:
    """Each judge's bias for the left answer, over the pairs that it judged in both orders."""
    from batchflow.score.bias import corrected, position_bias
    from batchflow.score.pairwise.ranking import verdicts

    biases = []
    for judge in sorted({row.judge for row in rows}):
        own = [row for row in rows if row.judge == judge]
        if any(row.winner is not None for row in own):
            biases.append(position_bias(verdicts(*_columns(own)), judge, level=level))
    return corrected([each for each in biases if each is not None])


def _order_notes(settled: Settled) -> list[str]:
    """Notes on pairs that were judged in both orders, or in one alone."""
    notes = []
    apart = settled.twice - settled.agreed
    if apart:
        counts = f"{apart:,} of {counted(settled.twice, 'pair')} judged in both orders have two verdicts"
        became = {"tie": "which count as a tie", "missing": "which count as none", "each": "which both count"}
        notes.append(f"{counts}, {became[settled.choice]} (--orders)")
    if settled.once:
        one = f"{counted(settled.once, 'pair')} judged in one order only: a bias for one side is not cancelled there"
        notes.append(one if settled.twice else f"no pair was judged in both orders: {one}")
    return notes
