"""layton-eval's guide, word for word: its commands, flags and file names, on this program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import warm
from helpers.jsonl import write
from helpers.pipeline import rehearsed

SCRIPTS = Path(__file__).parents[2] / "scripts"
RIDDLES = SCRIPTS.parent / "batchflow/tasks/data/riddles_llm.jsonl"


@pytest.fixture
def call(tmp_path):
    """Runs a command in an empty project folder; the program is the one under test."""
    environment = {
        **os.environ,
        "PATH": f"{warm.batchflow().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }

    def run(*words: object, ok: bool = True, **more: str) -> str:
        program = words[0] if words[0] in {"batchflow", sys.executable} else SCRIPTS / str(words[0])
        command = [str(word) for word in (program, *words[1:])]
        whole = {**environment, **more}
        done = subprocess.run(command, cwd=tmp_path, env=whole, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_the_guide_from_preparation_to_score(call, tmp_path, tmp_path_factory):
    with rehearsed(tmp_path_factory.mktemp("vendors")) as vendors:
        env = dict(vendors.environment)
        card = call(
            "prepare_benchmark_batch.sh", "--split", "llm", "--hints", "2", "--provider", "openai", "--model",
            "gpt-6-luna", "--max-tokens", "4000", "--thinking-level", "low", **env,
        )  # fmt: skip
        name = "openai_gpt-6-luna_llm_hints_2_thinking_low"
        assert card.splitlines()[-1] == f"next: batchflow start {name}"
        assert (tmp_path / f"processed_files/{name}.jsonl").exists()
        lines = (tmp_path / "raw_files/benchmark_llm_hints_2_max_tokens_4000.jsonl").read_text("utf-8").splitlines()
        raw = json.loads(lines[0])
        assert list(raw) == ["id", "system_prompt", "messages", "max_tokens"]
        assert [message["role"] for message in raw["messages"]] == ["user"]
        assert {part["type"] for part in raw["messages"][0]["content"]} == {"text"}
        call("batchflow", "start", name, **env)
        call("batchflow", "get", name, "--wait", "--refresh-after", "0", **env)
        call("batchflow", "results", name, **env)
        card = call("prepare_jury_batches.sh", "--results-file-path", f"results/{name}.jsonl", **env)
        judges = card.splitlines()[-1].removeprefix("next: batchflow start ").split()
        assert len(judges) == 3
        assert all(judge.startswith(f"judge_{name}_by_") for judge in judges)
        call("batchflow", "start", *judges, **env)
        call("batchflow", "get", *judges, "--wait", "--refresh-after", "0", **env)
        call("batchflow", "results", *judges, **env)
    files = sorted((tmp_path / "results").glob(f"judge_{name}_by_*.jsonl"))
    said = call("get_model_performance", "--judge-files", *files, "--field-name", "both_correct")
    assert "95 % interval" in said
    score, half = re.search(r"\{'score': ([\d.]+), '95% CI \(±\)': ([\d.]+)\}", said).groups()
    assert 0 < float(half) < float(score) < 100
    pattern = f"results/judge_{name}_by_*.jsonl"
    assert os.access(SCRIPTS / "get_model_performance.py", os.X_OK)
    assert said == call(sys.executable, SCRIPTS / "get_model_performance.py", "--judge-files", pattern)


def test_judge_files_of_ones_own(call, tmp_path):
    verdict = '{"is_answer_correct": true, "is_justification_correct": false}'
    for judge in "abc":
        write(
            tmp_path / f"judge_x_by_{judge}.jsonl",
            [{"custom_id": str(n), "answer": verdict, "model": judge} for n in range(30)],
        )
    said = call("get_model_performance", "--judge-files=ignored", ok=False)
    assert "has to exist" in said or "no batch is named 'ignored'" in said
    said = call(
        "get_model_performance",
        "--judge-files",
        "judge_x_by_*.jsonl",
        "--field-name",
        "is_answer_correct",
        "--seed",
        "1",
    )
    assert "100.0" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("prepare_benchmark_batch.sh", "--split", "llm"), "--hints is missing"),
        (("prepare_benchmark_batch.sh", "--colour", "red"), "unknown option --colour"),
        (("prepare_benchmark_batch.sh", "--split"), "--split needs a value"),
        (("prepare_jury_batch.sh",), "--results-file-path is missing"),
        (("get_model_performance", "--field-name", "both_correct"), "--judge-files is missing"),
    ],
)
def test_a_command_line_without_sense_is_told_the_usage(call, words, says):
    said = call(*words, ok=False)
    assert says in said
    assert "usage: " in said
    assert "usage: " in call(words[0], "--help")


@pytest.fixture
def program(tmp_path):
    """Puts a program in batchflow's place that runs these lines of shell; returns the PATH that finds it."""

    def replaced(lines: str) -> str:
        stub = tmp_path / "bin/batchflow"
        stub.parent.mkdir()
        stub.write_text(f"#!/bin/sh\n{lines}\n")
        stub.chmod(0o755)
        return f"{stub.parent}:{os.environ['PATH']}"

    return replaced


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ((), "local_m-1_llm_hints_0"),
        (("--provider", "anthropic"), "anthropic_m-1_llm_hints_0_nothinking"),
        (("--provider", "anthropic", "--thinking-budget", "32000"), "anthropic_m-1_llm_hints_0_thinking_32k"),
        (("--thinking-budget", "0"), "local_m-1_llm_hints_0_nothinking"),
        (("--thinking-budget=32000",), "local_m-1_llm_hints_0_thinking_32k"),
        (("--thinking-level", "high"), "local_m-1_llm_hints_0_thinking_high"),
    ],
)
def test_names_are_the_guides(call, program, flags, name):
    words = ("--split", "llm", "--hints", "0", "--provider", "local", "--model", "m.1", *flags)
    said = call("prepare_benchmark_batch.sh", *words, PATH=program('echo "$@"'))
    assert said.startswith(f"prepare --name {name} ")
    assert "--model m.1" in said


@pytest.fixture
def results_file(tmp_path):
    """A results file as layton-eval wrote it, about this program's own riddles."""
    answer = json.dumps({"justification": "j", "answer": "a"})
    items = [json.loads(line)["id"] for line in RIDDLES.read_text("utf-8").splitlines()][:30]
    rows = [{"id": f"x{item}", "custom_id": item, "answer": answer, "model": "m-1", "original": {}} for item in items]
    path = tmp_path / "results/benchmark_mistral_m-1_llm_hints_2.jsonl"
    path.parent.mkdir()
    return write(path, rows)


def test_a_results_file_of_the_guides_is_imported_before_its_jury_is_made(call, tmp_path, results_file):
    before = results_file.read_bytes()
    words = ("prepare_jury_batches.sh", "--results-file-path", f"results/{results_file.name}")
    card = call(*words, BATCHFLOW_TASK="riddles", MISTRAL_API_KEY="k" * 20)
    assert "--provider mistral --task riddles --split llm --hints 2" in card
    name = f"{results_file.stem}_imported"
    last = next(line for line in card.splitlines() if line.startswith("next: "))
    judges = last.removeprefix("next: batchflow start ").split()
    assert [judge.split("_by_")[0] for judge in judges] == [f"judge_{name}"] * 3
    assert not any("mistral" in judge.split("_by_")[1] for judge in judges)
    again = call(*words, BATCHFLOW_TASK="riddles", MISTRAL_API_KEY="k" * 20)
    assert last in again.splitlines()
    assert results_file.read_bytes() == before
    assert "no batch is named" in call("prepare_jury_batch.sh", "--results-file-path", "results/typo.jsonl", ok=False)


def test_a_file_that_cannot_be_imported_says_why(call, results_file):
    write(results_file, [{"custom_id": "nobody", "answer": "{}", "model": "m"}])
    said = call("prepare_jury_batch.sh", f"--results-file-path={results_file}", "--task", "riddles", ok=False)
    assert "nobody" in said
    assert "what to do" in said


def test_repair_by_hand_says_that_it_is_automatic(call, results_file):
    good, fenced = '{"justification": "j", "answer": "a"}', '```json\n{"justification": "j", "answer": 10}\n```'
    answers = [good, fenced, "I do not know", None, {"is_answer_correct": True, "is_justification_correct": False}]
    rows = [{"custom_id": str(n), "answer": answer, "model": "m"} for n, answer in enumerate(answers)]
    before = write(results_file, rows).read_bytes()
    said = call(sys.executable, SCRIPTS / "repair_jsonl_file.py", "--file-path", results_file)
    assert "5 rows; nothing was changed" in said
    counts = {line.split()[0]: line for line in said.splitlines()[1:]}
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["2", "1", "1", "1"]
    assert "as they have to be" in counts["2"]
    assert results_file.read_bytes() == before
    results_file.write_text('{"custom_id": "1"}\n{broken\n')
    assert "line 2" in call(sys.executable, SCRIPTS / "repair_jsonl_file.py", "--file-path", results_file, ok=False)


@pytest.mark.parametrize("flag", ["--thinking-budget", "--hints", "--max-tokens", "--thinking-level", "--model"])
@pytest.mark.parametrize("word", ["flags[$(touch pwned)0]", "`touch pwned`", "a[$(touch${IFS}pwned)]+1"])
def test_no_word_of_the_command_line_is_run(call, program, tmp_path, flag, word):
    given = {"--split": "llm", "--hints": "0", "--provider": "openai", "--model": "m", "--thinking-budget": "1"}
    given[flag] = word
    words = [part for pair in given.items() for part in pair]
    said = call("prepare_benchmark_batch.sh", *words, ok=False, PATH=program('printf "%s\\n" "$@"; exit 2'))
    assert not (tmp_path / "pwned").exists()
    assert ("is not a whole number" if flag == "--thinking-budget" else word) in said


@pytest.mark.parametrize(("budget", "ending"), [("16000", "16k"), ("512", "0k")])
def test_a_thinking_budget_is_named_in_thousands(call, budget, ending):
    said = call(
        "prepare_benchmark_batch.sh", "--split", "llm", "--hints", "0", "--provider", "gemini",
        "--model", "gemini-2.5-flash", "--thinking-budget", budget,
    )  # fmt: skip
    assert f"batchflow start gemini_gemini-2-5-flash_llm_hints_0_thinking_{ending}" in said
