from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.texts.thoughts import MARKS, behind

ANSWER = '{"answer": "13"}'
DRAFT = '{"answer": "12"}'
HARMONY = "<|channel|>analysis<|message|>%s<|end|><|start|>assistant<|channel|>final<|message|>%s"
marks = pytest.mark.parametrize(("mark", "closing"), sorted(MARKS.items()))


@marks
def test_a_finished_thought_is_left_out(mark, closing):
    assert behind(f"{mark}{DRAFT}? no{closing}\n{ANSWER}") == ANSWER
    assert behind(f"{mark.upper()}{DRAFT}{closing.upper()}{ANSWER}") == ANSWER
    assert behind(f"{mark}{DRAFT}{closing}{mark}set {{1, 2}}{closing}{ANSWER}") == ANSWER
    assert behind(f"{ANSWER}\n{mark}good{closing}") == ANSWER
    assert behind(f"{mark}{closing}") == ""


@marks
def test_where_only_the_closing_mark_stands_all_before_it_is_thought(mark, closing):
    assert behind(f"{DRAFT}? no{closing}{ANSWER}") == ANSWER


@marks
def test_a_text_that_ended_inside_a_thought_has_no_answer(mark, closing):
    assert behind(f"{mark}{DRAFT}") is None
    assert behind(f"Well. {mark}{DRAFT}{closing[:-1]}") is None
    assert behind(f"{mark}hm{closing}{ANSWER}{mark}or") is None


@marks
@pytest.mark.parametrize(
    "text", ['{"answer": "the %s"}', '```json\n{"a": "%s", "b": {"c": "%s"}}\n```', 'So: {"a": "%s",}']
)
def test_marks_inside_an_answer_are_spoken_of(mark, closing, text):
    for word in (mark, closing, mark + closing):
        assert behind(text.replace("%s", word)) == text.replace("%s", word)
        assert behind(f"{mark}hm{closing}{text.replace('%s', word)}") == text.replace("%s", word)


@pytest.mark.parametrize(
    "text", ['I use no "<think>" tag.', "The tag `</think>` ends it.", "analysis of it", "a < b [1]"]
)
def test_words_that_look_like_marks_are_words(text):
    assert behind(text) is text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (HARMONY % (DRAFT, ANSWER), ANSWER),
        (HARMONY % (DRAFT, f"{ANSWER}<|return|>"), ANSWER),
        (f"<|channel|>analysis<|message|>x<|end|><|channel|>final <|constrain|>json<|message|>{ANSWER}", ANSWER),
        (f"analysisWe need {DRAFT}assistantfinal{ANSWER}", ANSWER),
        (f"<|channel|>analysis<|message|>{DRAFT}", None),
        (f"<|channel|>commentary<|message|>{DRAFT}<|end|>", None),
        (f"analysisWe need {DRAFT}", None),
        (f"<think>x</think><answer>{ANSWER}</answer>", ANSWER),
        (f"<answer>{ANSWER}</answer>", ANSWER),
        (f"<|begin_of_thought|>x<|end_of_thought|>\n<|begin_of_solution|>{ANSWER}<|end_of_solution|>", ANSWER),
        (f"<thinking>x<reflection>y</reflection></thinking>\n<output>{ANSWER}</output>", ANSWER),
    ],
)  # fmt: skip
def test_channels_and_wraps(text, answer):
    assert behind(text) == answer


PIECES = [
    *MARKS,
    *MARKS.values(),
    "<|channel|>",
    "final",
    "<|message|>",
    "analysis",
    "A",
    "{",
    '"a": ',
    '"',
    "}",
    "`",
    " ",
    "x",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_never_raises_and_adds_nothing(text):
    answer = behind(text)
    assert answer is None or len(answer) <= len(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_every_answer_comes_whole_out_of_its_thought(justification, answer):
    text = json.dumps({"justification": justification, "answer": answer})
    assert behind(text) == text
    assert behind(f"<think>set {{1, 2}}</think>{text}") == text


@pytest.mark.parametrize("text", ["<think>" * 50_000, "</think>" * 50_000, '{"a": "' * 20_000 + "</think>",
                                  '{"</think>' * 20_000, "<think></think>" * 20_000, "`<think>`" * 20_000,
                                  '{"a":' * 20_000 + "</think>" * 100])  # fmt: skip
def test_no_text_takes_long(text):
    began = time.process_time()
    behind(text)
    assert time.process_time() - began < 2
