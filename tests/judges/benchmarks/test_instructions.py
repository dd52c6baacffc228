"""The rule `ifeval`: each instruction followed and broken; it never raises, and says nothing where it cannot know."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.judges.base import Known
from batchflow.judges.benchmarks.instructions import CHECKS
from batchflow.judges.verifiers import get

CASES = {
    "keywords:existence": ({"keywords": ["red", "C++"]}, "Red c++.", "red"),
    "keywords:frequency": ({"keyword": "a", "frequency": 2, "relation": "at least"}, "a a", "a"),
    "keywords:forbidden_words": ({"forbidden_words": ["cat"]}, "concatenate", "a Cat."),
    "keywords:letter_frequency": ({"letter": "E", "let_frequency": 2, "let_relation": "less than"}, "e", "Ee"),
    "length_constraints:number_sentences": ({"num_sentences": 2, "relation": "at least"}, "One. Two. Three.", "One"),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "a\n***\nb", "a"),
    "length_constraints:number_words": ({"num_words": 3, "relation": "less than"}, "two words", "now three words"),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"}, "a\n\nthen, b", "a\n\nb"
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 1}, "[name]", "name"),
    "detectable_content:postscript": ({"postscript_marker": "P.S."}, "text\nP. S. more", "text"),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "* a\n- b", "* a"),
    "detectable_format:constrained_response": ({}, "My answer is no.", "No."),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 2}, "*a* and *b*", "*a*"),
    "detectable_format:multiple_sections": ({"section_spliter": "Part", "num_sections": 2}, "Part 1 Part 2", "x"),
    "detectable_format:json_format": ({}, "```json\n{}\n```", "{"),
    "detectable_format:title": ({}, "<<a title>>", "<< >>"),
    "combination:two_responses": ({}, "a******b", "a******a"),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Say it"}, "say it: it", "it"),
    "startend:end_checker": ({"end_phrase": "The end."}, 'so. "the end."', "the end. no"),
    "startend:quotation": ({}, '"quoted"', '"'),
    "change_case:capital_word_frequency": ({"capital_frequency": 1, "capital_relation": "at least"}, "A b", "a b"),
    "change_case:english_capital": ({}, "LOUD", "Loud"),
    "change_case:english_lowercase": ({}, "quiet", "Quiet"),
    "punctuation:no_comma": ({}, "no comma", "a, b"),
}  # fmt: skip


def verdict(answer, *named):
    ids, arguments = [name for name, _ in named], [args for _, args in named]
    return get("ifeval").verify(
        answer, Known((), {"instruction_id_list": json.dumps(ids), "kwargs": json.dumps(arguments)})
    )


@pytest.mark.parametrize("name", CASES)
def test_each_instruction_is_followed_or_not(name):
    args, right, wrong = CASES[name]
    args = {**args, "not_used": None}  # the file has every argument of every instruction, empty ones as null
    assert verdict(right, (name, args)) is True
    assert verdict(wrong, (name, args)) is False


def test_all_instructions_have_to_be_followed_and_what_it_cannot_know_it_leaves():
    both = [("punctuation:no_comma", {}), ("startend:quotation", {})]
    assert verdict('"fine"', *both) is True
    assert verdict('"so, so"', *both) is False
    spoken = ("language:response_language", {"language": "de"})
    assert verdict("Guten Tag", spoken) is None
    assert verdict("Guten Tag, du", spoken, both[0]) is False
    assert verdict("ÜBER ALLES", ("change_case:english_capital", {})) is None
    assert (
        verdict("e.g. one", ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}))
        is None
    )
    assert verdict("", both[0]) is False
    assert verdict("x", ("own:instruction", {})) is None
    assert set(CASES) | {"language:response_language"} == set(CHECKS)


@given(
    st.text(max_size=200),
    st.sampled_from(sorted(CHECKS)),
    st.dictionaries(st.text(max_size=9), st.integers() | st.text()),
)
def test_it_never_raises(answer, name, args):
    assert verdict(answer, (name, args)) in {True, False, None}
    assert get("ifeval").verify(answer, Known((), {"instruction_id_list": answer})) is None


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("Not A.\nANSWER: B", "B", True),
        ("**Answer: (c)**", "C", True),
        ("ANSWER: $\\boxed{D}$", "D", True),
        ("ANSWER: A\nNo: ANSWER: B", "A", False),
        ("The answer is B", "B", None),
        ("ANSWER: A or B", "A", None),
        ("ANSWER: Apple", "A", None),
        ("ANSWER: B", "", None),
        ("B", "B", None),
    ],
)
def test_the_answer_line(answer, reference, right):
    assert get("answer_line").verify(answer, Known((reference,))) is right
