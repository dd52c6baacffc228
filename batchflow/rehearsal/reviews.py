"""A rehearsed reviewer: the battle that its prompt shows, and a verdict in the form that is asked for.

The prompts are batchflow's own for `arena`, and those of FastChat's judge_prompts.jsonl.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_ANSWER = re.compile(
    r"^\[(?:The Start of )?(?:Assistant (?P<who>[AB])'s |Assistant's )?Answer(?: (?P<side>[AB]))?\]\n(?P<text>.*?)\n\[",
    re.MULTILINE | re.DOTALL,
)
_QUESTION = re.compile(r"^\[(?:User )?Question\]\n(?P<text>.*?)(?=\n\[|\n\n\[)", re.MULTILINE | re.DOTALL)
_LETTERS, _RATING, _TWO = "letters", "rating", "two"
_EVEN = 0.05
"""Two answers are equally good where their worth differs by less."""


class Battle(NamedTuple):
    """One or two answers, each with its question. form: of the verdict."""

    form: str
    answers: tuple[tuple[str, str], ...]


def battle_in(texts: Sequence[str]) -> Battle | None:
    """The battle that a prompt shows; None for another prompt."""
    whole = "\n".join(texts)
    answers = [each["text"] for each in _ANSWER.finditer(whole)]
    if not 1 <= len(answers) <= 2:
        return None
    match = _QUESTION.search(whole)
    question = match["text"] if match else ""
    form = _RATING if len(answers) == 1 else _LETTERS if "[[A]]" in whole else _TWO
    return Battle(form, tuple((question, answer) for answer in answers))


def verdict(form: str, strengths: Sequence[float], *, is_mistaken: bool) -> str:
    r"""A review in this form. strengths: 0 to 1, of the answers as they are shown. is_mistaken: it names the worse one.

    >>> verdict("letters", [0.9, 0.2], is_mistaken=False)
    'A rehearsed review. [[A]]'
    >>> verdict("two", [0.9, 0.2], is_mistaken=True), verdict("rating", [0.9], is_mistaken=False)
    ('3 9\nA rehearsed review.', 'A rehearsed review. [[9]]')
    """
    shown = list(reversed(strengths)) if is_mistaken else list(strengths)
    scores = [round(1 + 9 * (1 - each if is_mistaken and form == _RATING else each)) for each in shown]
    if form == _RATING:
        return f"A rehearsed review. [[{scores[0]}]]"
    if form == _TWO:
        return f"{scores[0]} {scores[1]}\nA rehearsed review."
    letter = "C" if abs(shown[0] - shown[1]) < _EVEN else "A" if shown[0] > shown[1] else "B"
    return f"A rehearsed review. [[{letter}]]"
