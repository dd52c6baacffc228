"""The quick way of reading a row agrees with the careful one, whatever the row holds."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from batchflow.records import Outcome
from batchflow.vendors import chat

ROW = {
    "id": "batch_req_1",
    "custom_id": "3-0123abcd-q3",
    "response": {
        "status_code": 200,
        "body": {
            "object": "chat.completion",
            "model": "gpt-6-luna",
            "choices": [
                {
                    "message": {"role": "assistant", "content": "{}", "refusal": None},
                    "finish_reason": "stop",
                    "index": 0,
                }
            ],
            "usage": {
                "prompt_tokens": 30,
                "completion_tokens": 6,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        },
    },
    "error": None,
}
SCALARS = st.sampled_from(
    [None, True, False, 0, -1, 1, 200, 200.0, 404, 500, 2**70, "", "x", "200", "content_filter", "length", "stop"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["text", "type", "refusal", "message", "code", "content"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    """The path of every value in a row."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in pairs:
        yield from places(member, (*path, key))


PLACES = [path for path in places(ROW) if path]


@st.composite
def rows(draw):
    """An ordinary row in which up to three values were replaced or left out."""
    row = copy.deepcopy(ROW)
    for *way, last in draw(st.lists(st.sampled_from(PLACES), max_size=3)):
        inside = row
        for step in way:
            try:
                inside = inside[step]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(inside, dict) and draw(st.booleans()):
                inside.pop(last, None)
            elif isinstance(inside, dict) or (
                isinstance(inside, list) and isinstance(last, int) and last < len(inside)
            ):
                inside[last] = draw(VALUES)
    return row


@given(rows())
def test_both_ways_agree(row):
    assert chat.decode(row) == chat.decode_any(row)


def test_the_ordinary_row_takes_the_quick_way():
    found = chat._ordinary(ROW)
    assert found is not None
    assert found.outcome is Outcome.OK
    assert found == chat.decode_any(ROW)
