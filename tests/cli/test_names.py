"""Names: whole, by handle, by their beginning; found from any folder of the project; completed by a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from helpers import docs
from helpers.commands import dataset

from batchflow.cli import completion
from batchflow.cli.cards.base import columns
from batchflow.cli.main import cli
from batchflow.cli.program import project_above
from batchflow.tasks import choice, registry

RULES = "rule:exact,rule:numeric"
HEAVY = {"sqlalchemy", "rich", "scipy", "numpy", "openai", "anthropic", "mistralai", "groq", "together", "httpx"}


def test_a_handle_or_a_beginning_stands_for_a_name_in_every_command(vendor):
    said = vendor.project.ok
    made = vendor.prepare("riddles-one")
    number = said("show", made)["status"]["handle"]
    assert re.fullmatch(r"@\d+", number)
    assert said("start", "riddles-o")["name"] == made
    assert said("get", number, "--refresh-after", 0)["name"] == made
    assert said("get", "@last", "riddles", "--wait")["batches"][1]["name"] == made
    assert said("results", "rid")["name"] == made
    jury = said("jury", "@last", "--judges", RULES, "--wait")
    assert [judge["handle"] for judge in jury["batches"]] == ["@2", "@3"]
    assert said("score", "@last")["name"] == said("score", "judge_riddles-one_by_rule_n")["name"] == made
    assert said("show", "@2")["status"]["name"] == "judge_riddles-one_by_rule_exact"
    assert "every request is answered" in vendor.project.refused(2, "retry", "@last")
    assert "nothing is running" in vendor.project.refused(2, "cancel", "riddles")
    assert f"riddles-one ({number})" in vendor.project.run("show", "@last").out


def test_a_beginning_that_several_names_have_lists_them_but_retries_are_not_in_its_way(vendor):
    vendor.fault("errors", call="job", fraction=1.0)
    for name in ("ab", "abc"):
        vendor.finished(name)
    vendor.project.ok("retry", "ab")
    err = vendor.project.refused(4, "show", "a")
    assert "2 batches have a name that begins with 'a'" in err
    assert "ab (@1), abc (@2)" in err
    assert vendor.project.ok("show", "ab")["status"]["name"] == "ab"
    assert vendor.project.ok("show", "abc")["status"]["name"] == "abc"
    assert "no batch has the handle '@9'" in vendor.project.refused(4, "get", "@9")
    assert "no batch is named 'A'" in vendor.project.refused(4, "get", "A")


def test_delete_takes_no_name_that_means_another_batch_when_it_is_typed_again(vendor):
    vendor.prepare("one")
    vendor.prepare("one-more")
    for text in ("one-", "@last"):
        assert "did you mean one-more (@2)?" in vendor.project.refused(4, "delete", text)
    assert vendor.project.ok("delete", "@2")["names"] == ["one-more"]
    vendor.project.refused(4, "delete", "@2")
    assert [row["name"] for row in vendor.project.ok("list")["batches"]] == ["one"]


def test_the_project_is_looked_for_upwards_and_never_in_a_strangers_folder(project, monkeypatch):
    below = project.folder / "a" / "b"
    below.mkdir(parents=True)
    assert project_above(below) == project.folder
    (below / "batchflow.toml").write_text("")
    assert project_above(below) == below
    (below / "batchflow.toml").unlink()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert project_above(below) == below


@pytest.mark.parametrize(
    "words", [("list",), ("show", "x"), ("get", "x"), ("score",), ("ledger", "check"), ("cancel", "x")]
)
def test_commands_that_only_read_make_no_ledger(project, words):
    project.run(*words)
    assert not (project.folder / "batchflow.db").exists()


def test_every_table_fits_80_columns_and_folds_what_does_not(vendor):
    names = [f"{'a-very-long-name-of-a-batch' * 2}-{number}" for number in (1, 2)]
    for name in names:
        vendor.prepare(name)
    judges = ("--judges", RULES, "--wait")
    both = tuple(names)
    for words in (
        ("start", *both), ("get", *both, "--refresh-after", 0), ("results", *both), ("jury", names[0], *judges),
        ("jury", names[1], *judges), ("list",), ("score",), ("compare", *both),
    ):  # fmt: skip
        ran = vendor.project.run(*words)
        table = ran.out.partition("\n\n")[2].partition("note:")[0].partition("next:")[0]
        assert max(map(len, table.splitlines())) <= 80, (words, table)
        assert "very-long" in table, ran


def test_a_table_that_cannot_be_folded_into_its_width_puts_the_names_on_lines_of_their_own():
    row = ("1", "n" * 90, "71.2", "65.1 – 77.3", "1,000/1,000", "12", "3 (1 unparsed)", "60.0 – 80.0", "0.71")
    head = ("#", "batch", "score", "95 % interval", "judged", "unparsed", "lost votes", "bounds", "alpha")
    lines = columns.lines((head, row), 80)
    assert max(map(len, lines)) <= 80
    assert "".join(lines).replace(" ", "").count("n" * 90) == 1
    assert any("71.2   65.1 – 77.3    1,000/1,000  12" in line for line in lines)


def completed(folder, *words):
    """What a shell offers for the last of these words."""
    made = ShellComplete(cli, {}, "batchflow", "_BATCHFLOW_COMPLETE")
    return [item.value for item in made.get_completions(["--project", str(folder), *words[:-1]], words[-1])]


def test_a_shell_completes_names_providers_models_tasks_judges_and_columns(vendor):
    vendor.finished("riddles-one")
    offered = lambda *words: completed(vendor.project.folder, *words)  # noqa: E731
    assert offered("get", "ri") == offered("jury", "ri") == ["riddles-one"]
    assert offered("get", "@") == ["@1", "@last"]
    assert offered("get", "riddles-one", "") == []
    assert offered("prepare", "--provider", "an") == ["anthropic"]
    assert "gpt-6-luna" in offered("prepare", "--provider", "openai", "--model", "")
    assert not any(word.startswith("claude") for word in offered("prepare", "--provider", "openai", "--model", ""))
    assert offered("prepare", "--task", "") == list(registry.TASKS) == list(completion._TASKS)
    assert offered("jury", "x", "--judges", "rule:exact,rule:num") == ["rule:exact,rule:numeric"]
    assert "gemini:gemini-4-carbon" in offered("jury", "x", "--judges", "gemini:")
    assert offered("jury", "x", "--kind", "ri") == ["riddle"]
    assert offered("score", "--by", "cat") == offered("compare", "--cluster", "cat") == ["category"]
    data = dataset(vendor.project.folder / "own.jsonl", [{"q": "1?", "gold": "1"}])
    assert offered("prepare", "--dataset", str(data), "--map", "question=q,reference=g") == [
        "question=q,reference=gold"
    ]
    assert set(choice.FIELDS) == set(completion._FIELDS)
    assert offered("st") == ["start"]


def test_every_argument_that_is_a_name_of_a_batch_is_completed():
    arguments = [
        (words, param)
        for words in docs.every_command()
        for param in docs.command_of(words).params
        if isinstance(param, click.Argument) and param.name in {"name", "names", "target", "targets"}
    ]
    assert {words[0] for words, _ in arguments} >= {"export", "report", "labels", "estimate", "show"}
    others = {("engine", "install"), ("engine", "stop"), ("ledger", "backup"), ("ledger", "copy")}  # engines and files
    assert [words for words, param in arguments if param._custom_shell_complete is None and words not in others] == []


def test_completion_makes_no_ledger_and_stays_silent_without_one(tmp_path):
    assert completed(tmp_path, "get", "") == []
    assert list(tmp_path.iterdir()) == []


def test_the_script_that_a_shell_loads_completes_and_imports_nothing_heavy(project):
    script = project.run("completion", "bash").out
    assert "_BATCHFLOW_COMPLETE=bash_complete" in script
    dataset(project.folder / "d.jsonl")
    project.ok("prepare", "--provider", "openai", "--dataset", "d.jsonl", "--name", "b-one")
    environment = {
        **os.environ,
        "_BATCHFLOW_COMPLETE": "bash_complete",
        "COMP_WORDS": "batchflow get b",
        "COMP_CWORD": "2",
    }
    code = (
        "import sys\nfrom batchflow.cli.main import main\nsys.argv = ['batchflow']\n"
        "try:\n main()\nfinally:\n sys.stderr.write(' '.join(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.split() == ["plain,b-one"]
    assert {name for name in HEAVY if name in ran.stderr.split()} == set()
