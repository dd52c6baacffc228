"""rank: models by pairwise verdicts, of a file or of judged batches on the same items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.base import PREFERENCE, scale_of
from batchflow.steps.base.context import Context, whole
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot, counted
from batchflow.steps.judging.jury_lookup import judged, jury_of, sort_targets
from batchflow.steps.verbs.evaluation.compare import common_field, refuse_other_questions
from batchflow.vocabulary import REFRESH_S

if TYPE_CHECKING:
    from batchflow.score.bias import Bias
    from batchflow.score.pairwise.orders import PairVerdict, Settled
    from batchflow.score.pairwise.ranking import Ranking, Verdicts

BRADLEY_TERRY, ELO = "bradley-terry", "elo"
REFERENCE = "reference"
"""The opponent of answers that a judge of kind `preference` held against the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOptions:
    """The flags of `rank`. orders: what becomes of two orders that contradict each other."""

    method: str = BRADLEY_TERRY
    orders: str = "tie"
    field: str | None = None
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0


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
    source = _of_files(paths) if paths else _of_batches(context, names, options, refresh_after_s)
    return _report(source, settle(source.rows, options.orders), options)


@dataclass(frozen=True, slots=True)
class _Source:
    """Verdicts and what is to be said of where they come from."""

    rows: Sequence[PairVerdict]
    next: str
    notes: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    rehearsal: bool = False


def _report(source: _Source, settled: Settled, options: RankOptions) -> RankReport:
    from batchflow.score.pairwise.ranking import verdicts

    table = verdicts(*_columns(settled.rows))
    models, pairs, notes = _rated(table, options)
    return RankReport(
        options.method, options.orders, options.level, options.seed, len(table.score), len(set(table.prompts.tolist())),
        table.unparsed, settled.twice, settled.agreed, settled.once, models, pairs,
        _position(source.rows, options.level), source.rehearsal,
        (*source.notes, *_order_notes(settled), *filter(None, notes)), source.next, source.late,
    )  # fmt: skip


def _columns(rows: Sequence[PairVerdict]) -> tuple[list[str], list[str], list[str | None], list[Any]]:
    """The verdicts as `batchflow.score.verdicts` takes them."""
    return (
        [row.left for row in rows],
        [row.right for row in rows],
        [row.winner for row in rows],
        [row.prompt for row in rows],
    )


def _rated(table: Verdicts, options: RankOptions) -> tuple[tuple[RatedRow, ...], tuple[RatedPair, ...], list[str]]:
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
        places = _places(ranking, 1 - options.level)
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


def _places(ranking: Ranking, error: float) -> dict[str, tuple[int, int]]:
    """The best and the worst place of each model, by the corrected tests of all pairs."""
    names = [each.model for each in ranking.ratings]
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for pair in ranking.contrasts:
        if pair.p_holm < error and pair.difference != 0:
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


_WINNERS = {
    "left": "left", "right": "right", "tie": "tie", "model_a": "left", "model_b": "right", "tie (bothbad)": "tie",
}  # fmt: skip
_SIDES = (("left", "right"), ("model_a", "model_b"))
_PROMPTS = ("prompt", "custom_id", "question_id")


def _of_files(paths: Sequence[Path]) -> _Source:
    """The verdicts of files {left, right, winner, prompt, judge}; a row without a prompt stands alone.

    Raises DataError with file, line and field.
    """
    from batchflow.score.pairwise.orders import PairVerdict

    rows = []
    for path in paths:
        for line, row in files.objects(path):
            where = f"{path}, line {line}"
            names = next((sides for sides in _SIDES if sides[0] in row), _SIDES[0])
            left, right = (_name(row, name, where) for name in names)
            if left == right:
                raise DataError(f"{where}: {left!r} stands against itself")
            winner = row.get("winner")
            if winner is not None and winner not in _WINNERS:
                raise DataError(
                    f"{where}, field winner: {winner!r:.60} is not left, right, tie or null",
                    hint="null is a verdict that could not be read: it is counted, and nobody's win",
                )
            prompt = next((row[name] for name in _PROMPTS if isinstance(row.get(name), str | int)), f"{path} {line}")
            judge = row.get("judge")
            word = None if winner is None else _WINNERS[winner]
            rows.append(PairVerdict(left, right, word, prompt, judge if isinstance(judge, str) else ""))
    return _Source(rows, "batchflow rank --help")


def _name(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, str) and value:
        return value
    raise DataError(f"{where}, field {name}: {value!r:.60} is not a model's name")


def _of_batches(context: Context, names: Sequence[str], options: RankOptions, refresh_after_s: float) -> _Source:
    """The verdicts of judged batches."""
    parents = judged(context, names)
    refuse_other_questions(parents)
    late: list[str] = []
    ballots: dict[str, Ballot] = {}
    rehearsal = any(parent.rehearsal for parent in parents)
    for parent in parents:
        judges, open_ones = jury_of(context, parent, refresh_after_s, options.field)
        late += open_ones
        rehearsal = rehearsal or any(judge.rehearsal for judge in judges)
        ballots[parent.name] = votes.of_batch(context, parent, judges)
    chosen = options.field or common_field(ballots)
    preferred = [scale_of(ballot.kind, chosen).name == PREFERENCE.name for ballot in ballots.values()]
    if all(preferred):
        rows = [row for name, ballot in ballots.items() for row in _against_reference(name, ballot, chosen)]
        notes = ("the answers stand left of the reference in every pair (judge kind preference)",)
    elif len(parents) < 2:
        raise UsageError("rank needs two judged batches", hint="batchflow rank A B; batchflow list shows them")
    else:
        rows, notes = _between(ballots, chosen), (f"a batch wins an item on which its votes on {chosen} are higher",)
    unanswered = [f"{name}: {b.unjudgeable:,} unanswered, in no pair" for name, b in ballots.items() if b.unjudgeable]
    return _Source(rows, f"batchflow score {' '.join(ballots)}", (*notes, *unanswered), tuple(late), rehearsal)


def _against_reference(name: str, ballot: Ballot, chosen: str) -> list[PairVerdict]:
    """Each judge's verdicts on the answers of a batch against the references."""
    from batchflow.score.pairwise.orders import PairVerdict

    words = {1.0: "left", 0.5: "tie", 0.0: "right", float(votes.MISSING): None}
    items = ballot.item_of or ballot.items
    return [
        PairVerdict(name, REFERENCE, words[float(code)], item, judge.name)
        for judge in ballot.judges
        for item, code in zip(items, judge.cast[chosen], strict=True)
        if float(code) in words
    ]


def _between(ballots: Mapping[str, Ballot], chosen: str) -> list[PairVerdict]:
    """Verdicts on all pairs of batches and their common items, by the mean vote."""
    from itertools import combinations

    from batchflow.score.paired import scored
    from batchflow.score.pairwise.orders import PairVerdict

    values = {}
    for name, ballot in ballots.items():
        votes.refuse_half_judged(name, ballot, chosen)
        model = scored(name, ballot.votes(), field=chosen, item_of=ballot.item_of or None)
        values[name] = dict(zip(model.items, model.values.tolist(), strict=True))
    rows = []
    for a, b in combinations(values, 2):
        for item in values[a].keys() & values[b].keys():
            apart = values[a][item] - values[b][item]
            winner = "tie" if abs(apart) < 1e-9 else "left" if apart > 0 else "right"
            rows.append(PairVerdict(a, b, winner, item))
    return sorted(rows, key=lambda row: (row.left, row.right, str(row.prompt)))
