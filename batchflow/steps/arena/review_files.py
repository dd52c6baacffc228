"""Reviews as files: EvalScope's lines, and FastChat's judgments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.records import Json
from batchflow.steps.arena.fights import Fought
from batchflow.steps.arena.grammar import LEFT, RIGHT, SWAPPED, TIE
from batchflow.steps.arena.kept_reviews import BATCH
from batchflow.tasks.systems.arena import Asked

_WIN = {LEFT: "model_a", RIGHT: "model_b", TIE: "tie"}
_WON = {LEFT: "model_1", RIGHT: "model_2", TIE: "tie"}
_PROMPT_NAME = "batchflow"


def evalscope(fights: Sequence[Fought], questions: Mapping[str, Asked], stamp: float) -> Iterator[bytes]:
    """Lines of EvalScope's review file; both orders of a pair are one line. A verdict that is not there is null."""
    grouped = list(pairs(fights))
    both = any(second is not None for _, second in grouped)
    for first, second in grouped:
        question = questions.get(first.question) or Asked(first.question, "", first.category)
        common: Json = {
            "anony": True, "tstamp": stamp, "language": "NA", "question_id": question.id, "category": first.category,
            "question": question.text, "turn": first.turn,
            **({BATCH: first.batch} if first.batch else {"judge": first.judge}),
        }  # fmt: skip
        if first.right is None:
            score = first.review.scores[0] if first.review.scores else None
            row: Json = {"model": first.left, "score": score, **common, "review_text": first.text}
        elif both:
            row = {"model_a": first.left, "model_b": first.right, "win_1": _word(first, _WIN)}
            row |= {"win_2": _word(second, _WIN, swapped=True), **common, "review_text_1": first.text}
            row |= {"review_text_2": second.text if second else None}
        else:
            row = {"model_a": first.left, "model_b": first.right, "scores": list(first.review.scores) or None}
            row |= {"win": _word(first, _WIN), **common, "review_text": first.text}
        yield files.dump_line(row)


def pairs(fights: Iterable[Fought]) -> Iterator[tuple[Fought, Fought | None]]:
    """Each battle with that in the other order, if there was one; the first one is as the pair is named."""
    groups: dict[Any, list[Fought]] = {}
    for each in fights:
        names = frozenset((each.left, each.right))
        groups.setdefault((each.question, each.turn, names), []).append(each)
    for group in groups.values():
        first, *rest = sorted(group, key=lambda each: each.order)
        yield first, rest[0] if rest else None


def _word(fight: Fought | None, words: Mapping[str, str], *, swapped: bool = False) -> str | None:
    """Winner in a system's word, by the names of the pair as it was shown first."""
    if fight is None or fight.review.winner is None:
        return None
    return words[SWAPPED[fight.review.winner] if swapped else fight.review.winner]


def write_fastchat(folder: Path, fights: Sequence[Fought], questions: Mapping[str, Asked], judge: str) -> list[Path]:
    """Write FastChat's model_judgment folder: JUDGE_single, JUDGE_pair, and battles that have one order only.

    judge: who gave the reviews that name nobody. Returns the files.
    """
    rows: dict[tuple[str, str], list[Json]] = {}
    for first, second in pairs(fights):
        name = first.judge or judge
        kind, row = _judgment(first, second, questions.get(first.question), name)
        rows.setdefault((name, kind), []).append(row)
    written = []
    for (name, kind), lines in rows.items():
        path = folder / "model_judgment" / f"{name.replace('/', '_')}_{kind}.jsonl"
        with files.replacing(path) as out:
            for line in lines:
                out.write(files.dump_line(line))
        written.append(path)
    return written


def _judgment(first: Fought, second: Fought | None, question: Asked | None, judge: str) -> tuple[str, Json]:
    """The file that a review belongs to, and its row. FastChat's word for a verdict that is not there is `error`."""
    row: Json = {"question_id": question.id if question else first.question}
    if first.right is None:
        score = first.review.scores[0] if first.review.scores else -1
        row |= {"model": first.left, "judge": [judge, _PROMPT_NAME], "user_prompt": first.prompt}
        return "single", {**row, "judgment": first.text, "score": score, "turn": first.turn}
    if second is None:
        row |= {"model_a": first.left, "model_b": first.right, "winner": _word(first, _WIN)}
        return "battles", {**row, "judge": judge, "turn": first.turn, "anony": True, "language": "NA"}
    row |= {"model_1": first.left, "model_2": first.right, "g1_winner": _word(first, _WON) or "error"}
    row |= {"g2_winner": _word(second, _WON, swapped=True) or "error", "judge": [judge, _PROMPT_NAME]}
    row |= {"g1_user_prompt": first.prompt, "g1_judgment": first.text}
    return "pair", {**row, "g2_user_prompt": second.prompt, "g2_judgment": second.text, "turn": first.turn}
