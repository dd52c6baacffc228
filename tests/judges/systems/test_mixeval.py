from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchflow.judges.base import Evidence
from batchflow.judges.systems.mixeval import BOTH, FREEFORM
from batchflow.records import Item, VoteStatus

CHOICE = Item("mc-1", "multiple-choice", {"gold": "B"}, question="?", options=("one", "two", "three"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The correctness score: [[0.6]].", 0.6),
        ("[[1]]", 1.0),
        ("score: [0.3]", 0.3),
        ("[[0.5]], as I said: [[0.5]]", 0.5),
        ("[1] says so, hence [[0.0]]", 0.0),
        ("[[0.5]] or rather [[0.9]]", None),
        ("[[1.1]]", None),
        ("[[A]]", None),
        ("0.7", None),
        ("", None),
    ],
)
def test_a_score_is_read_once_within_its_range(text, value):
    verdict = FREEFORM.read(text, Evidence())
    assert verdict.values.get("score") == value
    assert (verdict.status is VoteStatus.VALID) == (value is not None)


@pytest.mark.parametrize(
    ("text", "value"),
    [("[[B]]", 1.0), ("The option chosen by the model: [[A]].", 0.0), ("[C]", 0.0), ("[[D]]", None), ("[[0.5]]", None)],
)
def test_a_letter_is_read_among_the_options_and_compared_with_the_right_one(text, value):
    assert BOTH.read(text, Evidence(item=CHOICE)).values.get("score") == value


@given(st.text(alphabet=st.sampled_from("[]0123456789.ABCD \n"), max_size=40), st.booleans())
def test_it_never_raises_and_a_value_stands_in_brackets(text, lettered):
    verdict = BOTH.read(text, Evidence(item=CHOICE if lettered else None))
    if verdict.status is VoteStatus.VALID:
        assert 0 <= verdict.values["score"] <= 1
        assert f"[{verdict.labels['score']}]" in text.replace(" ", "").replace("\n", "")


@given(st.text(alphabet=st.sampled_from("[]0123456789.ABCD \n"), max_size=40))
@example("[[0.5]] or [0.9]")
@example("[[E]]")
@example("[[D]]")
@example("[[2]]")
def test_a_second_verdict_beside_the_first_makes_none(text):
    """Nothing is chosen between two, whatever stands around them; a letter beyond the options is none."""
    for kind, item, values in ((FREEFORM, None, ("0.25", "0.75")), (BOTH, CHOICE, ("A", "C"))):
        verdict = kind.read(text, Evidence(item=item))
        if verdict.status is not VoteStatus.VALID:
            assert verdict.reason
            continue
        first = verdict.labels["score"]
        for other in (each for each in values if each != first):
            is_doubled = re.search(rf"\[\[\s*{re.escape(first)}\s*\]\]", text)
            both = f"{text} [[{other}]]" if is_doubled else f"[[{first}]] [[{other}]]"
            assert kind.read(both, Evidence(item=item)).reason == "verdicts that differ"
    assert BOTH.read(f"{text.replace('[', '')} [[D]]", Evidence(item=CHOICE)).status is VoteStatus.UNPARSED
