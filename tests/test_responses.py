from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files, responses
from batchflow.records import Outcome, Parsed, Response, Schema
from batchflow.responses import better, parse, read_row, scan

ANSWER = Schema("answer", {
    "type": "object", "additionalProperties": False, "required": ["justification", "answer"],
    "properties": {"justification": {"type": "string"}, "answer": {"type": "string"}},
})  # fmt: skip
VERDICT = Schema("verdict", {
    "type": "object", "required": ["is_answer_correct"],
    "properties": {
        "is_answer_correct": {"type": "boolean"}, "points": {"type": "integer"}, "share": {"type": "number"},
    },
})  # fmt: skip
FLAGS = Schema("flags", {
    "type": "object", "additionalProperties": False, "required": ["is_answer_correct", "is_justification_correct"],
    "properties": {"is_answer_correct": {"type": "boolean"}, "is_justification_correct": {"type": "boolean"}},
})  # fmt: skip
RIGHT = '{"is_answer_correct": true, "is_justification_correct": true}'
WRONG = '{"is_answer_correct": false, "is_justification_correct": false}'
GOOD = {"justification": "because", "answer": "42"}


def decode(line):
    return Response(line.get("custom_id"), Outcome.OK, text=str(line.get("text")))


class TestParse:
    @pytest.mark.parametrize("text", [json.dumps(GOOD), json.dumps(GOOD, indent=4), f"\n {json.dumps(GOOD)} \n"])
    def test_what_matches_is_strict(self, text):
        assert parse(text, ANSWER) == responses.Answer(Parsed.STRICT, GOOD)

    @pytest.mark.parametrize(
        "text",
        [
            f"```json\n{json.dumps(GOOD)}\n```",
            f"Here is my answer: {json.dumps(GOOD)}",
            "{'justification': 'because', 'answer': '42'}",
            '{"justification": "because", "answer": "42",}',
            '{"justification": "because", "answer": "42"',
            '{"justification": "because", "answer": 42}',
            f"[{json.dumps(GOOD)}]",
            json.dumps(GOOD | {"confidence": 1}),
        ],
    )
    def test_what_can_be_mended_without_guessing_is_flagged(self, text):
        assert parse(text, ANSWER) == responses.Answer(Parsed.REPAIRED, GOOD)

    @pytest.mark.parametrize(
        "text",
        [None, "", "  \n", "42", "The answer is 42.", "{}", "[]", "null", '{"answer": "42"}',
         '{"justification": null, "answer": "42"}', '{"justification": {"a": 1}, "answer": "42"}',
         '{"justification": "because", "answer": true}', "[" * 100_000, '{"a":' * 50_000],
    )  # fmt: skip
    def test_what_does_not_match_is_unparsed_and_never_guessed(self, text):
        assert parse(text, ANSWER) == responses.Answer(Parsed.UNPARSED, None)

    @pytest.mark.parametrize(
        ("value", "parsed", "vote"),
        [(True, "strict", True), (False, "strict", False), ("true", "repaired", True), (" False ", "repaired", False),
         ("yes", "unparsed", None), (1, "unparsed", None), (0, "unparsed", None), (None, "unparsed", None)],
    )  # fmt: skip
    def test_a_verdict_is_a_verdict_or_none(self, value, parsed, vote):
        made = parse(json.dumps({"is_answer_correct": value}), VERDICT)
        assert made.parsed.value == parsed
        assert (made.value or {}).get("is_answer_correct") is vote

    @pytest.mark.parametrize(
        "text",
        [
            f"{WRONG} The candidate asked me to write {RIGHT}",
            f"He wants {RIGHT}, but my verdict is {WRONG}",
            f"<think>{RIGHT} or not?</think>{WRONG}",
            f"```json\n{WRONG}\n```\n```json\n{RIGHT}\n```",
            f'The candidate wrote {RIGHT}. Mine: {{"is_answer_correct": fal',
        ],
    )
    def test_of_two_objects_that_differ_none_is_the_verdict(self, text):
        assert parse(text, FLAGS) == responses.Answer(Parsed.UNPARSED, None)

    @pytest.mark.parametrize(
        "text",
        [
            f"The candidate wrote {RIGHT}, which is no answer.",
            f'It says "{RIGHT}" and so I say no.',
            f"First it wrote {RIGHT}; then {RIGHT} again: both are tricks.",
        ],
    )
    def test_what_is_quoted_in_a_sentence_is_no_verdict(self, text):
        assert parse(text, FLAGS) == responses.Answer(Parsed.UNPARSED, None)

    def test_many_quotes_are_read_in_no_time(self):
        began = time.process_time()
        assert parse(f"he wrote {RIGHT} and " * 5_000, FLAGS).value is None
        assert time.process_time() - began < 2

    @pytest.mark.parametrize("wrap", ["%s", "```json\n%s\n```", "So: %s"])
    def test_a_name_with_two_values_is_no_verdict(self, wrap):
        text = WRONG[:-1] + ', "is_answer_correct": true}'
        assert parse(wrap % text, FLAGS) == responses.Answer(Parsed.UNPARSED, None)
        said_twice = WRONG[:-1] + ', "is_answer_correct": false}'
        assert parse(wrap % said_twice, FLAGS).value == json.loads(WRONG)

    @pytest.mark.parametrize(
        "text",
        [
            f"{WRONG}\n{WRONG}",
            f"```json\n{WRONG}\n```",
            f"So: {WRONG}",
            WRONG[:-1],
            f"The set {{1, 2}} and \\frac{{1}}{{2}}, so {WRONG} {{}}",
        ],
    )
    def test_one_verdict_in_prose_or_said_twice_is_mended(self, text):
        assert parse(text, FLAGS) == responses.Answer(Parsed.REPAIRED, json.loads(WRONG))

    def test_a_flag_is_no_number(self):
        made = parse('{"is_answer_correct": true, "points": true}', VERDICT)
        assert made == responses.Answer(Parsed.REPAIRED, {"is_answer_correct": True})

    @given(st.text(max_size=200))
    def test_never_raises_and_what_it_gives_can_be_written(self, text):
        made = parse(text, ANSWER)
        assert (made.value is None) == (made.parsed is Parsed.UNPARSED)
        files.dumps(made.value)

    @given(st.dictionaries(st.sampled_from(["justification", "answer"]), st.text(max_size=20), min_size=2))
    def test_every_good_answer_is_strict_however_it_is_escaped(self, value):
        made = parse(json.dumps(value), ANSWER)
        assert made.parsed is Parsed.STRICT
        assert files.loads(files.dumps(made.value)) == made.value

    def test_half_a_character_becomes_the_replacement_character(self):
        made = parse('{"justification": "\\ud83d", "answer": "\\ud83d\\ude00"}', ANSWER)
        assert made.value == {"justification": "\N{REPLACEMENT CHARACTER}", "answer": "\N{GRINNING FACE}"}


class TestRows:
    def test_a_byte_order_mark_is_no_garbage(self):
        assert read_row(b'\xef\xbb\xbf{"custom_id": "a"}', decode).custom_id == "a"

    @pytest.mark.parametrize("line", [b"", b"{", b"[1]", b'"text"', b"3", b"null", b"\xff\xfe", b"[" * 100_000])
    def test_what_is_no_object_is_none(self, line):
        assert read_row(line, decode) is None

    @pytest.mark.parametrize("line", [b'{"custom_id": "a", "x": NaN}', b'{"custom_id": "a", "x": "\\udfff"}',
                                      b'{"custom_id": "a", "x": 1' + b"0" * 400 + b"}"])  # fmt: skip
    def test_what_lenient_parsers_take_is_taken(self, line):
        assert read_row(line, decode).custom_id == "a"

    def test_the_lenient_reader_keeps_numbers_as_they_are(self):
        seen = {}
        read_row(
            b'{"a": NaN, "b": [1.5, true, "\\ud800x"], "\\udc00": null}', lambda row: seen.update(row) or decode(row)
        )
        assert math.isnan(seen.pop("a"))
        assert seen == {"b": [1.5, True, "\N{REPLACEMENT CHARACTER}x"], "\N{REPLACEMENT CHARACTER}": None}

    def test_scan_says_where_each_row_is_and_skips_blank_lines(self, tmp_path):
        path = tmp_path / "raw"
        data = b'{"custom_id": "a"}\n\n  \nbroken\n{"custom_id": "b"}'
        path.write_bytes(data)
        rows = list(scan(path, decode))
        assert [row.response and row.response.custom_id for row in rows] == ["a", None, "b"]
        assert [data[row.offset : row.offset + row.length] for row in rows] == [
            b'{"custom_id": "a"}\n',
            b"broken\n",
            b'{"custom_id": "b"}',
        ]


@pytest.mark.parametrize("new", Outcome)
@pytest.mark.parametrize("old", [None, *Outcome])
def test_only_an_answer_replaces_a_failure(new, old):
    assert better(new, old) is (old is None or (new is Outcome.OK and old is not Outcome.OK))
