from __future__ import annotations

import json

import pytest
from helpers.commands import Project


@pytest.mark.parametrize("tries", [0, 0.5])
def test_a_verb_is_called_once_however_few_tries_are_set(tmp_path, tries):
    project = Project(tmp_path, toml=f"[calls]\ntries = {tries}\n")
    answers = tmp_path / "mine.jsonl"
    answers.write_text(
        json.dumps({"custom_id": "llm-001", "answer": '{"justification": "x", "answer": "y"}', "model": "m"})
    )
    assert project.ok("import", "predictions", answers)["outcomes"]["ok"] == 1
