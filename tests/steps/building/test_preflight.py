"""A model that is not on this machine: `prepare` tells it, `start` refuses before anything is made."""

from __future__ import annotations

import pytest
from helpers.commands import dataset

MISSING = ("--provider", "local", "--model", "./nowhere.gguf", "--dataset", "data.jsonl", "--name", "b")


@pytest.fixture(autouse=True)
def data(project):
    dataset(project.folder / "data.jsonl")


def test_is_told_on_the_card_and_refused_by_start_with_nothing_made(project):
    notes = project.ok("prepare", *MISSING)["notes"]
    assert [note for note in notes if note.startswith("this machine cannot start it") and "no such model file" in note]
    said = project.refused(8, "start", "b")
    assert f"{project.folder}/nowhere.gguf: no such model file" in said
    assert "what to do" in said
    assert [job["state"] for job in project.ok("show", "b")["status"]["jobs"]] == ["prepared"]
    assert not (project.folder / "processed_files" / ".local").exists()


def test_is_told_no_more_once_it_is_there(project):
    project.ok("prepare", *MISSING)
    (project.folder / "nowhere.gguf").write_bytes(b"GGUF")
    made = project.ok("prepare", *MISSING)
    assert not [note for note in made["notes"] if "cannot start" in note]


@pytest.mark.parametrize("engine", ["hf", "openvino", "vllm"])
def test_an_engine_that_is_elsewhere_stops_no_prepare(project, engine):
    notes = project.ok("prepare", *MISSING[:2], "--engine", engine, "--model", "org/model", *MISSING[4:])["notes"]
    assert [note for note in notes if f"the engine {engine}" in note and "pip install" in note]
    assert "pip install" in project.refused(8, "start", "b")


def test_a_name_that_the_embedded_engine_knows_nowhere_makes_no_batch(project):
    said = project.refused(2, "prepare", *MISSING[:2], "--model", "gpt-6-luna", *MISSING[4:])
    assert "knows no model 'gpt-6-luna'" in said
    assert not (project.folder / "processed_files").exists() or not project.ok("list")["batches"]


def test_a_server_is_asked_nothing(project):
    made = project.ok("prepare", *MISSING, "--base-url", "http://127.0.0.1:9/v1")
    assert not [note for note in made["notes"] if "cannot start" in note]


def test_a_judge_is_held_to_the_same(project):
    project.ok("import", "predictions", predictions(project), "--provider", "openai", "--model", "m", "--name", "p",
               "--dataset", "data.jsonl")  # fmt: skip
    said = project.refused(2, "jury", "p", "--judges", "local:gpt-6-luna")
    assert "knows no model 'gpt-6-luna'" in said
    assert "no such model file" in project.run("jury", "p", "--judges", "local:./nowhere.gguf", "--start").err


def predictions(project):
    path = project.folder / "mine.jsonl"
    path.write_text('{"custom_id": "r1", "answer": {"justification": "so", "answer": "x"}}\n')
    return path
