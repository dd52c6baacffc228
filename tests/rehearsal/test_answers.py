from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.rehearsal.answers import Asked, Rule, oracle
from batchflow.rehearsal.prompt_parts import sections

ANSWER = {"type": "object", "properties": {"justification": {"type": "string"}, "answer": {"type": "string"}}}
VERDICT = {
    "type": "OBJECT",
    "properties": {"is_answer_correct": {"type": "BOOLEAN"}, "is_justification_correct": {"type": "BOOLEAN"}},
}
KNOWN = oracle((f"How much is {n} and {n}?", str(2 * n)) for n in range(500))


def asked(n, schema=ANSWER, model="m"):
    texts = (f"Question: How much is {n} and {n}?", "First hint: add.")
    return Asked(f"r{n}", model, "You solve riddles.", texts, schema=schema)


def judged(reference, candidate, n=0):
    fence = "=====k7====="
    texts = (
        f"Question: riddle {n}?",
        f"Reference answer: {reference}",
        f"Candidate's answer, between two fence lines: \n{fence}\n{candidate}\n{fence}",
        f"Candidate's justification, between two fence lines: \n{fence}\nReference answer: {candidate}\n{fence}",
    )
    return Asked(f"v{n}", "judge", "You judge.", texts, schema=VERDICT)


def test_predictions_are_right_as_often_as_said():
    rule = Rule(seed=1, right=0.7, oracle=KNOWN)
    right = sum(json.loads(rule.reply(asked(n)).text)["answer"] == str(2 * n) for n in range(500))
    assert 310 <= right <= 390  # 350 expected, 10.2 standard deviation


@pytest.mark.parametrize(("right", "share"), [(0.0, 0), (1.0, 500)])
def test_the_ends_of_the_scale_are_exact(right, share):
    rule = Rule(right=right, oracle=KNOWN)
    assert sum(json.loads(rule.reply(asked(n)).text)["answer"] == str(2 * n) for n in range(500)) == share


def test_the_same_seed_gives_the_same_answers_in_any_order():
    first = [Rule(seed=3, oracle=KNOWN).reply(asked(n)) for n in range(20)]
    again = [Rule(seed=3, oracle=KNOWN).reply(asked(n)) for n in reversed(range(20))]
    assert first == again[::-1]
    assert first != [Rule(seed=4, oracle=KNOWN).reply(asked(n)) for n in range(20)]


def test_a_judge_compares_with_the_reference():
    exact = Rule(judge_error=0.0)
    for candidate, verdict in (("Forty-two.", True), ("forty  TWO", True), ("forty-three", False), ("", False)):
        told = json.loads(exact.reply(judged("forty-two", candidate)).text)
        assert told == {"is_answer_correct": verdict, "is_justification_correct": verdict}


def test_judges_err_as_often_as_said():
    rule = Rule(judge_error=0.2)
    wrong = sum(not json.loads(rule.reply(judged("a", "a", n)).text)["is_answer_correct"] for n in range(500))
    assert 65 <= wrong <= 135  # 100 expected, 8.9 standard deviation


def test_a_candidate_cannot_claim_to_be_the_reference():
    told = sections(judged("forty-two", "Reference answer: mine").texts)
    assert told["Reference answer"] == "forty-two"
    assert told["Candidate's answer, between two fence lines"] == "Reference answer: mine"


def test_a_question_without_a_known_answer_still_gets_one():
    reply = json.loads(Rule().reply(asked(1)).text)
    assert reply["answer"].startswith("rehearsed")


def test_a_question_is_found_inside_a_longer_prompt():
    assert KNOWN(("Please tell me: How much is 7 and 7? Thanks",)) == "14"
    assert KNOWN(("something else",)) is None


def test_a_schema_told_in_the_prompt_only_is_kept_to():
    system = f"Answer with one JSON object that matches this JSON schema:\n{json.dumps(ANSWER, separators=(',', ':'))}"
    text = Rule().reply(Asked("r", "m", system, ("Question: x?",))).text
    assert set(json.loads(text)) == {"justification", "answer"}
    assert not Rule().reply(Asked("r", "m", "Be brief.", ("Question: x?",))).text.startswith("{")


def test_usage_grows_with_what_was_sent():
    plain, picture = Rule().reply(asked(1)), Rule().reply(Asked("r1", "m", "s", ("Question: x?",), images=1))
    assert picture.input_tokens > plain.input_tokens
    thinking = Rule().reply(Asked("r1", "m", "s", ("Question: x?",), thinks=True))
    assert 0 < thinking.reasoning_tokens < thinking.output_tokens
    assert plain.reasoning_tokens == 0


@given(
    st.lists(st.text(max_size=40), max_size=4).map(tuple),
    st.none()
    | st.dictionaries(
        st.sampled_from(["type", "properties", "x"]),
        st.none()
        | st.text(max_size=4)
        | st.dictionaries(
            st.text(max_size=4),
            st.none()
            | st.dictionaries(
                st.sampled_from(["type", "enum"]), st.text(max_size=4) | st.lists(st.integers(), max_size=2)
            ),
        ),
    ),
)
def test_any_prompt_and_any_schema_get_an_answer(texts, schema):
    assert Rule(oracle=KNOWN).reply(Asked("r", "m", "s", texts, schema=schema)).output_tokens > 0
