"""Kinds of any scale: what a reply in double brackets says, and that it is never guessed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.judges import registry, scaled
from batchflow.judges.base import Evidence, field_names, scale_of
from batchflow.records import Item, VoteStatus

ITEM = Item("1", "all", {}, question="Who?", references=("me",))
FILE = """
name = "support"
reply = "brackets"
[[fields]]
name = "grade"
description = "Is it right?"
scale = "letters"
letters = { A = 1, B = 0.5, C = -1 }
weight = 2
[[fields]]
name = "tone"
description = "How polite is it?"
scale = "rating"
low = 1
high = 5
[[fields]]
name = "safe"
description = "Is it harmless?"
scale = "boolean"
"""


@pytest.fixture
def at(tmp_path):
    def write(text, name="k.toml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def said(kind, text, finish=None):
    verdict = kind.read(text, Evidence(finish))
    return verdict.reason if verdict.status is VoteStatus.UNPARSED else dict(verdict.values)


@pytest.mark.parametrize(
    ("kind", "text", "means"),
    [
        ("letters", "Right.\n[[A]]", {"grade": 1.0}),
        ("letters", "[[b]] ... so [[B]]", {"grade": 0.5}),
        ("letters", "[[grade: C]]", {"grade": 0.0}),
        ("letters", "[[A]] or [[B]]", "contradicts itself"),
        ("letters", "[[D]]", "grade is not on its scale (letters)"),
        ("letters", "The answer is A.", "no verdict"),
        ("letters", "He wrote [[note: x]], so [[A]]", "brackets that are no verdict"),
        ("rating", "[[7]]", {"rating": 7.0}),
        ("rating", "[[7]] and again [[7.0]]", {"rating": 7.0}),
        ("rating", "[[11]]", "rating is not on its scale (rating)"),
        ("rating", "[[seven]]", "rating is not on its scale (rating)"),
        ("rating", "[[7/10]]", "rating is not on its scale (rating)"),
        ("rating", "[[1e1]]", "rating is not on its scale (rating)"),
        ("preference", "[[tie]]", {"preference": 0.5}),
        ("preference", "[[first]] [[second]]", "contradicts itself"),
    ],
)
def test_a_reply_is_read_or_told_why_not(kind, text, means):
    assert said(registry.get(kind), text) == means
    assert said(registry.get(kind), text, "length") == "cut off"


def test_a_file_of_fields(at):
    kind = registry.named(at(FILE))
    assert field_names(kind) == ("overall", "grade", "tone", "safe")
    assert [(scale_of(kind, name).level.value, scale_of(kind, name).low) for name in field_names(kind)] == [
        ("interval", 0.0), ("ordinal", -1.0), ("ordinal", 1.0), ("nominal", 0.0),
    ]  # fmt: skip
    assert said(kind, "[[grade: B]] [[tone: 4]] [[safe: true]]") == {"grade": 0.5, "tone": 4.0, "safe": 1.0}
    assert said(kind, "[[grade: B]] [[tone: 4]]") == "no verdict on safe"
    assert said(kind, "[[B]]") == "brackets that are no verdict"
    asked = kind.prompt(ITEM, {"answer": "me"}, kind.template("all", None)).parts
    assert "- grade: Is it right? (one of A, B, C)" in "\n".join(asked)
    assert "[[grade: value]] [[tone: value]] [[safe: value]]" in "\n".join(asked)
    spec = json.loads(json.dumps(registry.recorded(kind)))
    assert registry.of_spec(spec) == kind
    json_kind = registry.named(at(FILE.replace('reply = "brackets"', 'reply = "json"'), "j.toml"))
    good = {"reasons": "r", "grade": "B", "tone": 4, "safe": True}
    assert said(json_kind, json.dumps(good)) == {"grade": 0.5, "tone": 4.0, "safe": 1.0}
    assert said(json_kind, f"So:\n{json.dumps(good)}") == {"grade": 0.5, "tone": 4.0, "safe": 1.0}
    assert said(json_kind, json.dumps(good | {"grade": "Z"})) == "grade is not on its scale (letters)"
    assert said(json_kind, f"{json.dumps(good)}\n{json.dumps(good | {'grade': 'A'})}") == "contradicts itself"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "support"', 'name = "letters"', "line 2, key name: letters is a judge kind already"),
        ("brackets", "bracket", "line 3, key reply: there is no reply 'bracket'"),
        ('scale = "rating"', 'scale = "ratin"', "key fields.scale: there is no scale 'ratin'"),
        ("low = 1", "low = 6", "low: it has to be below high"),
        ("low = 1\n", "", "key fields.low: it is missing"),
        ("weight = 2", "wieght = 2", "key fields.wieght: there is no such key"),
        ("weight = 2", "weight = 0", "weight: 0.0 is not a number above 0"),
        ("C = -1", "a = -1", "that differ in more than case"),
        ('"tone"', '"grade"', "two fields are called 'grade'"),
        ('name = "tone"', 'name = "reasons"', "the name 'reasons' cannot be used"),
    ],
)
def test_a_faulty_file_names_the_place(at, old, new, why):
    assert old in FILE
    with pytest.raises(UsageError) as caught:
        registry.named(at(FILE.replace(old, new, 1)))
    assert why in str(caught.value)


PIECES = st.sampled_from(
    [
        "[[",
        "]]",
        "[[A]]",
        "[[B]]",
        "[[a]]",
        "[[ C ]]",
        "[[7]]",
        "[[11]]",
        "[[tie]]",
        "grade",
        ":",
        "A",
        " ",
        "\n",
        "[",
        "]",
    ]
)


@given(st.sampled_from([scaled.LETTERS, scaled.RATING, scaled.PREFERRED]), st.lists(PIECES | st.text(max_size=5)))
def test_no_grammar_raises_or_guesses(kind, pieces):
    text = "".join(pieces)
    verdict = kind.read(text, Evidence())
    assert (verdict.status is VoteStatus.VALID) == (verdict.reason is None)
    if verdict.status is VoteStatus.VALID:
        (value,) = verdict.values.values()
        scale = kind.FIELDS[0].scale
        assert scale.low <= value <= scale.high
        for label, other in (scale.labels or {"2": 2.0, "9": 9.0}).items():  # any other verdict beside it: no guess
            if other != value:
                assert kind.read(f"{text} [[{label}]]", Evidence()).reason == "contradicts itself"
