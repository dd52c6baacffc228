"""Verdicts in a reviewer's words: the last one counts, and none is guessed."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchflow.steps.arena import grammar
from batchflow.steps.arena.grammar import LETTER, RATING, TWO_RATINGS, read

NAMES = {
    "left": {"A", "A>B", "A>>B", "B<A", "B<<A"},
    "right": {"B", "B>A", "B>>A", "A<B", "A<<B"},
    "tie": {"C", "TIE", "A=B"},
}
RANKS = "[{'model': 'model_a', 'rank': 2}, {'model': 'model_b', 'rank': 1}]"


@pytest.mark.parametrize(
    ("text", "form", "winner", "scores", "conflict"),
    [
        ("I prefer [[A]].", LETTER, "left", (), False),
        ("[[A]] at first, then [[B]]", LETTER, "right", (), True),
        ("My verdict: [[C]]", LETTER, "tie", (), False),
        ("[[B>>A]]", LETTER, "right", (), False),
        ("[[A<B]]", LETTER, "right", (), False),
        ("[[A=B]]", LETTER, "tie", (), False),
        ("[A] or [B]", LETTER, None, (), False),
        ("Rating: [[7.5]]", RATING, None, (7.5,), False),
        ("Rating: [4]", RATING, None, (4.0,), False),
        ("Rating: [[11]]", RATING, None, (), False),
        ("Rating: [[-1]]", RATING, None, (), False),
        ("8 9\nbecause", TWO_RATINGS, "right", (8.0, 9.0), False),
        ("8, 8", TWO_RATINGS, "tie", (8.0, 8.0), False),
        ("-1 -1", TWO_RATINGS, None, (), False),
        ("Both get 8 and 9", TWO_RATINGS, None, (), False),
        ("Well.\n[[3, 1]]", TWO_RATINGS, "left", (3.0, 1.0), False),
    ],
)
def test_lmsys_formats(text, form, winner, scores, conflict):
    review = read(text, form, "lmsys_parser")
    assert (review.winner, review.scores, review.conflict) == (winner, scores, conflict)
    assert (review.reason is None) == bool(winner or scores)


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        (RANKS, "right"),
        (f"{RANKS} no: {RANKS.replace('2', '1')}", "tie"),
        ("[{'model': 'model_a', 'rank': 1}]", None),
        ("[{'model': 'model_a', 'rank': '1'}, {'model': 'model_b', 'rank': 2}]", None),
        ("[__import__('os').abort()]", None),
    ],
)
def test_ranks(text, winner):
    assert read(text, LETTER, "ranking_parser").winner == winner


@given(st.text(alphabet="[]ABCtie0123456789.,- >=<{}'model_rank:\n"), st.sampled_from((LETTER, RATING, TWO_RATINGS)))
def test_it_never_raises_and_never_guesses(text, form):
    for parser in ("lmsys_parser", "ranking_parser"):
        review = read(text, form, parser)
        assert review.winner in {None, "left", "right", "tie"}
        assert all(0 <= score <= 10 for score in review.scores)
        assert bool(review.reason) != bool(review.winner or review.scores)
    assert read(None, form, "lmsys_parser").reason == "no review"
    assert grammar.is_format(form)


@given(st.text(alphabet="[]ABC0123456789.,- >=<tie\n", max_size=60))
@example("INVALID [A] B")
@example("The answer [[B] is [[A]")
@example("-1 -1")
@example("10 11")
@example("[[11]] [[0]]")
def test_what_is_not_in_the_text_is_never_a_verdict(text):
    words = {re.sub(r"\s", "", word).upper() for word in re.findall(r"\[\[([^\[\]]*)\]\]", text)}
    if (winner := read(text, LETTER, "lmsys_parser").winner) is not None:
        assert words & NAMES[winner]
    numbers = {float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)}
    for form in (RATING, TWO_RATINGS):
        assert set(read(text, form, "lmsys_parser").scores) <= numbers


@given(st.text(max_size=30), st.sampled_from("ABC"), st.sampled_from("ABC"))
def test_the_last_verdict_counts_whatever_stands_before_it(text, first, last):
    sides = {"A": "left", "B": "right", "C": "tie"}
    review = read(f"{text} [[{first}]] {text} [[{last}]]", LETTER, "lmsys_parser")
    assert review.winner == sides[last]
    if first != last:
        assert review.conflict
