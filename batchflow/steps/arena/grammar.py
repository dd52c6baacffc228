"""Reading of a reviewer's text: who won, or which score. It never raises and never guesses.

The formats are those of FastChat's and EvalScope's prompt templates: `[[A]]`, `[[rating]]`, `[[rating_a,rating_b]]`,
and a list of models with their ranks. The last verdict in a text counts; one that differs from an earlier one is
flagged.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

LEFT, RIGHT, TIE = "left", "right", "tie"
SWAPPED = {LEFT: RIGHT, RIGHT: LEFT, TIE: TIE}
LETTER, RATING, TWO_RATINGS = "[[A]]", "[[rating]]", "[[rating_a,rating_b]]"
_LETTERS = re.compile(
    r"\[\[\s*(A|B|C|tie|A\s*>>?\s*B|B\s*>>?\s*A|A\s*<<?\s*B|B\s*<<?\s*A|A\s*=\s*B)\s*\]\]", re.IGNORECASE
)
_NUMBER = r"-?\d+(?:\.\d+)?"
_RATING = re.compile(rf"\[\[\s*({_NUMBER})\s*\]\]")
_LOOSE = re.compile(rf"\[\s*({_NUMBER})\s*\]")
_PAIR = re.compile(rf"\[\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]\]")
_TWO = re.compile(rf"\s*({_NUMBER})\s*[, ]\s*({_NUMBER})\s*")
_LOWEST, _HIGHEST = 1.0, 10.0
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Review:
    """One reading. winner: left, right, tie or None. scores: of the left and the right answer, or of the one answer.

    conflict: an earlier verdict of the text differs. reason: why there is none.
    """

    winner: str | None = None
    scores: tuple[float, ...] = ()
    conflict: bool = False
    reason: str | None = None


def read(text: str | None, output_format: str, parser: str) -> Review:
    """The verdict of a reviewer's text in this format.

    >>> read("First [[A]], no: [[B]]", "[[A]]", "lmsys_parser")
    Review(winner='right', scores=(), conflict=True, reason=None)
    >>> read("8 9", "[[rating_a,rating_b]]", "lmsys_parser").winner
    'right'
    >>> read("none of them", "[[A]]", "lmsys_parser").reason
    'no verdict [[A]], [[B]] or [[C]]'
    """
    if not text:
        return Review(reason="no review")
    text = text[-_LONGEST:] if output_format != TWO_RATINGS else text[:_LONGEST]
    if parser == "ranking_parser":
        return _ranks(text)
    return {LETTER: _letter, RATING: _rating, TWO_RATINGS: _two}[output_format](text)


def is_format(text: str) -> bool:
    """Tells whether `read` knows an output format of `lmsys_parser`."""
    return text in {LETTER, RATING, TWO_RATINGS}


def _letter(text: str) -> Review:
    verdicts = [_winner(word) for word in _LETTERS.findall(text)]
    if not verdicts:
        return Review(reason="no verdict [[A]], [[B]] or [[C]]")
    return Review(verdicts[-1], conflict=len(set(verdicts)) > 1)


def _winner(word: str) -> str:
    plain = re.sub(r"\s", "", word).upper()
    if plain in {"C", "TIE", "A=B"}:
        return TIE
    if plain in {"A", "B"}:
        return LEFT if plain == "A" else RIGHT
    is_left = (plain[0] == "A") == (">" in plain)
    return LEFT if is_left else RIGHT


def _rating(text: str) -> Review:
    verdicts = [float(number) for number in _RATING.findall(text) or _LOOSE.findall(text)]
    if not verdicts:
        return Review(reason="no [[rating]]")
    if not _LOWEST <= verdicts[-1] <= _HIGHEST:
        return Review(reason=f"the rating {verdicts[-1]:g} is not between 1 and 10")
    return Review(scores=(verdicts[-1],), conflict=len(set(verdicts)) > 1)


def _two(text: str) -> Review:
    pairs = _PAIR.findall(text)
    lines = [line for line in text.splitlines() if line.strip()]
    first = _TWO.fullmatch(lines[0]) if lines else None
    if not pairs and first is None:
        return Review(reason="the first line does not hold two scores")
    left, right = (float(number) for number in (pairs[-1] if pairs else first.groups()))  # type: ignore[union-attr]
    return replace(of_scores(left, right), conflict=len(set(pairs)) > 1)


def of_scores(left: float, right: float) -> Review:
    """The verdict that two scores come to; none where one is not between 0 and 10."""
    if not (is_score(left) and is_score(right)):
        return Review(reason=f"the scores {left:g} and {right:g} are not between 0 and 10")
    return Review(TIE if left == right else LEFT if left > right else RIGHT, (left, right))


def is_score(number: float) -> bool:
    """Tells whether a number is between 0 and 10."""
    return 0 <= number <= _HIGHEST


def _ranks(text: str) -> Review:
    """The last list of `{'model': ..., 'rank': ...}` with both models."""
    verdicts = [ranks for block in re.findall(r"\[[^\[\]]*\]", text) if (ranks := _both(block)) is not None]
    if not verdicts:
        return Review(reason="no list of models with ranks")
    left, right = verdicts[-1]
    return Review(TIE if left == right else LEFT if left < right else RIGHT, conflict=len(set(verdicts)) > 1)


def _both(block: str) -> tuple[int, int] | None:
    try:
        rows = ast.literal_eval(block)
        ranks = {str(row["model"]): row["rank"] for row in rows}
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        return None
    pair = (ranks.get("model_a"), ranks.get("model_b"))
    return pair if len(ranks) == 2 and all(type(rank) is int for rank in pair) else None  # type: ignore[return-value]
