"""arena report: a page to look at battles one by one, with the ratings above them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.report import battles_page
from batchflow.report.battles_page import NOBODY, Battle, Head, Shown, Side
from batchflow.steps.arena import answer_files, flow, rating, review_files
from batchflow.steps.arena.config import Arena
from batchflow.steps.arena.fights import Fought
from batchflow.steps.arena.grammar import LEFT, RIGHT
from batchflow.steps.base.context import Context
from batchflow.tasks.systems.arena import Asked

_COLUMNS = {
    "bt": ("Strength", 2, 1), "elo": ("Elo", 1, 1), "winrate": ("Won, %", 1, 100), "score": ("Score", 2, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArenaPageReport:
    """Report of `arena report`. battles: pairs, or single answers, on the page."""

    name: str
    path: str
    battles: int
    bytes: int
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def page(context: Context, arena: Arena, method: str | None = None, out: Path | None = None) -> ArenaPageReport:
    """Write the page. Raises NotReady, DataError, UsageError."""
    questions = answer_files.questions(arena.question_file)
    reviewed = flow.reviewed(context, arena, questions)
    chosen = flow.method_of(arena, method)
    rows, how = rating.rate(reviewed.reading.fought, chosen, arena.baseline_model)
    answers = {each.name: each.texts for each in answer_files.of_arena(arena)}
    battles = list(_battles(reviewed.reading.fought, questions, answers))
    path = out or context.settings.results / f"{arena.stem}.battles.html"
    notes = (*arena.notes, *reviewed.kept.notes())
    name, digits, factor = _COLUMNS[chosen]
    table = tuple(
        (str(place), row.model, *(_number(value, digits, factor) for value in (row.rating, row.low, row.high)))
        for place, row in enumerate(rows, start=1)
    )
    about = f"{len(reviewed.reading.fought):,} reviews · {how}"
    head = Head(arena.stem, about, ("#", "Model", name, "low", "high"), table, notes, reviewed.rehearsal)
    with files.replacing(path) as handle:
        battles_page.write(handle, head, battles)
    config = shlex.quote(str(arena.path))
    return ArenaPageReport(
        arena.reviewing, str(path), len(battles), path.stat().st_size, notes, reviewed.rehearsal,
        f"batchflow arena rate -c {config}",
    )  # fmt: skip


def _number(value: float | None, digits: int, factor: int) -> str:
    return "?" if value is None else f"{factor * value:.{digits}f}"


def _battles(
    fights: Sequence[Fought], questions: Mapping[str, Asked], answers: Mapping[str, Mapping[str, str]]
) -> Iterator[Battle]:
    for first, second in review_files.pairs(fights):
        names = [first.left, *([first.right] if first.right else [])]
        question = questions.get(first.question)
        sides = tuple(Side(name, answers.get(name, {}).get(first.question)) for name in names)
        if first.turn > 1:  # answers of later turns are not read
            sides = tuple(Side(name, None) for name in names)
        both = [each for each in (first, second) if each is not None]
        turn = f", turn {first.turn}" if first.turn > 1 else ""
        yield Battle(
            f"{first.question}{turn}", first.category, question.text if question else "", sides,
            tuple(Shown(_heading(each), _verdict(each), each.text, each.review.conflict) for each in both),
            _together(both),
        )  # fmt: skip


def _heading(each: Fought) -> str:
    return "Review" if each.right is None else f"Review with {each.left} first"


def _verdict(each: Fought) -> str:
    """The verdict of a review, in words."""
    if each.review.winner is not None:
        return _winner(each)
    if each.review.scores:
        return f"{each.review.scores[0]:g}"
    return f"{NOBODY}: {each.review.reason}"


def _winner(each: Fought) -> str:
    return {LEFT: each.left, RIGHT: str(each.right)}.get(str(each.review.winner), "tie")


def _together(both: Sequence[Fought]) -> str:
    """The verdict of all orders: two that differ are a tie; of a single answer its score."""
    if both[0].right is None:
        return _verdict(both[0]).partition(":")[0]
    winners = {_winner(each) for each in both if each.review.winner is not None}
    if len(winners) > 1:
        return "the orders disagree"
    return winners.pop() if winners else NOBODY
