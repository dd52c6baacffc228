from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.rules import RULES, choice, exact, normalise, normalised, numbers, numeric


@pytest.mark.parametrize(("answer", "reference", "right"), [("a", "a", True), (" a\n", "a", True), ("A", "a", False)])
def test_exact(answer, reference, right):
    assert exact(answer, reference) is right


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Shadow!", "shadow"), ("  a   CAT, ", "cat"), ("Éclair", "eclair"), ("twelve", "12"),
        ("1,000 km", "1000 km"),
        ("3.5", "3.5"), ("snow-white", "snow white"), ("an_apple", "apple"), ("STRASSE", "strasse"),
        ("Straße", "strasse"),
    ],
)  # fmt: skip
def test_normalise(text, plain):
    assert normalise(text) == plain
    assert normalise(plain) == plain


@given(st.text(max_size=40))
def test_everything_is_its_own_equal(text):
    assert exact(text, text) is True
    assert normalised(text, text) in {True, None}
    assert numeric(text, text) in {True, None}


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [("the shadow", "A shadow.", True), ("a shade", "a shadow", False), ("anything", "!?", None), ("", "the", None)],
)
def test_normalised(answer, reference, right):
    assert normalised(answer, reference) is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234.5 m", [Fraction(2469, 2)]), ("1/2 and 0.5", [Fraction(1, 2)] * 2), ("-3", [-3]), ("2e3", [2000]),
        ("seven of 9", [7, 9]), ("none", []), ("1/0", []), ("3 / 4", [Fraction(3, 4)]),
    ],
)  # fmt: skip
def test_numbers(text, found):
    assert list(numbers(text)) == found


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("It is 42.", "42", True), ("forty", "42", False), ("42 or 43", "42", False), ("42, so 42", "42", True),
        ("0.50", "1/2", True), ("twelve", "12 coins", True), ("12", "12 or 13", None),
        ("12", "a shadow", None), ("", "7", False),
    ],
)  # fmt: skip
def test_numeric(answer, reference, right):
    assert numeric(answer, reference) is right


@pytest.mark.parametrize("text", ["1e999999999", "9" * 5000, "1/" + "0" * 500 + "1"])
def test_absurd_numbers_end_in_a_verdict(text):
    assert numeric(text, "7") is False


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("B", "B", True), ("(b)", "B", True), ("Answer: B.", "B", True), ("B) because", "B", True),
        ("The option is C", "B", False),
        ("I think B", "B", False), ("B", "Bees", None), ("B", "a shadow", None),
    ],
)  # fmt: skip
def test_choice(answer, reference, right):
    assert choice(answer, reference) is right


@given(st.sampled_from(sorted(RULES)), st.text(max_size=60), st.text(max_size=60))
def test_no_rule_raises(rule, answer, reference):
    assert RULES[rule](answer, reference) in {True, False, None}
