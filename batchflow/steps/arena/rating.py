"""Ratings of an arena's candidates from its reviews, with intervals clustered by question, and their CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchflow.errors import DataError, UsageError
from batchflow.records import Json
from batchflow.steps.arena import grammar
from batchflow.steps.arena.fights import Fought
from batchflow.steps.arena.grammar import LEFT, RIGHT, SWAPPED, TIE

if TYPE_CHECKING:
    from batchflow.score.pairwise.ranking import Verdicts


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One candidate. rating: in the unit of the method. wins, losses, ties: of its battles."""

    model: str
    rating: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int


@dataclass(slots=True)
class Reading:
    """All reviews. unread: by reason. taken: those of files."""

    fought: list[Fought] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    taken: int = 0

    def add(self, fights: Iterable[Fought]) -> None:
        """Count reviews in."""
        for each in fights:
            self.fought.append(each)
            self.conflicts += each.review.conflict
            if each.review.reason:
                self.unread[each.review.reason] = self.unread.get(each.review.reason, 0) + 1


def read(battles: Iterable[Json], texts: Mapping[str, str | None], parser: str, batch: str) -> Iterator[Fought]:
    """The review of each battle of a batch. texts: of the reviews, by battle."""
    for battle in battles:
        text = texts.get(battle["id"])
        yield Fought(
            battle["question_id"], battle["category"], battle.get("model_a") or battle["model"], battle.get("model_b"),
            battle["order"], grammar.read(text, battle["output_format"], parser), text, prompt=battle["prompt"],
            batch=batch,
        )  # fmt: skip


def verdicts_of(fights: Sequence[Fought], *, by_turn: bool = False) -> Verdicts:
    """The reviews of pairs as the statistics library takes them. Raises DataError without one.

    by_turn: each turn of a conversation stands for itself; else they are one question, a cluster.
    """
    from batchflow.score import verdicts

    pairs = [each for each in fights if each.right is not None]
    if not pairs:
        raise DataError("reviews of single answers compare nobody", hint="--method score")
    return verdicts(
        [each.left for each in pairs], [str(each.right) for each in pairs], [each.review.winner for each in pairs],
        [(each.question, each.turn) if by_turn else each.question for each in pairs],
    )  # fmt: skip


def rate(fights: Sequence[Fought], method: str, baseline: str | None) -> tuple[tuple[RatingRow, ...], str]:
    """The candidates by falling rating, and how the interval was made. Raises UsageError, DataError.

    bt: log odds, Bradley-Terry. elo: the mean over random orders of the battles. winrate: share of battles won, a tie
    half; a pair that was judged in both orders with different verdicts is a tie. score: the mean of the scores.
    """
    rows, how = {"bt": _bradley_terry, "elo": _elo, "winrate": _win_rates, "score": _scores}[method](fights, baseline)
    return tuple(sorted(rows, key=lambda row: (-row.rating, row.model))), how


def _bradley_terry(fights: Sequence[Fought], _: str | None) -> tuple[list[RatingRow], str]:
    from batchflow.score import rank

    ranking = rank(verdicts_of(fights))
    rows = [
        RatingRow(each.model, each.strength, each.low, each.high, each.wins, each.losses, each.ties)
        for each in ranking.ratings
    ]
    return rows, "; ".join(filter(None, (ranking.method, ranking.note)))


def _elo(fights: Sequence[Fought], _: str | None) -> tuple[list[RatingRow], str]:
    from batchflow.score import elo
    from batchflow.score.pairwise.spread import SAMPLES, spread

    seen = verdicts_of(fights)
    bounds = spread(seen, lambda part: elo(part, orders=1))
    records = _records(fights)
    rows = [
        RatingRow(name, rating, low, high, *records[name])
        for name, rating, (low, high) in zip(seen.models, elo(seen).tolist(), bounds, strict=True)
    ]
    return rows, f"mean of 100 random orders; {SAMPLES} resamples of the questions, each in an order of its own"


def _records(fights: Iterable[Fought]) -> dict[str, tuple[int, int, int]]:
    """Wins, losses and ties of each candidate, over all verdicts on pairs."""
    counts: dict[str, list[int]] = {}
    for each in fights:
        if each.right is None:
            continue
        for name, side in ((each.left, LEFT), (each.right, RIGHT)):
            own = counts.setdefault(name, [0, 0, 0])
            if each.review.winner is not None:
                own[2 if each.review.winner == TIE else 0 if each.review.winner == side else 1] += 1
    return {name: (wins, losses, ties) for name, (wins, losses, ties) in counts.items()}


def _win_rates(fights: Sequence[Fought], baseline: str | None) -> tuple[list[RatingRow], str]:
    from batchflow.score import estimate

    points: dict[str, list[tuple[float, str]]] = {}
    for question, left, right, winner in outcomes(fights):
        if baseline is not None and baseline not in {left, right}:
            continue
        share = {LEFT: 1.0, RIGHT: 0.0, TIE: 0.5}[winner]
        points.setdefault(left, []).append((share, question))
        points.setdefault(right, []).append((1 - share, question))
    if not points:
        raise DataError(
            f"no battle of {baseline} has a verdict" if baseline else "there is no verdict to rate by",
            hint="reviews of single answers are rated by --method score",
        )
    rows = []
    for name, pairs in points.items():
        values = [value for value, _ in pairs]
        mean = estimate(values, clusters=[question for _, question in pairs])
        counts = (values.count(1.0), values.count(0.0), values.count(0.5))
        rows.append(RatingRow(name, mean.mean, mean.interval.low, mean.interval.high, *counts))
    return rows, "share of battles won, a tie half; clustered by question"


def outcomes(fights: Sequence[Fought]) -> Iterator[tuple[str, str, str, str]]:
    """Question, two candidates and the winner of each pair with a verdict; two orders that differ are a tie."""
    pairs: dict[tuple[str, int, str, str], list[str]] = {}
    for each in fights:
        if each.right is None or each.review.winner is None:
            continue
        first, second = sorted((each.left, each.right))
        winner = each.review.winner if each.left == first else SWAPPED[each.review.winner]
        pairs.setdefault((each.question, each.turn, first, second), []).append(winner)
    for (question, _, first, second), winners in pairs.items():
        yield question, first, second, winners[0] if len(set(winners)) == 1 else TIE


def _scores(fights: Sequence[Fought], _: str | None) -> tuple[list[RatingRow], str]:
    from batchflow.score import estimate

    given: dict[str, list[tuple[float, str]]] = {}
    for each in fights:
        for name, score in zip((each.left, each.right), each.review.scores, strict=False):
            if name is not None:
                given.setdefault(name, []).append((score, each.question))
    if not given:
        raise UsageError("the reviews give no scores", hint="--method bt, elo or winrate")
    rows = []
    for name, pairs in given.items():
        mean = estimate([score / 10 for score, _ in pairs], clusters=[question for _, question in pairs])
        rows.append(RatingRow(name, 10 * mean.mean, 10 * mean.interval.low, 10 * mean.interval.high, 0, 0, 0))
    return rows, "mean score, clustered by question"


def table(rows: Sequence[RatingRow], method: str) -> bytes:
    """The ratings as CSV with EvalScope's columns, and those of the interval behind them."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    if method in {"elo", "bt"}:
        write(["", "Model", "Elo_Rating" if method == "elo" else "Strength", "low", "high"])
        digits = 1 if method == "elo" else 4
        for number, row in enumerate(rows):
            write(
                [
                    number,
                    _cell(row.model),
                    round(row.rating, digits),
                    _number(row.low, digits),
                    _number(row.high, digits),
                ]
            )
    elif method == "winrate":
        write(["model", "win", "loss", "tie", "win_rate", "loss_rate", "tie_rate", "points", "low", "high"])
        for row in rows:
            n = row.wins + row.losses + row.ties
            shares = [round(count / n, 4) for count in (row.wins, row.losses, row.ties)]
            bounds = [round(row.rating, 4), _number(row.low, 4), _number(row.high, 4)]
            write([_cell(row.model), row.wins, row.losses, row.ties, *shares, *bounds])
    else:
        write(["model", "score", "low", "high"])
        for row in rows:
            write([_cell(row.model), round(row.rating, 4), _number(row.low, 4), _number(row.high, 4)])
    return out.getvalue().encode()


def _number(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)


def _cell(text: str) -> str:
    """A name that no spreadsheet computes."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def asked_twice(fights: Sequence[Fought]) -> Any:
    """Position bias of the reviewer, as `batchflow.score.position` gives it. None without a verdict."""
    from batchflow.score import position

    if not any(each.right is not None and each.review.winner is not None for each in fights):
        return None
    return position(verdicts_of(fights, by_turn=True))
