"""Rows read straight from their bytes say what the reading of any row says of them, errors included."""

from __future__ import annotations

import contextlib
import json
import tempfile
from itertools import chain
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Item
from batchflow.steps.building.staging import questions
from batchflow.tasks import riddles
from batchflow.tasks.base import known, rows_asked, rows_known

FIRST = {"id": "q0", "description": "What is 1 + 1?", "answer": "2", "note": "an own column"}
_TEXT = st.text(max_size=6) | st.sampled_from(["", " ", "\u2028", "{}", "é😀", "\0\x1f", '"\\', "a-b"])
_VALUE = _TEXT | st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.just([]) | st.just(
    {"a": 1}
) | st.sampled_from([2**53, 2**64, 10**40, 30.0])  # fmt: skip
_ID = st.sampled_from(["q1", "q2", " q2", "q-3", "-", "é", "\u200b", "", 7, 7.0, True, 2**70]) | _TEXT
_NAMES = ("split", "category", "picarats", "first_hint", "special_hint", "url", "img", "note", "other", "justification")
_ROW = st.fixed_dictionaries(
    {"id": _ID, "description": st.just("Why?") | _TEXT, "answer": st.just("Because.") | _VALUE},
    optional={name: st.sampled_from(["llm", "vlm"]) | _VALUE if name == "split" else _VALUE for name in _NAMES},
)
_BROKEN = [
    b"", b" \r", b"[]", b"{", b'{"id":"\xff","description":"a","answer":"b"}', b'\xef\xbb\xbf{"id":"c"}',
    b'{"id":"d","description":"\\ud800\\u0041","answer":"b"}',
    b'{"id":"e","description":"a","answer":"b","note":1e999}',
    b'{"id":"f","description":"a","answer":"b","note":NaN}', b'{"id":"g","description":"a\tb","answer":"b"}',
    b'{"id":"h","description":"a","answer":"b","note":' + b"9" * 5_000 + b"}",
    b'{"id":"i","id":"j","description":"a","answer":"b","note":null,"note":"c"}',
    b'{"id":"k","description":"a","answer":"b","other":' + b"[" * 300 + b"]" * 300 + b"}",
]  # fmt: skip


def read(lines, hints, *, quickly):
    """What is asked about the rows, and the hints that they have; or the error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.jsonl")
        path.write_bytes(b"\n".join(lines) + b"\n")
        source, template, counts = riddles.source(None, "llm", path), riddles.template("llm", None), [0] * 4
        rows = rows_asked(riddles, source, "llm", hints, template) if quickly else riddles.items(source, "llm")
        asks = []
        try:
            for ask in questions(riddles, rows, hints, template, 1, counts):
                columns = ask.columns if isinstance(ask.columns, str) else files.dumps(ask.columns).decode()
                asks.append(ask._replace(columns=columns))
        except DataError as error:
            return asks, counts, str(error).replace(folder, ""), error.hint
        return asks, counts


@given(
    st.lists((_ROW | st.just(FIRST)).map(lambda row: json.dumps(row).encode()) | st.sampled_from(_BROKEN), max_size=6),
    st.integers(0, 4),
    st.booleans(),
)
@example([], 0, True)
def test_both_ways_ask_the_same(lines, hints, begins_well):
    lines = [*([orjson.dumps(FIRST)] if begins_well else []), *lines]
    assert read(lines, hints, quickly=True) == read(lines, hints, quickly=False)


@given(st.lists(_ROW.map(lambda row: json.dumps(row).encode()), max_size=6))
def test_questions_and_answers_are_those_of_the_items(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.jsonl")
        path.write_bytes(b"\n".join([orjson.dumps(FIRST), *lines]))
        source, latest = riddles.source(None, "llm", path), ()
        quickly = rows_known(riddles, source, "llm")
        with contextlib.suppress(DataError):  # rows that `prepare` refuses: a batch has those before them
            for latest in map(known, riddles.items(source, "llm")):
                assert next(quickly) == latest
        assert latest


@pytest.mark.parametrize("line", _BROKEN)
def test_a_broken_line_is_told_in_the_same_words(line):
    lines = [orjson.dumps(FIRST), line]
    assert read(lines, 0, quickly=True) == read(lines, 0, quickly=False)


def test_usual_rows_never_become_items(tmp_path):
    path = tmp_path / "data.jsonl"
    rows = [
        FIRST | {"id": f"q-{place}", "category": None, "first_hint": "Add.", "third_hint": "", "picarats": 30}
        for place in range(9)
    ]
    path.write_bytes(b"\n".join(map(orjson.dumps, chain([FIRST], rows))))
    source, template = riddles.source(None, "llm", path), riddles.template("llm", None)
    asked = list(rows_asked(riddles, source, "llm", 2, template))
    assert not any(isinstance(one, Item) for one in (*asked, *riddles.known(source, "llm")))
    assert asked[-1][0] == "q-8"
    assert asked[-1][2:] == (
        ("Question: What is 1 + 1?", "First hint: Add."), '{"category":null,"picarats":30,"hints_available":1}', (1,)
    )  # fmt: skip
