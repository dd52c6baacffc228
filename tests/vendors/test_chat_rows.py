"""The quick way of reading a row agrees with the careful one, whatever the row holds."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.records import Outcome, Usage
from batchflow.texts import parsing, thoughts
from batchflow.vendors import groq, mistral, openai, together
from batchflow.vendors.inhouse import local
from batchflow.vendors.shared import chat_completions

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


SHAPED = pytest.mark.parametrize("vendor", [openai, groq, together, mistral, local], ids=lambda each: each.NAME)
NOTHING = [None, {}, "", [], {"code": None, "message": None}, {"code": "", "message": "", "param": None}, {"error": {}}]


def changed(**facts):
    """The row with other values under `response` or beside it."""
    row = copy.deepcopy(ROW)
    for name, value in facts.items():
        (row["response"] if name in row["response"] else row)[name] = value
    return row


@SHAPED
def test_a_body_as_json_text_is_read(vendor):
    body = ROW["response"]["body"]
    assert vendor.decode(changed(body=json.dumps(body))) == vendor.decode(ROW)
    assert vendor.decode(changed(body="not JSON")).outcome is Outcome.ERROR
    assert (
        vendor.decode(changed(body=json.dumps({"error": {"message": "no"}}), status_code=400)).error == "HTTP 400: no"
    )


@SHAPED
@pytest.mark.parametrize("error", NOTHING, ids=str)
def test_an_error_that_says_nothing_is_none(vendor, error):
    assert vendor.decode(changed(error=error)) == vendor.decode(ROW)
    assert vendor.decode(changed(error=error, response=None)).outcome is Outcome.ERROR


@SHAPED
def test_usage_in_strings_is_counted(vendor):
    usage = ROW["response"]["body"]["usage"]
    words = {name: {key: str(n) for key, n in value.items()} if isinstance(value, dict) else str(value)
             for name, value in usage.items()}  # fmt: skip
    for told in (words, json.dumps(usage), json.dumps(words)):
        found = vendor.decode(changed(body={**ROW["response"]["body"], "usage": told}))
        assert found == vendor.decode(ROW)
        assert found.usage == Usage(30, 0, 6, 2)


@pytest.mark.parametrize("error", NOTHING, ids=str)
@pytest.mark.parametrize("pack", [json.dumps, dict], ids=["text", "object"])
def test_the_responses_endpoint_is_read_as_kindly(pack, error):
    content = [{"type": "output_text", "text": "42"}]
    output = [{"type": "message", "content": content}]
    usage = {"input_tokens": "3", "output_tokens": "4"}
    body = {"object": "response", "status": "completed", "model": "m", "output": output, "error": error, "usage": usage}
    found = openai.decode(changed(body=pack(body), error=error))
    assert (found.outcome, found.text, found.usage) == (Outcome.OK, "42", Usage(3, 0, 4, 0))


@SHAPED
@given(before=st.sampled_from(["", "Well.\n", " \n"]), mark=st.sampled_from(sorted(thoughts.MARKS)))
def test_thoughts_are_left_out_whoever_serves_the_model(vendor, before, mark):
    def said(text, finish="stop"):
        body = copy.deepcopy(ROW["response"]["body"])
        body["choices"][0] |= {"message": {"content": text}, "finish_reason": finish}
        return parsing.decoded(changed(body=body), vendor.decode)

    closing = thoughts.MARKS[mark]
    assert said(f'{mark}{{"a": 1}}{closing}\n{{"a": 2}}').text == '{"a": 2}'
    assert said(f'{before}hm {{"a": 1}}{closing.upper()}{{"a": 2}}').text == '{"a": 2}'
    cut = said(f'{before}{mark}hm {{"a": 1}}', "length")
    assert (cut.outcome, cut.text) == (Outcome.ERROR, None)
    assert "thought cut off (length)" in cut.error


@given(rows())
def test_both_ways_agree(row):
    assert chat_completions.decode(row) == chat_completions.decode_any(row)


def test_the_ordinary_row_takes_the_quick_way():
    found = chat_completions._ordinary(ROW)
    assert found is not None
    assert found.outcome is Outcome.OK
    assert found == chat_completions.decode_any(ROW)
