import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import DataError
from batchflow.local.base import templates
from batchflow.local.base.transport import Reply
from batchflow.local.job import rows
from batchflow.local.job.job_dir import Rows
from batchflow.local.job.rows import Fate, Row, judge

ROW = Row(3, "3-abc", b"{}", 10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["choices", "error"]), inner)
    ),
)


def reply(status, body, head=b""):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, head, raw)


CHOICE = {"choices": [{"message": {"content": "x"}}]}


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (200, CHOICE, Fate.ANSWERED),
        (200, {"choices": []}, Fate.TRY_AGAIN),
        (200, b"<html>", Fate.TRY_AGAIN),
        (200, {"choices": [None]}, Fate.TRY_AGAIN),
        (200, {"choices": [{"finish_reason": "stop"}]}, Fate.TRY_AGAIN),
        (200, {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}, Fate.TRY_AGAIN),
        (200, {"object": "error", "message": "m"}, Fate.TRY_AGAIN),
        (200, {"object": "error", "message": "m", "code": 400}, Fate.REFUSED),
        (200, {"error": {"message": "m", "code": 401}}, Fate.DENIED),
        (200, {"error": {"message": "m", "code": 429}}, Fate.BUSY),
        (200, {"error": {"message": "m", "code": 200}}, Fate.TRY_AGAIN),
        (200, {"error": {"message": "m", "code": "400"}}, Fate.TRY_AGAIN),
        (301, b"", Fate.FORBIDDEN),
        (400, {}, Fate.REFUSED),
        (401, {"error": "Unauthorized"}, Fate.DENIED),
        (402, {}, Fate.DENIED),
        (403, {}, Fate.DENIED),
        (404, {}, Fate.FORBIDDEN),
        (408, {}, Fate.TRY_AGAIN),
        (413, {}, Fate.REFUSED),
        (422, {}, Fate.REFUSED),
        (429, {}, Fate.BUSY),
        (499, {}, Fate.TRY_AGAIN),
        (500, {}, Fate.TRY_AGAIN),
        (501, {}, Fate.REFUSED),
        (503, {}, Fate.TRY_AGAIN),
        (529, {}, Fate.TRY_AGAIN),
    ],
)
def test_only_the_status_decides(status, body, fate):
    assert judge(reply(status, body)).fate is fate


def test_a_wish_makes_503_a_busy_one():
    verdict = judge(reply(503, {}, b"http/1.1 503 x\r\nretry-after: 4"))
    assert (verdict.fate, verdict.wait_s) == (Fate.BUSY, 4.0)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "words", "type": "t", "code": 400}},
        {"object": "error", "message": "words", "code": 400},
        {"error": "words"},
        {"detail": "words"},
        {"error": {"error": {"message": "words"}}},
        b"  words\n ",
    ],
)
def test_the_servers_words_are_found_in_every_shape(body):
    assert judge(reply(400, body)).why == "HTTP 400: words"


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({"message": {"content": "x"}, "finish_reason": "stop"}, True),
        ({"text": "x", "finish_reason": "length"}, True),
        ({"message": {"content": [{"type": "text", "text": "x"}]}}, True),
        ({"message": {"content": ""}, "finish_reason": "stop"}, False),
        ({"message": {"content": None, "reasoning_content": "hm"}}, False),
        ({"message": {"content": "x"}, "finish_reason": "parse_error"}, False),
        ({"message": {"content": "<think>\nhm"}, "finish_reason": "length"}, False),
        ({"message": {"content": "\n<think>\nhm"}, "finish_reason": "length"}, False),
        ({"message": {"content": "<think>\nhm</think>\n"}, "finish_reason": "stop"}, False),
        ({"message": {"content": "<think>\nhm</think>x"}}, True),
        ({"message": {"content": "x"}, "finish_reason": {"reason": "stop"}}, True),
        ({"message": {"content": "x"}, "finish_reason": ["abort"]}, True),
    ],
)
def test_only_an_answer_is_worth_keeping(choice, kept):
    verdict = judge(reply(200, {"choices": [choice]}))
    assert (verdict.fate, verdict.has_answer) == (Fate.ANSWERED, kept)


def test_a_thought_that_the_prompt_has_opened_is_marked():
    assert templates.load("r1").opens_thought

    def said(text, finish_reason):
        choice = {"text": text, "finish_reason": finish_reason}
        return judge(reply(200, {"choices": [choice]}), thinks=True).body["choices"][0]["message"]["content"]

    assert said("hm</think>x", "stop") == "<think>\nhm</think>x"
    assert said("hm", "length") == "<think>\nhm"
    assert said("x", "stop") == "x"  # the model does not think: nothing was cut off


def test_a_success_without_an_answer_is_not_told_as_another_status():
    line = json.loads(rows.finished_line(ROW, judge(reply(200, {"object": "error", "message": "odd"}))))
    assert line["response"] is None
    assert line["error"] == {"code": "no_reply", "message": "HTTP 200 without an answer: odd"}


MESSAGE = st.fixed_dictionaries({"content": JSON}) | JSON
CHOICES = st.fixed_dictionaries({}, optional={"message": MESSAGE, "text": JSON, "finish_reason": JSON})
CHAT = st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)}, optional={"usage": JSON})


@given(st.integers(200, 599), JSON | CHAT | st.binary(max_size=40))
def test_any_reply_gets_a_fate_and_a_line(status, body):
    verdict = judge(reply(status, body))
    line = json.loads(rows.finished_line(ROW, verdict))
    assert (line["id"], line["custom_id"]) == ("local-3", "3-abc")
    failed = line["error"] is not None or line["response"]["status_code"] >= 400
    assert failed == (verdict.fate is not Fate.ANSWERED)
    assert verdict.tokens >= 0
    assert len(verdict.trouble) < 3000


@pytest.mark.parametrize("depth", [100, 260, 900, 5000])
def test_a_reply_nested_without_end_is_no_disaster(depth):
    raw = b'{"choices":[{"message":{"content":"x"}}],"x":' + b"[" * depth + b"]" * depth + b"}"
    for status in (200, 500):
        rows.finished_line(ROW, judge(reply(status, raw)))


def test_rows_are_read_in_order_without_those_that_are_done(tmp_path):
    path = tmp_path / "in.jsonl"
    lines = [json.dumps({"custom_id": f"c{i}", "body": {"n": i, "temperature": i}}) for i in range(4)]
    path.write_text("\n\n".join(lines) + "\n")
    done = Rows(4)
    done.add(1, failed=False)
    found = list(rows.unfinished(path, done, None))
    assert [(row.index, row.custom_id, row.fixed) for row in found] == [
        (0, "c0", True),
        (2, "c2", False),
        (3, "c3", False),
    ]


@pytest.mark.parametrize("bad", ["{", "[]", '{"custom_id":"x"}', '{"custom_id":"x","body":5}'])
def test_a_broken_line_is_named(tmp_path, bad):
    path = tmp_path / "in.jsonl"
    path.write_text('{"custom_id":"a","body":{}}\n' + bad + "\n")
    with pytest.raises(DataError, match="row 2"):
        list(rows.unfinished(path, Rows(9), None))


def test_more_rows_than_the_job_has_is_told(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"custom_id":"a","body":{}}\n' * 3)
    with pytest.raises(DataError, match="row 3"):
        list(rows.unfinished(path, Rows(2), None))


def test_a_picture_is_no_text_completion():
    parts = [{"type": "image_url", "image_url": {"url": "data:x"}}]
    with pytest.raises(TypeError, match="chat mode"):
        rows.completion({"messages": [{"role": "user", "content": parts}]}, templates.load("chatml"))


@pytest.mark.parametrize(("name", "kept"), [("r1", False), ("internthinker", False), ("qwen", True), ("chatml", True)])
def test_a_template_that_thinks_is_not_bound_to_the_schema_from_its_first_token_on(name, kept):
    body = {"messages": [{"role": "user", "content": "q"}], "response_format": {"type": "json_schema"}}
    assert ("response_format" in rows.completion(body, templates.load(name))) is kept
    assert "response_format" in body


def test_the_longest_row_sizes_the_context(tmp_path):
    path = tmp_path / "in.jsonl"
    body = {"messages": [{"role": "user", "content": "x" * 4000}], "max_tokens": 100}
    path.write_text(json.dumps({"custom_id": "a", "body": body}) + "\n")
    assert 2000 + 100 <= rows.longest(path, 8192) <= 3000
    assert rows.longest(path, 1024) == 1024
