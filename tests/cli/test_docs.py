"""The documents that are made from the program are those that it makes now."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers import docs

from batchflow.cli.examples import EXAMPLES
from batchflow.cli.main import COMMANDS, cli
from batchflow.ledger.models import METADATA
from batchflow.states import FINAL, MOVES, Event, State

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("words", docs.every_command(), ids=" ".join)
def test_every_command_explains_itself(words):
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0
    assert f"batchflow {' '.join(words)}".strip() in " ".join(done.output.split()).replace(
        "Usage: cli", "Usage: batchflow"
    )


@pytest.mark.parametrize("words", [words for words in docs.every_command() if words], ids=" ".join)
def test_every_command_shows_examples_that_can_be_typed(words, tmp_path, monkeypatch):
    command = docs.command_of(words)
    if isinstance(command, click.Group):
        return  # its commands have their own
    monkeypatch.chdir(tmp_path)
    for name in (
        "questions.csv",
        "eval.toml",
        "answers.jsonl",
        "requests.jsonl",
        "labels.jsonl",
        "cfg_arena.yaml",
        "suite.toml",
        "cfg.yaml",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "evaluation").mkdir()
    shown = EXAMPLES[" ".join(words)]
    assert all(line in CliRunner().invoke(cli, [*words, "--help"], terminal_width=200).output for line in shown)
    for line in shown:
        typed = shlex.split(line.rpartition("&& ")[2])
        assert typed[0] == "batchflow"
        if typed[1] == "--project":
            typed = [typed[0], *typed[3:]]
        assert tuple(typed[1 : 1 + len(words)]) == words
        command.make_context(
            "batchflow", typed[1 + len(words) :], parent=click.Context(cli)
        )  # raises where it is wrong


def test_the_table_of_commands_says_what_the_commands_say():
    """`--help` reads a table, so that it needs no import; each line is about an existing command."""
    for name, (_, text) in COMMANDS.items():
        command = cli.get_command(None, name)
        assert command is not None
        assert command.help
        assert text.endswith(".")


def test_cli_page_is_current():
    assert (DOCS / "cli.md").read_text("utf-8") == docs.cli_page(), "run: python tests/helpers/docs.py"


def test_json_page_is_current():
    assert (DOCS / "json.md").read_text("utf-8") == docs.json_page(), "run: python tests/helpers/docs.py"


def test_states_page_is_current():
    page = (DOCS / "states.md").read_text("utf-8")
    assert page == docs.states_page(page), "run: python tests/helpers/docs.py"
    for member in (*State, *Event):
        assert page.count(f"| `{member.value}` | {member.meaning} |") == 1
    for event, (befores, after) in MOVES.items():
        assert all(f"    {before.value} --> {after.value}: {event.value}\n" in page for before in befores)
    for final in FINAL:
        assert f"`{final.value}`" in page


def test_ledger_page_is_current():
    page = (DOCS / "ledger.md").read_text("utf-8")
    assert page == docs.ledger_page(page), "run: python tests/helpers/docs.py"
    for table in METADATA.sorted_tables:
        section = page.partition(f"\n### {table.name}\n")[2].partition("\n### ")[0]
        assert table.info["doc"] in section
        assert [column.name for column in table.columns] == re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert all(column.doc for column in table.columns), f"{table.name}: a column without `doc`"
    assert "| `state` | text(16) | where it stands: `prepared`, `starting`," in page
