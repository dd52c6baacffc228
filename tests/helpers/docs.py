"""Makes docs/cli.md from the commands' help, docs/schemas/ from the reports' types, the diagram of docs/states.md.

Run it as `python tests/helpers/docs.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # for a run of this file

from helpers import schemas

from batchflow import states
from batchflow.cli.main import COMMANDS, cli

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# Commands

Every command takes `--json` (one document on stdout; progress and errors on stderr) and `--help`. The last line of a
card is the next command to type. This page is generated from `--help` by `python tests/helpers/docs.py`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | an unexpected error; a log file is named |
| 2 | the command line or a setting is wrong |
| 3 | a data set, answer or result file is broken; file, line and field are named |
| 4 | the ledger cannot be opened, is newer than the program, or has no such batch |
| 5 | a vendor refused, or could not be reached |
| 6 | a person has to decide; nothing was sent again |
| 7 | not finished yet; the same command works later |
| 8 | a local engine cannot be started, or answers wrongly |
| 130 | interrupted |

Options are taken from the command line, else from the environment (`BATCHFLOW_MODEL`, ...), else from `[prepare]` in
`batchflow.toml`. Without a provider, `prepare` takes the only vendor whose key is set; without any key, the embedded
local engine; with several keys, it asks you to choose.
"""


def every_command() -> list[tuple[str, ...]]:
    """All commands and subcommands by their words, the program itself first."""
    found: list[tuple[str, ...]] = [()]
    for name in COMMANDS:
        command = command_of((name,))
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in sorted(command.commands)]
    return found


def command_of(words: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None
        command = inner
    return command


def _help(words: tuple[str, ...]) -> str:
    """A command's help as a terminal of 100 columns shows it."""
    flags = cli.context_settings["help_option_names"]
    context = click.Context(cli, info_name="batchflow", terminal_width=100, help_option_names=flags)
    for depth in range(1, len(words) + 1):
        inner = command_of(words[:depth])
        context = click.Context(inner, parent=context, info_name=words[depth - 1], terminal_width=100)
    return context.command.get_help(context)


def cli_page() -> str:
    """docs/cli.md."""
    parts = [HEAD]
    for words in every_command():
        title = " ".join(("batchflow", *words))
        parts.append(f"## {title}\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(parts)


def states_page(page: str) -> str:
    """docs/states.md with its diagram made anew."""
    return re.sub(r"```mermaid\n.*?\n```", lambda _: f"```mermaid\n{states.diagram()}\n```", page, flags=re.DOTALL)


if __name__ == "__main__":
    schemas.write()
    (DOCS / "cli.md").write_text(cli_page(), "utf-8")
    (DOCS / "states.md").write_text(states_page((DOCS / "states.md").read_text("utf-8")), "utf-8")
