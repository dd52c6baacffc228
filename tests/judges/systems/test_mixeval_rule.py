from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.judges import verifiers
from batchflow.judges.base import Known
from batchflow.judges.systems.mixeval_rule import RULE, option_of

CITIES = ("Lyon", "Paris", "Nice", "Metz")
HOSTILE = st.text(alphabet=st.sampled_from("AB.*() \n=,-09eis answer"), max_size=60)


def known(gold="B", options=CITIES):
    return Known((gold,), {"options": list(options), "gold": gold})


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"), ("B.", "B"), ("The answer is (C).", "C"), ("**D** it is", "D"), ("**B.** Paris", "B"),
        ("\nA\n", "A"),
        ("A. Lyon, not B", "A"),
        ("I would say that it is paris of course", "B"),  # by the option's text
        ("A city in the north, so it may be D", "D"),  # the article is no option
        ("A city in the north of the country", None),
        ("E", None), ("", None), ("Paris", None),  # MixEval reads texts of more than five words only
        ("I do not know which of these it is", None),
    ],
)  # fmt: skip
def test_an_option_is_read_or_nothing(answer, letter):
    assert option_of(answer, CITIES) == letter
    assert RULE.verify(answer, known()) == (None if letter is None else letter == "B")


@pytest.mark.parametrize(
    ("answer", "references", "right"),
    [
        ("Let me think.\nSo the answer is Mark Twain.", ("Samuel Clemens", "mark twain"), True),
        ("She has 3 + 4 = 7.0", ("7",), True),
        ("The result is 1,234", ("1234",), True),
        ("The answer is 17", ("7",), False),
        ("It was a party", ("art",), False),  # MixEval finds it in there
        ("It is modern art", ("art",), True),
        ("nothing", ("no",), False),
        ("Paris", ("Paris",), True),
        ("...", ("Paris",), None),
        ("", ("Paris",), None),
    ],
)
def test_a_free_answer_holds_a_right_one_or_not(answer, references, right):
    assert RULE.verify(answer, Known(references)) is right


def test_it_is_a_rule_like_any_other_and_proves_nothing_wrong():
    assert "mixeval" in verifiers.names()
    assert verifiers.settled("mixeval", "17", "7") is None
    assert verifiers.settled("mixeval", "7", "7") is True


@given(HOSTILE, st.booleans())
def test_it_never_raises_and_never_takes_an_option_that_is_not_named(answer, lettered):
    if not lettered:
        assert RULE.verify(answer, Known(("9", "is"))) in {True, False, None}
        return
    letter = option_of(answer, CITIES[:2])
    assert letter is None or letter in answer


@pytest.mark.parametrize("seed", ["9", "-", "A ", "is ", "(", ",000", "\n=", "e9", "**"])
def test_a_long_answer_costs_time_in_proportion(seed):
    text = seed * math.ceil(300_000 / len(seed))
    assert RULE.verify(text, Known(("7",))) in {False, None}
    assert RULE.verify(text, known()) in {True, False, None}
