"""import outputs: the output files of each vendor, with their error rows, become a batch."""

from __future__ import annotations

import json

import pytest
from helpers.commands import Project
from helpers.jsonl import write

from batchflow.settings import VENDORS


def chat(custom_id, text):
    body = {"id": "c", "model": "m-1", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def chat_error(custom_id):
    body = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    return {"id": "r", "custom_id": custom_id, "response": {"status_code": 400, "body": body}, "error": None}


def anthropic(custom_id, text):
    message = {"id": "r", "model": "m-1", "stop_reason": "end_turn", "content": [{"type": "text", "text": text}]}
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}


def anthropic_error(custom_id):
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}


def gemini(custom_id, text):
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return {"key": custom_id, "response": {"modelVersion": "m-1", "candidates": [candidate]}}


def gemini_error(custom_id):
    return {"key": custom_id, "error": {"code": 3, "message": "too long"}}


ROWS = dict.fromkeys(VENDORS, (chat, chat_error)) | {
    "anthropic": (anthropic, anthropic_error), "gemini": (gemini, gemini_error),
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    del made.environment["BATCHFLOW_TASK"]
    (made.folder / "q.csv").write_text("id,question,reference\na,One?,1\nb_2,Two?,2\nc,Three?,3\n")
    return made


@pytest.mark.parametrize("name", VENDORS)
def test_output_files_of_each_vendor_become_a_batch(project, name):
    answered, failed = ROWS[name]
    write(project.folder / "out.jsonl", [answered("a", "1"), answered("b_2", "<think>2?</think>3")])
    write(project.folder / "errors.jsonl", [failed("c")])
    words = ("import", "outputs", "out.jsonl", "errors.jsonl", "--provider", name.title(), "--dataset", "q.csv")
    report = project.ok(*words)
    assert (report["name"], report["model"], report["provider"]) == ("out", "m-1", name)
    assert report["outcomes"] == {"ok": 2, "error": 1}
    rows = project.rows("results/out.jsonl")
    assert [(row["custom_id"], row["answer"]) for row in rows] == [("a", "1"), ("b_2", "3"), ("c", None)]
    assert "too long" in rows[2]["error"]
    assert project.ok(*words)["new"] is False
    project.ok("jury", "out", "--judges", "rule:exact", "--wait")
    assert project.ok("score", "out", "--unanswered", "exclude")["score"] == 0.5


def test_ids_that_this_program_gave_lead_to_their_items_sample_by_sample(project):
    ids = ["0-0badcafe-a", "2-0badcafe-b-2", "1-0badcafe-a", "3-0badcafe-b-2"]
    write(project.folder / "out.jsonl", [chat(custom_id, str(n)) for n, custom_id in enumerate(ids)])
    project.ok("import", "outputs", "out.jsonl", "--provider", "openai", "--dataset", "q.csv")
    rows = project.rows("results/out.jsonl")
    assert [(row["custom_id"], row["sample"], row["answer"]) for row in rows] == [
        ("a", 0, "0"), ("a", 1, "2"), ("b_2", 0, "1"), ("b_2", 1, "3"), ("c", 0, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([json.dumps(chat("a", "1")), "{torn"], "out.jsonl, line 2"),
        ([json.dumps({"custom_id": "", "response": None})], "out.jsonl, line 1: this is no row of openai's output"),
        ([json.dumps(anthropic("zz", "1"))], "out.jsonl, line 1"),
        ([json.dumps(chat("zz", "1"))], "items that q.csv does not have in split all: zz"),
        ([json.dumps(chat("a", "1")), json.dumps(chat("a", "2"))], "item a is answered twice"),
        ([json.dumps(chat_error("a"))], "answers of 0 models"),
    ],
)
def test_what_is_no_output_is_refused_by_file_and_line(project, lines, says):
    (project.folder / "out.jsonl").write_text("\n".join(lines) + "\n")
    ran = project.run("import", "outputs", "out.jsonl", "--provider", "openai", "--dataset", "q.csv")
    assert ran.code in {2, 3}
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert project.ok("list")["batches"] == []
