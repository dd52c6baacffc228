"""Requests in a vendor's own form, as layton-eval left them in processed_files/, become batches that can be started."""

from __future__ import annotations

import json

import pytest
from helpers.commands import Project
from helpers.jsonl import write
from helpers.pipeline import rehearsed

from batchflow.rehearsal.faults import Fault
from batchflow.settings import VENDORS
from batchflow.tasks import registry as tasks
from batchflow.vendors import registry

SCHEMA = tasks.get("riddles").ANSWER.schema


def rows(project, count=12):
    """Requests as layton-eval wrote them for OpenAI, in an order of their own: the custom_id is the riddle's."""
    project.ok("prepare", "--name", "shape", "--provider", "openai", "--model", "gpt-6-luna", "--limit", count)
    lines = project.rows("processed_files/shape.jsonl")
    return [line | {"custom_id": line["custom_id"].split("-", 2)[2]} for line in reversed(lines)]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture
def brought(project):
    path = project.folder / "processed_files/benchmark_openai_gpt-6-luna_llm_hints_0.jsonl"
    return write(path, rows(project))


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "-x", "ü", "x y", "x" * 151])
def test_a_name_that_is_no_file_name_is_refused(project, brought, name):
    before = project.files()
    said = project.refused(2, "import", "requests", brought, "--provider", "openai", f"--name={name}")
    assert "cannot be a file name" in said or "not safe in a path" in said
    assert project.files() == before
    assert not list(project.folder.parent.glob("x.*"))


def test_bodies_are_sent_as_they_are_under_ids_of_the_batch(project, brought):
    before = brought.read_bytes()
    report = project.ok("import", "requests", brought, "--provider", "openai")
    name = f"{brought.stem}_imported"
    assert (report["name"], report["model"], report["requests"]) == (name, "gpt-6-luna", 12)
    assert report["next"] == f"batchflow start {name}"
    theirs = {row["custom_id"]: row for row in project.rows(f"processed_files/{brought.name}")}
    ours = project.rows(report["files"][0])
    for row in ours:
        own = theirs[row["custom_id"].split("-", 2)[2]]
        assert {**row, "custom_id": own["custom_id"]} == own
    assert [row["custom_id"].split("-", 1)[0] for row in ours] == [str(n) for n in range(12)]
    assert brought.read_bytes() == before
    assert not project.ok("import", "requests", brought, "--provider", "openai")["new"]
    brought.write_bytes(before.replace(b"Question", b"Riddle"))
    assert "brought_sha256" in project.refused(2, "import", "requests", brought, "--provider", "openai")


def test_such_a_batch_goes_all_the_way_and_what_has_no_answer_is_asked_again(project, brought, tmp_path):
    name = f"{brought.stem}_imported"
    fault = Fault(vendor="openai", call="job", kind="missing", fraction=0.5)
    with rehearsed(tmp_path / "vendors", fault) as vendors:
        project.environment.update(vendors.environment)
        *_, report = project.outside(
            f"import requests {brought} --provider openai",
            f"start {name}",
            f"get {name} --wait --refresh-after 0",
            f"results {name}",
            f"retry {name}",
        )
        again = project.rows(report["files"][0])
        project.outside(
            f"start {report['name']}",
            f"get {report['name']} --wait --refresh-after 0",
            f"results {report['name']}",
            f"jury {name} --judges rule:exact --wait",
        )
    theirs = {row["custom_id"]: row for row in project.rows(f"processed_files/{brought.name}")}
    assert len(again) == 6
    assert all(row["body"] == theirs[row["custom_id"].split("-", 2)[2]]["body"] for row in again)
    project.ok("results", name)
    got = project.rows(f"results/{name}.jsonl")
    assert {row["custom_id"] for row in got} == set(theirs)
    assert all(row["outcome"] == "ok" for row in got)
    assert project.ok("score", name)["n_judged"] == 12


def test_a_retry_needs_the_file_as_it_was(project, brought, tmp_path, monkeypatch):
    name = f"{brought.stem}_imported"
    fault = Fault(vendor="openai", call="job", kind="missing", fraction=0.5)
    with rehearsed(tmp_path / "vendors", fault) as vendors:
        project.environment.update(vendors.environment)
        project.outside(
            f"import requests {brought} --provider openai",
            f"start {name}",
            f"get {name} --wait --refresh-after 0",
            f"results {name}",
        )
        brought.write_bytes(brought.read_bytes() + b"\n")
        for variable, value in vendors.environment.items():
            monkeypatch.setenv(variable, value)
        assert "was changed since it was prepared" in project.refused(3, "retry", name)
        brought.unlink()
        assert "is gone" in project.refused(3, "retry", name)


@pytest.mark.parametrize("provider", VENDORS)
def test_the_forms_are_those_that_are_written_here(project, provider):
    model = {"mistral": "mistral-small-2603"}.get(provider, "m")
    project.ok("prepare", "--name", "own", "--provider", provider, "--model", model, "--limit", 2)
    shape = registry.get(provider).LINE
    line = project.rows("processed_files/own.jsonl")[0]
    assert isinstance(line[shape.asked], dict)
    assert ("url" in line) is shape.has_url
    items = [row | {shape.id: row[shape.id].split("-", 2)[2]} for row in project.rows("processed_files/own.jsonl")]
    report = project.ok(
        "import", "requests", write(project.folder / "theirs.jsonl", items), "--provider", provider, "--model", model
    )
    made = project.rows(report["files"][0])
    assert [row[shape.asked] for row in made] == [row[shape.asked] for row in items]
    assert all(row[shape.id] != item[shape.id] for row, item in zip(made, items, strict=True))


def test_anthropics_beta_field_is_moved_and_said(project):
    row = {"custom_id": "theirs", "params": {"model": "claude-opus-4-5", "max_tokens": 10, "messages": []}}
    row["params"]["output_format"] = {"type": "json_schema", "schema": SCHEMA}
    path = write(project.folder / "theirs.jsonl", [row])
    data = write(project.folder / "data.jsonl", [{"id": "theirs", "description": "q", "answer": "a"}])
    report = project.ok("import", "requests", path, "--provider", "anthropic", "--dataset", data)
    sent = project.rows(report["files"][0])[0]["params"]
    assert sent["output_config"] == {"format": row["params"]["output_format"]}
    assert "output_format" not in sent
    assert any("output_format was moved" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("change", "words", "code", "says"),
    [
        ({"custom_id": None}, (), 3, "line 1: it has no custom_id"),
        ({"body": {"model": "other", "messages": []}}, (), 3, "asks for several models: gpt-6-luna, other"),
        ({"body": {"model": "gpt-6-luna", "messages": ["is_justification_correct"]}}, (), 2, "a question to a judge"),
        ({"custom_id": "elsewhere"}, (), 3, "about items that builtin:riddles"),
        ({"url": "/v2/other"}, (), 3, "asks for several urls"),
        ({"url": None}, (), 3, "field url: it is missing"),
        ({}, ("--model", "gpt-5.1"), 2, "asks for gpt-6-luna, not for gpt-5.1"),
        ({}, ("--provider", "anthropic"), 3, "it looks like --provider openai or mistral or together or groq"),
    ],
)
def test_what_cannot_be_brought_is_refused_by_line(project, change, words, code, says):
    made = rows(project, 3)
    made[0] |= change
    path = write(project.folder / "x.jsonl", made)
    provider = () if "--provider" in words else ("--provider", "openai")
    assert says in project.refused(code, "import", "requests", path, *provider, *words)
    assert [batch["name"] for batch in project.ok("list")["batches"]] == ["shape"]


def test_a_line_twice_and_a_model_that_nobody_names(project):
    made = rows(project, 3)
    path = write(project.folder / "x.jsonl", [*made, made[0]])
    assert "asked about twice" in project.refused(3, "import", "requests", path, "--provider", "openai")
    nameless = [{"custom_id": row["custom_id"], "body": {"messages": []}} for row in made]
    path = write(project.folder / "y.jsonl", nameless)
    assert "--model" in project.refused(2, "import", "requests", path, "--provider", "mistral")


@pytest.mark.parametrize("words", [("import", "predictions"), ("score",)])
def test_requests_where_answers_belong_are_recognised(project, brought, words):
    said = project.refused(3, *words, brought)
    assert "this is a request to a vendor, not an answer" in said
    assert "batchflow import requests" in said
    assert json.loads(brought.read_text().splitlines()[0])["body"]
