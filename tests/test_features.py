"""docs/features.md: each row names a command and a test that exist; the commands run as they stand but for ports."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from helpers import compass
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


FREE = {
    "problem_type": "free-form", "context": None, "prompt": "Who wrote Emma?", "target": ["Jane Austen", "Austen"],
    "benchmark_name": "TriviaQA",
}  # fmt: skip
CHOICE = {
    "problem_type": "multiple-choice", "context": None, "prompt": "2 + 2?", "options": ["3", "4"], "target": [1],
    "benchmark_name": "MMLU",
}  # fmt: skip
SUITE = '[[data]]\ndataset = "sums.csv"\ntask = "qa"\n[[data]]\nname = "again"\ndataset = "sums.csv"\ntask = "qa"\n'
WAITING = {
    "jury": " --wait --refresh-after 0",
    "get": " --refresh-after 0",
    "results": " --refresh-after 0",
    "run": " --refresh-after 0",
}


def mixevals_data(folder):
    """Both versions of the tables: a question with two references, and one with options."""
    for half in ("2024-06-01/mixeval", "2024-08-11/mixeval-hard"):
        place = folder / f"mix_eval/data/mixeval-{half}"
        place.mkdir(parents=True)
        rows = {
            "free-form": {**FREE, "benchmark_name": "TriviaQA"},
            "multiple-choice": {**CHOICE, "benchmark_name": "MMLU"},
        }
        for kind, row in rows.items():
            (place / f"{kind}.json").write_text(json.dumps({"0": row}))
    (folder / "ids.txt").write_text("ff-0\n")


def at(command, urls):
    """A command whose servers are those of the test."""
    for port, url in urls.items():
        command = command.replace(f"http://127.0.0.1:{port}", url.removesuffix("/v1"))
    return command


def test_the_tables_of_mixeval_and_of_opencompass_run_from_their_first_row_to_their_last(tmp_path):
    with (
        rehearsed(tmp_path / "vendors", judge_error=0.0) as vendors,
        serving("own") as own,
        serving("internlm3-8b") as model,
        serving("CompassVerifier-32B") as verifier,
        serving("judge", {"reasons": "so", "is_correct": True}) as judge,
    ):
        project = Project(tmp_path / "project", dict(vendors.environment) | compass.caches(tmp_path))
        mixevals_data(project.folder)
        (project.folder / "sums.csv").write_text("question,reference\n1 + 1?,2\n2 + 2?,5\n")
        (project.folder / "s.toml").write_text(SUITE)
        own.text = lambda body: "Austen" if "Emma" in json.dumps(body) else "B" if "2 + 2" in json.dumps(body) else "2"
        model.text, verifier.text = compass.reply, compass.verdict
        asked = f"--provider local --base-url {own.url} --model own"
        local = f"{asked} --task qa --dataset sums.csv"
        project.outside(
            *(f"prepare --name {name} {local} --samples {samples}" for name, samples in (("a", 4), ("b", 1), ("c", 1))),
            f"prepare --name m {asked} --task mixeval --data mix_eval/data/mixeval-2024-06-01",
            f"prepare --suite s.toml --name s {asked}", "start m b s", "get m b s --wait --refresh-after 0",
            "results m", "results b", "results s", "jury s --judges rule:exact --wait",
            within=True,
        )  # fmt: skip
        commands = []
        for row in OTHERS[:26]:
            if row.number == 2:
                commands += ["get a --wait --refresh-after 0", "results a"]
            for text in row.commands:
                verb = text.split()[0]
                urls = {"23333": model.url, "8000": judge.url if verb == "jury" else verifier.url}
                commands.append(at(text, urls) + WAITING.get(verb, ""))
        commands.append("get c --wait --refresh-after 0")  # no worker may outlive its server
        documents = dict(zip(commands, project.outside(*commands, within=True), strict=True))
        items = project.run(*shlex.split(OTHERS[26].commands[0]))
    halves = documents["score m --by source --legacy-overall"]["groups"]["half"]
    assert {row["group"]: row["score"] for row in halves} == {"free-form": 1.0, "multiple-choice": 1.0}
    assert documents["score a --metric pass@4"]["score"] == 1.0  # the judge on the server finds all answers right
    runs = [document["rows"] for command, document in documents.items() if command.startswith("run ")]
    assert [[row["score"] for row in rows] for rows in runs] == [[100.0], [], [100.0]]
    assert (project.folder / "summary.csv").exists()
    header, *rows = csv.reader(items.out.splitlines())
    assert ([row[header.index("verdict of compass-verifier-cot@openai:gpt-6-luna")] for row in rows]) == [
        *["right"] * 4, *["wrong"] * 4,
    ]  # fmt: skip
