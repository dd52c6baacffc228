"""A task file goes to a score: the example of docs/tasks.md, word for word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()


@pytest.fixture
def own(vendor):
    """The rehearsed vendor's project with the files of the page."""
    del vendor.project.environment["BATCHFLOW_TASK"]
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    for name, text in re.findall(r"`(capitals\.\w+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL):
        (vendor.project.folder / name).write_text(text)
    return vendor.project


def test_the_example_of_the_page_runs(own):
    (block,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    ran = [own.run(*words, "--json", *(["--refresh-after", 0] if words[0] == "get" else [])) for words in commands]
    assert [each.code for each in ran] == [0] * 6, [each.err for each in ran]
    made, scored = ran[0].json, ran[-1].json
    assert (made["task"], made["template"], made["extract"]) == ("capitals", "task:capitals", ["strip_thoughts"])
    assert {row["group"] for row in scored["groups"]["continent"]} == {"Africa", "America", "Asia", "Europe"}
    assert (scored["interval"]["n_clusters"], scored["metric"], scored["judge_kind"]) == (2, "mean", "correctness")
    sent = own.rows("processed_files/capitals.jsonl")
    assert "Which city is the capital of France?" in str(sent[0])
    assert "Continent: Europe" in str(sent[0])
    assert "Paris" not in str(sent[0])


def test_the_record_is_enough_and_another_word_is_another_batch(own):
    words = ("prepare", "--task", "capitals.toml", "--provider", "openai", "--model", "gpt-6-luna", "--name", "b")
    own.ok(*words)
    file = own.folder / "capitals.toml"
    text = file.read_text()
    file.write_text(text.replace("Which city", "What city"))
    assert "taken by another batch; task_facts" in own.refused(2, *words)
    file.unlink()
    own.ok("start", "b")
    own.ok("get", "b", "--refresh-after", 0)
    own.ok("results", "b", "--layout", "csv")
    own.ok("jury", "b", "--judges", "openai:gpt-6-sol", "--wait", "--refresh-after", 0)
    assert own.ok("score", "b", "--by", "source")["groups"].keys() == {"source"}
