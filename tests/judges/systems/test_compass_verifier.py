from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchflow.judges.base import Evidence
from batchflow.judges.systems.compass_verifier import PLAIN, REASONED, letter_of
from batchflow.records import VoteStatus

SAID = {
    "A": "A",
    " b. ": "B",
    "**C**": "C",
    "(A)": "A",
    "CORRECT": "A",
    "incorrect": "B",
    "INVALID": "C",
    "A: CORRECT": "A",
    "B: INCORRECT": "B",
    "C: INVALID": "C",
    r"\boxed{B}": "B",
    "Steps: the candidate says \\boxed{0.68}.\nFinal Judgment: \\boxed{A} - CORRECT": "A",
    "It is cut off.\n\nFinal Judgment: \\boxed{C} - INCOMPLETE": "C",
    "**Final Judgment:** \\boxed{B} - INCORRECT": "B",
    "The answer differs, so the grade is \\boxed{B}": "B",
    "A: INCORRECT": None,
    r"\boxed{A} then \boxed{B}": None,
    "As a judge I would say it is wrong": None,
    "Based on the rules: A": None,
    "ABC": None,
    "A or B": None,
    "D": None,
    "": None,
}


@pytest.mark.parametrize(("text", "letter"), SAID.items())
def test_a_reply_counts_where_letter_and_word_agree(text, letter):
    assert letter_of(text) == letter
    verdict = REASONED.read(text, Evidence())
    assert verdict.labels.get("verdict") == letter
    assert verdict.values.get("verdict") == (None if letter is None else float(letter == "A"))


def test_a_reply_that_was_cut_says_so():
    assert PLAIN.read("The candidate says", Evidence("length")).reason == "cut off"


@given(st.text(alphabet=st.sampled_from("ABCabc: .-*{}\\boxedINVALIDCORRECT\nFinal Judgment"), max_size=60))
def test_it_never_raises_and_never_reads_a_letter_out_of_a_word(text):
    verdict = REASONED.read(text, Evidence())
    if verdict.status is VoteStatus.VALID:
        letter = verdict.labels["verdict"]
        words = {"A": ("CORRECT",), "B": ("INCORRECT",), "C": ("INVALID", "INCOMPLETE", "REPETITIVE", "REFUSAL")}
        assert letter in text.upper() or any(word in text.upper() for word in words[letter])


PARTS = ("A", "B", "C", "CORRECT", "INCORRECT", "INVALID", ": ", " ", "\n", "Final Judgment: ", r"\boxed{", "}", "or")


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
@example("C: INVALID")
@example("A: INCORRECT")
@example("Final Judgment: A\nFinal Judgment: INVALID")
@example("Based on the rules: A")
def test_two_verdicts_are_none_and_invalid_is_never_a(text):
    """Whole words only: what OpenCompass's own readers take out of `INVALID`, and out of prose, is no letter here."""
    for kind in (PLAIN, REASONED):
        verdict = kind.read(text, Evidence())
        letter = verdict.labels.get("verdict")
        assert (verdict.status is VoteStatus.VALID) == (letter is not None)
        assert verdict.values.get("verdict") == (None if letter is None else float(letter == "A"))
        last = text.rpartition("Final Judgment: ")[2].strip()
        if last in {"INVALID", "C", "C: INVALID"}:
            assert letter == "C"
        if last in {"A or B", "AB", "A: INCORRECT", "B: CORRECT", "A: INVALID"}:
            assert letter is None
        for other in ("A", "B", "C"):
            assert letter_of(f"Final Judgment: {other} or {'ABC'.replace(other, '')[0]}") is None
