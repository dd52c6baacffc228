from __future__ import annotations

import re
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.extract import linear

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\b", "^", "$", r"\.", "(a|b)", "(?:ab)"])
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{1,}"])
PATTERNS = st.lists(st.tuples(ATOMS, REPEATS), min_size=1, max_size=5).map(
    lambda parts: "".join(atom + ("" if atom in {"^", "$", r"\b"} else repeat) for atom, repeat in parts)
)


@given(
    PATTERNS,
    PATTERNS,
    st.sampled_from(["{}", "({})", "(?i){}|{}", "x?({})", "(?s)({}|{})", "(?m)^({})$"]),
    st.text("abAB1. \nx", max_size=20),
)
def test_it_finds_what_python_finds(one, two, form, text) -> None:
    source = form.format(one, two)
    pattern = linear.compiled(source)
    match = re.search(source, text)
    expected = None if match is None else match[pattern.group]
    assert pattern.search(text) == expected
    assert replace(pattern, quick_length=-1).search(text) == expected


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("(a+)+$", "a" * 9_999 + "b"),
        ("(a|a)*$", "a" * 9_999 + "b"),
        ("(.*)(.*)(.*)x", "y" * 9_999),
        ("(a?){30}a{30}", "a" * 29),
    ],
)
def test_a_text_made_to_keep_it_busy_does_not(source, text) -> None:
    before = process_time()
    assert linear.compiled(source).search(text) is None
    assert process_time() - before < 8


def test_the_answer_is_the_named_group_else_the_first_else_the_whole() -> None:
    assert linear.compiled(r"(x)=(?P<answer>\d+)").search("x=12") == "12"
    assert linear.compiled(r"(x)=\d+").search("x=12") == "x"
    assert linear.compiled(r"x=\d+").search("ax=12") == "x=12"
    assert linear.compiled("(x)|y").search("y") is None
