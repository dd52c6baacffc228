"""batchling's commands, each on this program: a batch of a processed file, from its creation to its deletion."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import pytest

from batchflow.cli import batchling

NAMED = ("create", "--name", "x", "--provider", "openai")


@pytest.fixture
def call(vendor):
    """`batchling WORDS` in the project's folder: exit code, stdout, stderr."""

    def run(*words):
        out, err, before = io.StringIO(), io.StringIO(), (sys.argv, dict(os.environ))
        sys.argv = ["batchling", *map(str, words)]
        os.environ.update(vendor.project.environment)
        with contextlib.chdir(vendor.project.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                batchling.main()
                code = 0
            except SystemExit as left:
                code = left.code or 0
            finally:
                sys.argv = before[0]
                os.environ.clear()
                os.environ.update(before[1])
        return code, out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def processed(vendor):
    """A file of requests in OpenAI's format, as layton-eval left one: its custom_ids are the riddles' ids."""
    vendor.prepare("a")
    rows = vendor.project.rows("processed_files/a.jsonl")
    text = (vendor.project.folder / "processed_files/a.jsonl").read_text("utf-8")
    for row in rows:
        text = text.replace(row["custom_id"], row["custom_id"].rpartition("-")[2])
    path = vendor.project.folder / "benchmark_openai_m_llm_hints_0.jsonl"
    path.write_text(text, "utf-8")
    return path


def test_a_batch_from_creation_to_deletion(vendor, call, processed):
    name = "m_llm_hints_0"
    create = (
        "create",
        "--name",
        name,
        "--model",
        "gpt-6-luna",
        "--provider",
        "OpenAI",
        "--endpoint",
        "/v1/chat/completions",
    )
    data = ("--dataset", vendor.project.folder / "a-data.jsonl")
    paths = ("--processed-file-path", processed.name, "--results-file-path", f"results/{name}.jsonl")
    code, out, err = call(*create, *data, *paths, "--title", "Two, no hints", "--description", "as in March", "--start")
    assert code == 0, err
    assert f"next: batchflow get {name}" in out
    made = vendor.project.ok("show", name)["made"]
    assert (made["title"], made["description"]) == ("Two, no hints", "as in March")
    assert call("get", name, "--wait", "--refresh-after", 0)[0] == 0
    assert call("results", name)[0] == 0
    assert [row["custom_id"] for row in vendor.project.rows(f"results/{name}.jsonl")] == ["r1", "r2", "r3", "r4"]
    lines = [line.split() for line in call("list", "-o", "name", "-d")[1].splitlines() if "@" in line]
    assert [words[1] for words in lines] == [name, "a"]
    assert call("update", name, "--title", "")[0] == 0
    assert vendor.project.ok("show", name)["made"]["title"] is None
    assert call("delete", name)[0] == 0
    assert [batch["name"] for batch in vendor.project.ok("list")["batches"]] == ["a"]
    assert call("version") == (0, "batchflow 0.2.0\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("creat",), "No such command 'creat'"),
        (("list", "-o", "uid"), "'uid' is not one of 'created_at'"),
        (("get", "nobody"), "no batch is named 'nobody'"),
        (("update", "a"), "nothing is to be changed"),
        (("update", "a", "--model", "m"), "No such option '--model'"),
        (("create", "--name", "x"), "Missing option '--provider'"),
        ((*NAMED, "--processed-file-path", "no.jsonl"), "`batchflow prepare`"),
        ((*NAMED, "--api-key", "sk-1"), "OPENAI_API_KEY"),
        (
            (*NAMED, "--processed-file-path", "a-data.jsonl", "--results-file-path", "elsewhere.jsonl"),
            "are written to results/x.jsonl",
        ),
    ],
)
def test_what_cannot_be_done_is_told(vendor, call, words, says):
    vendor.prepare("a")
    code, out, err = call(*words)
    assert code in {2, 4}, err
    assert says in err
    assert out == ""


def test_every_command_explains_itself(call):
    for verb in ("", "create", "list", "get", "start", "results", "update", "delete", "version"):
        code, out, _ = call(*filter(None, (verb,)), "--help")
        assert code == 0
        assert "batchflow" in out
