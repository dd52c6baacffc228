from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.judges import riddle
from batchflow.records import Image, Item
from batchflow.tasks import base
from batchflow.tasks.prompts import riddle_prompts as prompts
from batchflow.texts import templates

HOMES = {"answer": (base.__file__, prompts.template), "judge": (riddle.__file__, riddle.template)}
PICTURE = Image("image/png", "iVBORw0KGgo=")
FIELDS = {
    "description": "What is {answer}?",
    "category": "logic",
    "picarats": 20,
    "first_hint": "one",
    "second_hint": None,
    "third_hint": "three",
    "special_hint": "four",
    "solution": None,
    "answer": "42",
    "justification": "Because.",
}
TEXT = Item("a", "llm", FIELDS)
VISUAL = Item("a", "vlm", FIELDS, PICTURE)


def asked(item: Item, hints: int):
    return prompts.prompt(item, hints, prompts.template(item.split, None))


def judged(item: Item, answer: dict):
    return riddle.prompt(item, answer, riddle.template(item.split, None))


@pytest.mark.parametrize(
    ("hints", "given"),
    [
        (0, ()),
        (1, ("First hint: one",)),
        (2, ("First hint: one",)),
        (3, ("First hint: one", "Third hint: three")),
        (4, ("First hint: one", "Third hint: three", "Special hint: four")),
    ],
)
def test_hints_are_cumulative_and_empty_ones_are_skipped(hints, given) -> None:
    assert asked(TEXT, hints).parts == ("Question: What is {answer}?", *given)
    assert asked(VISUAL, hints).parts == ("Question: What is {answer}?", PICTURE, *given)


@pytest.mark.parametrize("hints", [-1, 5])
def test_other_numbers_of_hints_are_refused(hints) -> None:
    with pytest.raises(UsageError, match="0 to 4"):
        asked(TEXT, hints)


@pytest.mark.parametrize("split", prompts.SPLITS)
def test_a_model_is_told_the_schema_and_never_the_reference(split) -> None:
    sent = asked(TEXT if split == "llm" else VISUAL, 4)
    assert '{"justification": "<' in sent.system
    assert sent.system.index('"justification"') < sent.system.index('"answer"')
    assert ("picture" in sent.system) == (split == "vlm")
    assert "=== user turn" not in sent.system
    assert not any("42" in str(part) or "Because" in str(part) for part in sent.parts)


def test_a_judge_sees_everything() -> None:
    sent = judged(VISUAL, {"justification": "I guessed.", "answer": "forty-two"})
    assert sent.parts[:6] == (
        "Question: What is {answer}?",
        PICTURE,
        "First hint: one",
        "Third hint: three",
        "Special hint: four",
        "Reference answer: 42",
    )
    assert sent.parts[6] == "Reference justification: Because."
    answer, justification = sent.parts[7:]
    assert answer.splitlines()[2] == "forty-two"
    assert justification.splitlines()[2] == "I guessed."
    assert '"is_answer_correct": <true or false>' in sent.system
    assert "never an instruction" in sent.system


def test_the_schemas_are_strict_and_ordered() -> None:
    assert list(prompts.ANSWER.schema["properties"]) == ["justification", "answer"]
    assert list(riddle.SCHEMA.schema["properties"]) == ["is_answer_correct", "is_justification_correct"]
    for schema, kind in ((prompts.ANSWER.schema, "string"), (riddle.SCHEMA.schema, "boolean")):
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        assert {value["type"] for value in schema["properties"].values()} == {kind}


@given(answer=st.text(max_size=200), justification=st.text(max_size=200))
def test_no_candidate_can_close_its_fence(answer, justification) -> None:
    sent = judged(TEXT, {"answer": answer, "justification": justification})
    for part, text in zip(sent.parts[-2:], (answer, justification), strict=True):
        head, opened, rest = part.partition("\n=====[")
        fence = f"=====[{rest[:16]}]====="
        assert opened
        assert "fence lines" in head
        assert fence not in text
        assert part == f"{head}\n{fence}\n{text}\n{fence}"


def test_a_fence_that_the_candidate_guessed_is_replaced() -> None:
    """Nobody can write a text that holds the hash of itself, so the loop is shown with a fence as the text."""
    fence = templates.fence("x", "y")
    assert fence == templates.fence("x", "y")
    assert fence not in {templates.fence("x", fence), templates.fence("x y", "")}


def test_candidate_text_is_not_a_template() -> None:
    sent = judged(TEXT, {"answer": "{justification} {candidate_justification}", "justification": "{image}"})
    assert sent.parts[-2].splitlines()[2] == "{justification} {candidate_justification}"
    assert sent.parts[-1].splitlines()[2] == "{image}"


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (7, "7"), (["a"], '["a"]'), ({"b": None}, '{"b":null}')])
def test_a_candidate_that_broke_the_schema_is_shown_as_it_is(value, shown) -> None:
    sent = judged(TEXT, {"answer": value})
    assert sent.parts[-2].splitlines()[2] == shown
    assert sent.parts[-1].splitlines()[2] == ""


@pytest.mark.parametrize("kind", ["answer", "judge"])
@pytest.mark.parametrize("split", prompts.SPLITS)
def test_built_in_templates_are_named_and_hashed(kind, split) -> None:
    home, template = HOMES[kind]
    made = template(split, None)
    raw = (Path(home).with_name("templates") / f"{kind}_{split}.txt").read_bytes()
    assert made.name == f"builtin:{kind}_{split}.txt"
    assert made.sha256 == hashlib.sha256(raw).hexdigest()


def test_a_template_of_ones_own(tmp_path) -> None:
    path = tmp_path / "mine.txt"
    turn = rb"[{category}, {picarats} points] {description}" + b"\r\nTip: {second_hint}\r\n"
    raw = b'\xef\xbb\xbfSolve {"this"}.\r\n=== user turn ===\r\n' + turn
    path.write_bytes(raw)
    made = prompts.template("llm", path)
    assert (made.name, made.sha256) == (str(path), hashlib.sha256(raw).hexdigest())
    sent = prompts.prompt(TEXT, 4, made)
    assert sent.system == 'Solve {"this"}.'
    assert sent.parts == ("[logic, 20 points] What is {answer}?",)


@pytest.mark.parametrize(
    ("kind", "split", "text", "why"),
    [
        ("answer", "llm", "Solve it.\nQuestion: {description}\n", "the line '=== user turn ===' is missing"),
        ("answer", "llm", "\n=== user turn ===\nQuestion: {description}\n", "no system text"),
        ("answer", "llm", "S\n=== user turn ===\nHint: {first_hint}\n", r"has to hold \{description\}"),
        ("answer", "llm", "S\n=== user turn ===\n{description} {answer}\n", r"no field \{answer\} here"),
        ("answer", "llm", "S\n=== user turn ===\n{description} {hint}\n", r"no field \{hint\} here"),
        ("answer", "vlm", "S\n=== user turn ===\n{description}\n", r"has to hold \{image\}"),
        ("answer", "vlm", "S\n=== user turn ===\n{description} {image}\n", "be alone"),
        ("judge", "llm", "S\n=== user turn ===\n{description} {answer}\n", r"has to hold \{candidate_answer\}"),
    ],
)
def test_a_template_that_cannot_work_is_refused(tmp_path, request, kind, split, text, why) -> None:
    path = tmp_path / f"{request.node.callspec.id[:5]}.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=why) as caught:
        HOMES[kind][1](split, path)
    assert str(path) in str(caught.value)


def test_a_template_that_cannot_be_read(tmp_path) -> None:
    path = tmp_path / "mine.txt"
    with pytest.raises(UsageError, match="cannot be read"):
        prompts.template("llm", path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        prompts.template("llm", path)


def test_columns_are_scalars_to_group_by() -> None:
    columns = prompts.columns(TEXT)
    assert columns == {"category": "logic", "picarats": 20, "hints_available": 3}
    assert json.loads(json.dumps(columns)) == columns
    assert prompts.reference(TEXT) == "42"
