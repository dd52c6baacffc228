"""docs/features.md: each row names a command and a test that exist; those of the first table run as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from helpers.commands import Project
from helpers.jsonl import write
from helpers.pipeline import rehearsed

from batchflow.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
RIDDLES = ROOT / "batchflow/tasks/data/riddles_llm.jsonl"
_ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)
_ASKING = {"start", "get", "results", "jury"}  # vendors are asked by a process of its own


class Row(NamedTuple):
    number: int
    feature: str
    works: str
    commands: list[str]
    why: str
    test: str


def table(text):
    cells = [(int(number), [cell.strip() for cell in rest.split("|")]) for number, rest in _ROW.findall(text)]
    return [
        Row(number, feature, works, re.findall(r"`([^`]+)`", commands), why, test.strip("` "))
        for number, (feature, works, commands, why, test) in cells
    ]


FIRST, _, REST = (ROOT / "docs/features.md").read_text("utf-8").partition("## MixEval")
LAYTON, OTHERS = table(FIRST), table(REST)


def test_every_row_has_a_verdict_a_command_and_a_test():
    assert [row.number for row in LAYTON] == list(range(1, 28))
    assert [row.number for row in OTHERS] == list(range(1, 52))
    for row in (*LAYTON, *OTHERS):
        assert row.works in {"yes", "in part", "no"}, row
        assert row.why or row.works == "yes", row
        assert row.commands, row
        assert (ROOT / row.test).exists(), row


@pytest.mark.parametrize("row", [*LAYTON, *OTHERS], ids=lambda row: row.feature)
def test_every_command_and_flag_exists(row):
    for text in row.commands:
        words = shlex.split(text)
        assert words[0] in COMMANDS, row
        command = cli.get_command(click.Context(cli), words[0])
        if isinstance(command, click.Group):
            command = command.commands[words[1]]
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        assert [word for word in words if word.startswith("-") and word not in known] == [], row


def test_the_first_table_runs_from_its_first_row_to_its_last(tmp_path):
    with rehearsed(tmp_path / "vendors") as vendors:
        project = Project(tmp_path / "project", dict(vendors.environment))
        riddles = [json.loads(line) for line in RIDDLES.read_text("utf-8").splitlines()[:3]]
        answer = '```json\n{"justification": "j", "answer": "%s"}\n```'
        write(
            project.folder / "fenced.jsonl",
            [{"custom_id": row["id"], "answer": answer % row["answer"], "model": "m"} for row in riddles],
        )
        labels = [
            {"custom_id": row["id"], "provider": "openai", "model": "gpt-6-luna", "human_both_correct": True}
            for row in riddles
        ]
        write(project.folder / "labels.jsonl", labels)
        documents, waiting = {}, list[str]()
        for row in LAYTON:
            for text in row.commands:
                if text.split()[0] in _ASKING and ":normalised" not in text:
                    waiting.append(text)
                    continue
                if waiting:
                    project.outside(*waiting)
                    waiting.clear()
                ran = project.run(*shlex.split(text))
                assert ran.code == 0, (row.number, ran)
                documents[text] = ran.out
    assert "{'score': " in documents["score a --field-name is_answer_correct --plus-minus"]
    assert "rank spread" in documents["score a v"]
    assert "Hints shown:" in documents[LAYTON[2].commands[0]]
    assert "3 repaired" in documents["import predictions fenced.jsonl --task riddles --provider openai"]
    assert len((project.results / "a.raw.jsonl").read_bytes().splitlines()) == 12
