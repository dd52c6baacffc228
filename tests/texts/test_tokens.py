"""Tokens by the models' own tokenizers: counted as published, and never guessed for a model that is not known."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.commands import dataset
from helpers.rehearsed import rehearsed

from batchflow.texts import tokens


@pytest.mark.parametrize(
    ("model", "text", "count"),
    [
        ("gpt-5-mini", "tiktoken is great!", 6),  # tiktoken's README, o200k_base
        ("openai/gpt-oss-20b", "hello world", 2),
        ("Qwen/Qwen3-8B", "hello world", 2),
    ],
)
def test_a_known_model_counts_as_its_tokenizer_does(model, text, count):
    counted = tokens.counter(model)
    assert counted is not None
    assert counted(text) == count


@pytest.mark.parametrize(
    "model", ["gpt-6-luna", "claude-haiku-5-5", "gemini-4-carbon", "mistral-small-2603", "o11", ""]
)
def test_no_other_tokenizer_stands_in_for_a_model_that_is_not_known(model):
    assert tokens.counter(model) is None


def test_an_estimate_counts_where_it_can_and_says_so(tmp_path):
    with rehearsed(tmp_path, name="groq") as up:
        rows = dataset(up.project.folder / "d.jsonl", count=12).name
        flags = ("--provider", "groq", "--model", "openai/gpt-oss-20b", "--dataset", rows, "--max-tokens", "3000")
        told = up.project.ok("prepare", *flags, "--name", "b")["estimate"]
        assert told["basis"][0] == "input: counted by the model's tokenizer"
        assert told["input_high"] < 2 * told["input_low"]
        up.project.ok("start", "b")
        up.project.run("get", "b", "--refresh-after", 0)
        assert told["input_low"] <= sum(row["input_tokens"] for row in up.site.bill()) <= told["input_high"]
        plain = up.project.ok("prepare", "--provider", "local", "--dataset", rows, "--name", "own")["estimate"]
        assert "no tokenizer" in plain["basis"][0]


def test_nothing_is_loaded_before_something_is_counted():
    script = (
        "import sys; from batchflow.texts import tokens; tokens.counter('gpt-6-luna'); print('quicktok' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
