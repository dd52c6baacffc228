"""The fast readers say what `decode` says, or nothing: whatever bytes a row is made of."""

from __future__ import annotations

import copy
import json

import orjson
import pytest
from helpers.both_ways import as_plain
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files
from batchflow.judges import registry as kinds
from batchflow.records import Parsed, strict
from batchflow.texts import parsing, thoughts
from batchflow.vendors import registry
from batchflow.vendors.shared import whole_rows
from batchflow.vendors.shared.row_shapes import MOST, compared, reader, strict_answers

_TEXT = '{"justification": "Because it is.", "answer": "42"}'


def _chat(**body):
    message = {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {
        "prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36, "num_cached_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0, "cache_write_tokens": 7},
        "reasoning_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 0},
    }  # fmt: skip
    inside = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [choice]} | body
    answer = {"status_code": 200, "request_id": "r", "body": {**inside, "usage": usage, "service_tier": "default"}}
    return {"id": "batch_req_1", "custom_id": "3-0123abcd-q3", "response": answer, "error": None}


_RESPONSES = {
    "id": "batch_req_2", "custom_id": "3-0123abcd-q3", "error": None,
    "response": {"status_code": 200, "request_id": "r", "body": {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": None,
        "incomplete_details": None, "model": "m-1", "output": [
            {"id": "rs_1", "type": "reasoning", "summary": []},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "annotations": [], "text": _TEXT}]},
        ],
        "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 7},
                  "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 36},
    }},
}  # fmt: skip
_MESSAGE = {
    "custom_id": "3-0123abcd-q3", "result": {"type": "succeeded", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "end_turn",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": _TEXT}],
        "usage": {"input_tokens": 30, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 4,
                  "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
                  "output_tokens": 6, "output_tokens_details": {"thinking_tokens": 2}},
    }},
}  # fmt: skip
_GENERATED = {
    "key": "3-0123abcd-q3", "response": {
        "candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}, {"text": _TEXT}], "role": "model"},
                        "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 4, "thoughtsTokenCount": 2,
                          "cachedContentTokenCount": 4, "toolUsePromptTokenCount": 1, "totalTokenCount": 37},
        "modelVersion": "m-1", "responseId": "x",
    },
}  # fmt: skip
ROWS = [
    *((vendor, _chat()) for vendor in ("openai", "groq", "mistral", "together", "local")),
    ("openai", _RESPONSES),
    ("anthropic", _MESSAGE),
    ("gemini", _GENERATED),
    ("rule", {"custom_id": "3-0123abcd-q3", "rule": "exact", "verdict": True}),
]
READ = {vendor: reader(vendor) for vendor, _ in ROWS}


def both(vendor, line):
    """What both ways say of a line. They agree wherever the fast one says anything, and the text holds no thought."""
    plain = READ[vendor](line)
    if plain is not None and thoughts.behind(plain[1]) is plain[1]:
        assert plain == as_plain(parsing.read_row(line, registry.get(vendor).decode))
    whole = taught(vendor)
    for _ in range(2):  # before and after the fields of this line are known
        read = whole(line)
        assert read == plain if plain and files.is_plain(line) else read is None
    return plain


def taught(vendor):
    """A reader of whole rows that knows the fields of the rows here."""
    whole = whole_rows.reader(vendor)
    for name, row in ROWS:
        assert name != vendor or whole(orjson.dumps(row))
    return whole


def places(value, path=()):
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in pairs:
        yield from places(member, (*path, key))


def planted(row, path, value):
    row = copy.deepcopy(row)
    if not path:
        return value
    inside = row
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return row


_ODD = [
    None, True, False, 0, -1, 1, 7, 200, 200.0, 1.5, 404, MOST, MOST + 1, 2**63, 2**70, "", " ", "x", "9", "response",
    "refusal", "content_filter", "error", "MAX_TOKENS", "SAFETY", "length", "text", "output_text", "<think>x</think>y",
    "<think>", "[THINK]", "\u2028é😀\0", _TEXT, [], {}, [{}], {"text": "x", "type": "text"}, {"message": "no"},
]  # fmt: skip
_VALUES = st.sampled_from(_ODD) | st.recursive(
    st.sampled_from(_ODD[:20]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "type", "code"]), inner),
    max_leaves=4,
)
_SCRAPS = [
    b"", b" ", b"\r\n", b"\t", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"\xed\xa0\x80", b"\x00",
    b"\xc3\xa9", b"1e400", b"9" * 400, b"NaN", b"-", b"null", b"true", b"\\u0041", b"\\ud800", b"\\ud83d\\ude00",
    b'"a":1,', b'"error":null,', b'"error":{},', b'"usage":null,', b'"custom_id":"x",', b'"object":"response",',
    b'"output":[],', b'"thought":1,', b'"text":null,', b'"content":[],', b"\xef\xbb\xbf", b'"a":' + b"[" * 300, b"1.0",
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "row"), ROWS)
def test_usual_rows_are_read_the_fast_way(vendor, row):
    line = json.dumps(row, ensure_ascii=False).encode()
    assert both(vendor, line)
    assert both(vendor, line + b"\n") == both(vendor, b" \t" + orjson.dumps(row) + b" ")


@given(data=st.data())
def test_any_value_in_any_place_means_the_same_both_ways(data):
    vendor, row = data.draw(st.sampled_from(ROWS))
    for _ in range(data.draw(st.integers(1, 2))):
        path, value = data.draw(st.sampled_from(sorted(places(row), key=repr))), data.draw(_VALUES)
        row = planted(row, path, value)
    both(vendor, json.dumps(row, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass"))


@given(data=st.data())
def test_any_bytes_mean_the_same_both_ways(data):
    vendor, row = data.draw(st.sampled_from(ROWS))
    line = orjson.dumps(row)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        end = min(len(line), start + data.draw(st.integers(0, 12)))
        line = line[:start] + data.draw(st.sampled_from(_SCRAPS) | st.binary(max_size=3)) + line[end:]
    both(vendor, line)


@pytest.mark.parametrize("vendor", sorted(READ))
def test_what_only_the_tolerant_way_reads_is_left_to_it(vendor):
    line = orjson.dumps(next(row for name, row in ROWS if name == vendor))
    for odd in (b"", b"[]", b"{}", b"\xef\xbb\xbf" + line, line[:-1], line[:-1] + b',"x":"\xff"}', line + line):
        assert both(vendor, odd) is None
    assert reader("import") is whole_rows.reader("import") is None


def test_rows_with_further_fields_are_read_whole_once_these_are_known(monkeypatch):
    whole = taught("openai")
    row = _chat(further={"a": [1, 2.5, [], {"b": None}], "c d": True, "class": "x", "deep": [[["y"]]]}, more=None)
    later = _chat(further={"a": [{"b": "text", "e": 1}, False], "c d": 1e300}, more=[{}])
    for line in map(orjson.dumps, (row, later)):
        assert whole(line)
    monkeypatch.setattr(files, "loads", None)  # nothing is left to it
    for one in (_chat(), row, later, _chat(more=[]), _RESPONSES):
        assert whole(orjson.dumps(one))
    monkeypatch.undo()
    for number in range(40):  # every row has a field of its own: the reader gives up learning
        assert whole(orjson.dumps(_chat(**{f"x{number}": number})))


_THINKING = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "[THINK]",
            "[/THINK]",
            "◁think▷",
            "<|channel|>",
            "final<|message|>",
            "<|end|>",
            "<answer>",
            "</answer>",
            "analysis",
            "{",
            "}",
            "'",
            " , ",
            "<|channel>thought",
            "a: ",
            "```",
        ]
    ),
    max_size=5,
).map("".join)
_FLAGS = kinds.get("riddle").SCHEMA
_SCHEMAS = [strict("a", {"justification": "string", "answer": "string"}), _FLAGS, strict("b", {"ok": "boolean"})]
_WORDS = ["justification", "answer", "ok", *_FLAGS.schema["properties"]]
_PIECES = ["{", "}", "[", "]", ",", ":", '"', "\\", "\\u0061nswer", " ", "\n", "true", "false", "null", "1", "1.5", "é"]


@given(
    schema=st.sampled_from(_SCHEMAS),
    value=st.dictionaries(
        st.sampled_from(_WORDS), st.booleans() | st.sampled_from(["x", "answer", "\n", "é", "$\\b$"]) | _THINKING
    ),
    scraps=st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 9), st.sampled_from(_PIECES + _WORDS) | _THINKING), max_size=3
    ),
)
def test_an_answer_that_passes_is_strict(schema, value, scraps):
    text = json.dumps(value, ensure_ascii=False)
    for start, length, piece in scraps:
        text = text[:start] + piece + text[start + length :]
    if strict_answers(schema)(text):
        assert parsing.parse(text, schema).parsed is Parsed.STRICT
        assert parsing.parse_verdict(text, schema).parsed is Parsed.STRICT
        assert thoughts.behind(text) is text  # nobody asks then


def test_answers_as_they_were_asked_for_pass():
    is_strict = strict_answers(_SCHEMAS[0])
    assert is_strict(_TEXT)
    assert not is_strict(_TEXT.replace("Because", r"\text{Because}"))
    assert not is_strict('{"answer": "1", "justification": "", "answer": "2"}')
    assert strict_answers(strict("a", {"score": "number"})) is None
    assert strict_answers(strict("a", {"not a name": "string"})) is None


_ASKED = {"custom_id": "3-0123abcd-q3", "rule": "exact", "reference": "42", "answer": "4\u20ac"}
_compared = compared()


@given(
    st.dictionaries(
        st.sampled_from([*_ASKED, "references", "columns"]), st.text() | st.none() | st.integers(0, 9) | st.just(["a"])
    ),
    st.sampled_from(["", " ", "\n", "\ufeff", "\x00", "}"]),
    st.booleans(),
)
def test_a_line_for_a_rule_is_read_as_json_reads_it_or_left_to_it(more, end, is_whole):
    asked = (_ASKED | more) if is_whole else more
    line = orjson.dumps(asked) + end.encode()
    if (row := _compared(line)) is not None:
        assert row == tuple(files.loads(line)[name] for name in _ASKED)
        assert files.loads(line).keys() == _ASKED.keys()
    if asked.keys() == _ASKED.keys() and set(map(type, asked.values())) == {str} and not end.strip():
        assert row is not None


@given(st.binary(max_size=8))
def test_a_broken_line_for_a_rule_is_left_to_the_reader_that_says_what_is_wrong(data):
    whole = orjson.dumps(_ASKED)
    for line in (data, whole[:-1] + data, whole.replace(b"42", data)):
        if (row := _compared(line)) is not None:
            assert row == tuple(files.loads(line)[name] for name in _ASKED)
