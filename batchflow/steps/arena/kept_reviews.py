"""Reviews that exist already: EvalScope's files, FastChat's judgments, and battles of Chatbot Arena's form.

The verdict that a row states counts. Where the reviewer's text ends with another one, the text counts, and the review
is a conflict: EvalScope looks for `[[A]]` before `[[B]]` wherever they stand. A row that says nothing is unread, and
nobody wins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Json
from batchflow.steps.arena import answer_files, grammar
from batchflow.steps.arena.config import Arena
from batchflow.steps.arena.fights import Battle, Fought
from batchflow.steps.arena.grammar import LEFT, RIGHT, SWAPPED, TIE, Review
from batchflow.tasks.systems.arena import Asked

BATCH = "batch"
"""Column of a review that a batch of the ledger gave: the ledger knows it, so it is not taken over from a file."""

_SAYS = {
    "model_a": LEFT, "model_1": LEFT, "model_b": RIGHT, "model_2": RIGHT,
    **dict.fromkeys(("tie", "tie (bothbad)", "tie(bothbad)", "both_bad", "tie_both_bad"), TIE),
    **dict.fromkeys(("unknown", "error", ""), None),
}  # fmt: skip
_SILENT = "no verdict in the file"
_FORMS = (
    "EvalScope: model_a, model_b, win (or win_1, win_2), or model, score; FastChat: model_1, model_2, g1_winner,"
    " g2_winner, or answer1_id, answer2_id, score; arenas: model_a, model_b, winner"
)


@dataclass(slots=True)
class Kept:
    """Reviews from files. left_out: rows about other questions, or candidates that are not enabled. twice: replaced."""

    fought: dict[Battle, Fought] = field(default_factory=dict)
    left_out: int = 0
    twice: int = 0

    def notes(self) -> tuple[str, ...]:
        """Sentences about what was taken over."""
        parts = [
            f"{len(self.fought):,} reviews of cache_file are taken over; a file does not say which answers it judged"
            if self.fought else "",
            f"{self.left_out:,} reviews of cache_file are left out: other questions, or candidates that are not enabled"
            if self.left_out else "",
            f"{self.twice:,} battles stand in cache_file more than once; the last review counts" if self.twice else "",
        ]  # fmt: skip
        return tuple(filter(None, parts))


class _Place(NamedTuple):
    """Helps a reader. where: file and line. model_of: the candidate of an answer's id."""

    where: str
    name_of: Callable[[str], str]
    model_of: Callable[[str], str | None]


def read(arena: Arena, questions: Mapping[str, Asked], batches: Collection[str]) -> Kept:
    """The reviews of cache_file. batches: of the ledger, whose reviews it has. Raises DataError with line and field."""
    kept = Kept()
    if not arena.reviews.cache_files:
        return kept
    disabled = {model.name for model in arena.models if not model.enabled}
    answers = {key: each.name for each in answer_files.of_arena(arena) for key in each.ids}
    for path in arena.reviews.cache_files:
        if not path.is_file():
            if path == arena.reviews.review_file:  # EvalScope names one file for both, which is not there at first
                continue
            raise DataError(f"{path}: there is no such file", hint="reviews_gen.cache_file may be NULL")
        for number, row in files.objects(path):
            if row.get(BATCH) in batches:
                continue
            place = _Place(f"{path}, line {number}", arena.name_of, answers.get)
            for each in _fights(row, place, answer_files.key_of(row, place.where)):
                if each.question not in questions or {each.left, each.right} & disabled:
                    kept.left_out += 1
                    continue
                kept.twice += each.key in kept.fought
                kept.fought[each.key] = replace(each, category=questions[each.question].category)
    return kept


def _fights(row: Json, place: _Place, key: str) -> Iterator[Fought]:
    """The one or two reviews of a row. Raises DataError with the field."""
    if "g1_winner" in row:
        yield from _fastchat_pair(row, place, key)
    elif "answer1_id" in row:
        yield _fastchat_early(row, place, key)
    elif "win_1" in row:
        first, second = _names(row, place, "model_a", "model_b")
        texts = (_optional(row, "review_text_1", place), _optional(row, "review_text_2", place))
        for order, text in enumerate(texts, start=1):
            winner = _winner(row, f"win_{order}", place)
            yield _pair(key, (first, second), order, winner, text, turn=_turn(row), judge=_judge(row))
    elif "model_a" in row:
        first, second = _names(row, place, "model_a", "model_b")
        yield _lone(row, place, key, (first, second))
    elif "model" in row and "score" in row:
        (name,) = _names(row, place, "model")
        text = _optional(row, "review_text" if "review_text" in row else "judgment", place)
        score = _scores(row, "score", place)
        review = _settled(Review(scores=score) if score else None, text, grammar.RATING)
        yield Fought(key, "", name, None, 1, review, text, _turn(row), row.get("user_prompt"), _judge(row))
    else:
        raise DataError(f"{place.where}: this is no review that can be read", hint=_FORMS)


def _pair(key: str, names: tuple[str, str], order: int, winner: str | None, text: str | None, **more: Any) -> Fought:
    """A review of one order. winner: as the pair is named, whatever the order."""
    left, right = names if order == 1 else names[::-1]
    stated = Review(winner if order == 1 or winner is None else SWAPPED[winner]) if winner else None
    return Fought(key, "", left, right, order, _settled(stated, text, grammar.LETTER), text, **more)


def _fastchat_pair(row: Json, place: _Place, key: str) -> Iterator[Fought]:
    names = _names(row, place, "model_1", "model_2")
    for order, game in ((1, "g1"), (2, "g2")):
        text, prompt = _optional(row, f"{game}_judgment", place), _optional(row, f"{game}_user_prompt", place)
        more = {"turn": _turn(row), "prompt": prompt, "judge": _judge(row)}
        yield _pair(key, (names[0], names[1]), order, _winner(row, f"{game}_winner", place), text, **more)


def _fastchat_early(row: Json, place: _Place, key: str) -> Fought:
    """A review of 2023's first form: two answers by id, two scores; some were filled in by hand."""
    names = []
    for name in ("answer1_id", "answer2_id"):
        model = place.model_of(str(row.get(name)))
        if model is None:
            raise DataError(
                f"{place.where}, field {name}: no answer {row.get(name)!r:.60} is known",
                hint="target_answers names the files of answers",
            )
        names.append(model)
    return _scored(row, place, key, (names[0], names[1]), "score", "text")


def _scored(row: Json, place: _Place, key: str, names: tuple[str, str], name: str, text_name: str) -> Fought:
    text, scores = _optional(row, text_name, place), _scores(row, name, place)
    stated = grammar.of_scores(*scores) if len(scores) == 2 else None
    return Fought(key, "", *names, 1, _settled(stated, text, grammar.TWO_RATINGS), text, _turn(row), judge=_judge(row))


def _lone(row: Json, place: _Place, key: str, names: tuple[str, str]) -> Fought:
    """A review in one order, of EvalScope's form or an arena's."""
    if isinstance(row.get("scores"), list) and len(row["scores"]) == 2:
        return _scored(row, place, key, names, "scores", "review_text")
    name = "winner" if "winner" in row else "win"
    if name not in row:
        raise DataError(f"{place.where}, field win: a verdict is expected", hint=_FORMS)
    text = _optional(row, "review_text", place)
    return _pair(key, names, 1, _winner(row, name, place), text, turn=_turn(row), judge=_judge(row))


def _settled(stated: Review | None, text: str | None, output_format: str) -> Review:
    """One reading of what a row states and of what its text says."""
    review = grammar.read(text, output_format, "lmsys_parser")
    if stated is not None and stated.reason is not None:
        stated = None
    if review.reason is not None:
        return stated or Review(reason=_SILENT)
    differs = stated is not None and (stated.winner, stated.scores) != (review.winner, review.scores)
    return replace(review, conflict=review.conflict or differs)


def _names(row: Json, place: _Place, *fields: str) -> tuple[str, ...]:
    names = []
    for name in fields:
        value = row.get(name)
        if not isinstance(value, str) or not value:
            raise DataError(f"{place.where}, field {name}: a model's name is expected, not {value!r:.60}")
        names.append(place.name_of(value))
    if len(set(names)) < len(names):
        raise DataError(f"{place.where}, field {fields[-1]}: a model does not fight itself")
    return tuple(names)


def _winner(row: Json, name: str, place: _Place) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or value not in _SAYS:
        known = ", ".join(word for word in _SAYS if word)
        raise DataError(f"{place.where}, field {name}: {value!r:.60} is no verdict", hint=f"one of {known}")
    return _SAYS[value]


def _scores(row: Json, name: str, place: _Place) -> tuple[float, ...]:
    """The scores of a row; none where there are none, or where a failed review left -1."""
    value = row.get(name)
    listed = value if isinstance(value, list) else [value] if value is not None else []
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in listed):
        raise DataError(f"{place.where}, field {name}: numbers are expected, not {value!r:.60}")
    scores = tuple(float(one) for one in listed)
    return scores if all(grammar.is_score(score) for score in scores) else ()


def _optional(row: Json, name: str, place: _Place) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{place.where}, field {name}: a text is expected, not {value!r:.60}")
    return value


def _turn(row: Json) -> int:
    turn = row.get("turn")
    return turn if type(turn) is int else 1


def _judge(row: Json) -> str | None:
    judge = row.get("judge")
    if isinstance(judge, list) and judge:
        judge = judge[0]
    return judge if isinstance(judge, str) else None


def judged_others(review: Fought, answers: Collection[str]) -> bool:
    """Tells whether a review's own prompt shows that it judged other answers than these."""
    return review.prompt is not None and any(answer not in review.prompt for answer in answers)
