"""docs/features.md: each row names a command and a test that exist; those of three tables run as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from helpers.commands import Project
from helpers.engine import serving
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


VERIFIERS = re.search(r"```python\n(.*?)```", (ROOT / "docs/verifiers.md").read_text("utf-8"), re.DOTALL)
ARENA = """\
question_file: question.jsonl
answers_gen:
  a: {{model_id_or_path: M, base_url: '{url}', output_file: a.jsonl}}
  b: {{model_id_or_path: M, base_url: '{url}', output_file: b.jsonl}}
reviews_gen:
  reviewer: {{args: {{model: M, provider: local, base_url: '{url}', position_bias_mitigation: swap_position}}}}
"""


def in_their_place(body):
    """A model, and a reviewer who finds the first answer to one question better, and the second one to another."""
    text = json.dumps(body)
    if "Answer A" in text:
        return "[[A]]" if "Why 1" in text else "[[B]]"
    if "Why" in text:
        return "because"
    return "<think>never ends" if "4 + 1" in text else "<think>so</think>It is [[3]]."


def test_the_tables_of_the_arena_and_of_internbootcamp_run_from_their_first_row_to_their_last(tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "data").mkdir()
    rows = [{"data_source": "Sum", "prompt": f"{n} + 1?", "ground_truth": {"terms": [n, 1]}} for n in range(1, 5)]
    write(project.folder / "data/sum.jsonl", rows)
    write(project.folder / "question.jsonl", [{"question_id": n, "text": f"Why {n}?"} for n in (1, 2)])
    (project.folder / "verifiers.py").write_text(VERIFIERS[1])
    documents = {}
    with serving("M") as engine:
        engine.text = in_their_place
        (project.folder / "cfg_arena.yaml").write_text(ARENA.format(url=engine.url))
        for row in OTHERS[27:]:
            for text in row.commands:
                words = shlex.split(text.replace("http://127.0.0.1:8000/v1", engine.url))
                documents[text] = project.ok(*words)
    won = documents["arena rate -c cfg_arena.yaml --method winrate"]
    assert ([row["ties"] for row in won["rows"]], won["agreement"], won["first_wins"]) == ([2, 2], 0.0, 0.5)
    assert documents["arena run -c cfg_arena.yaml --dry-run"]["batches"] == []
    assert documents["arena report -c cfg_arena.yaml"]["battles"] == 2
    assert documents["results a"]["outcomes"]["ok"] == 3
    assert documents["retry a"]["requests"] == 1
    tree = next((project.results / "internbootcamp").iterdir())
    assert {"details", "meta.jsonl", "eval_args.json", "progress.log"} <= {path.name for path in tree.iterdir()}
