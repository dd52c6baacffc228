"""Files of requests that a vendor accepts as a batch and then refuses row by row: refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.jsonl import write

from batchflow.settings import VENDORS
from batchflow.vendors import registry

HERE = Path(__file__).parent
DATA = HERE / "a8-data.jsonl"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "What is 1 plus 1?"}]}
POSTED = {"custom_id": "q1", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}
RESPONSES = POSTED | {"url": "/v1/responses", "body": {"model": "m", "input": "What is 1 plus 1?"}}
BARE = {"custom_id": "q1", "body": CHAT}
CLAUDE = {"custom_id": "q1", "params": CHAT | {"max_tokens": 9}}
GEMINI = {"key": "q1", "request": {"contents": [{"parts": [{"text": "What is 1 plus 1?"}]}]}}
GOOD = dict.fromkeys(VENDORS, POSTED) | {"anthropic": CLAUDE, "gemini": GEMINI, "mistral": BARE, "together": BARE}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def refused(project, path, provider):
    said = project.refused(3, "import", "requests", path, "--provider", provider, "--model", "m", "--dataset", DATA)
    assert project.ok("list")["batches"] == []
    assert not list(project.folder.rglob("processed_files/*"))
    return said


@pytest.mark.parametrize(
    ("name", "provider", "says"),
    [
        ("a8-zzz25", "openai", "line 1, field method: it is missing, only ' method'"),
        ("a8-zzz25", "groq", "line 1, field method: it is missing, only ' method'"),
        ("a8-stream", "openai", "line 1, field body.stream: true is not taken in a batch"),
        ("a8-stream", "mistral", "line 1, field body.stream: true is not taken in a batch"),
        ("a8-anthropic1118", "anthropic", "line 1, field params.betas: it is a header's argument"),
    ],
)
def test_a_file_that_was_found(project, name, provider, says):
    said = project.refused(3, "import", "requests", HERE / f"{name}.jsonl", "--provider", provider, "--dataset", DATA)
    assert says in said
    assert "only after it accepted the batch" in said
    assert "change the file, see " in said


@pytest.mark.parametrize("provider", VENDORS)
def test_a_good_row_is_taken(project, provider):
    path = write(project.folder / "theirs.jsonl", [GOOD[provider]])
    report = project.ok("import", "requests", path, "--provider", provider, "--model", "m", "--dataset", DATA)
    assert report["requests"] == 1


def changed(row, key, value):
    asked = next(name for name in ("body", "params", "request") if name in row)
    if "." not in key:
        return {name: v for name, v in {**row, key: value}.items() if v is not None}
    return {
        **row,
        asked: {name: v for name, v in {**row[asked], key.partition(".")[2]: value}.items() if v is not None},
    }


@pytest.mark.parametrize(
    ("provider", "key", "value"),
    [
        ("openai", "method", "GET"), ("openai", "method", None), ("openai", "endpoint", "x"), ("openai", "model", "m"),
        ("openai", "body. stream", True), ("openai", "body.stream_options", {}), ("openai", "body.custom_id", "q1"),
        ("openai", "body.messages", None), ("openai", "body.extra_headers", {}),
        ("anthropic", "method", "POST"), ("anthropic", "params.stream", True), ("anthropic", "params.max_tokens", 0),
        ("anthropic", "params.max_tokens", None), ("anthropic", "params.speed", "fast"),
        ("anthropic", "params.response_format", {}), ("anthropic", "model", "m"),
        ("gemini", "custom_id", "q1"), ("gemini", "request.temperature", 0), ("gemini", "request.config", {}),
        ("gemini", "request.contents", None),
        ("mistral", "url", "/v1/responses"), ("mistral", "method", "GET"), ("mistral", "body.stream", True),
        ("mistral", "messages", []), ("together", "method", "FILE"), ("together", "body.stream", True),
        ("together", "body.url", "x"), ("groq", "method", "post"), ("groq", "body.timeout", 3),
        ("groq", "body.messages", None),
    ],
)  # fmt: skip
def test_what_a_vendor_refuses_later_is_refused_at_once(project, provider, key, value):
    path = write(project.folder / "theirs.jsonl", [changed(GOOD[provider], key, value)])
    assert f"line 1, field {key}: " in refused(project, path, provider)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"format": {"type": "json_schema", "schema": {}}}, "params.output_format: it is not what output_config"),
        ("x", "params.output_config: it is not an object"),
    ],
)
def test_a_schema_that_is_named_twice_and_unlike_is_refused(project, config, says):
    row = changed(GOOD["anthropic"], "params.output_format", {"type": "json_schema", "schema": {"type": "object"}})
    path = write(project.folder / "theirs.jsonl", [changed(row, "params.output_config", config)])
    assert f"line 1, field {says}" in refused(project, path, "anthropic")


def test_a_schema_that_is_named_twice_and_alike_is_sent_once(project):
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    row = changed(GOOD["anthropic"], "params.output_format", schema)
    path = write(project.folder / "theirs.jsonl", [changed(row, "params.output_config", {"format": schema})])
    made = project.ok("import", "requests", path, "--provider", "anthropic", "--model", "m", "--dataset", DATA)
    (sent,) = project.rows(made["files"][0])
    assert "output_format" not in sent["params"]
    assert sent["params"]["output_config"] == {"format": schema}


def test_the_responses_endpoint_needs_its_own_fields(project):
    path = write(project.folder / "theirs.jsonl", [changed(RESPONSES, "body.input", None)])
    assert "field body.input: it is missing" in refused(project, path, "openai")


def test_every_form_names_its_source():
    assert all("/" in form.source for form in (registry.get(name).LINE for name in VENDORS))
