"""Makes docs/cli.md from the commands' help, docs/schemas/ and docs/json.md from the reports' types, and the tables of
docs/states.md, with its diagram, and of docs/ledger.md.

Run it as `python tests/helpers/docs.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Float, Integer, String, Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # for a run of this file

from helpers import schemas

from batchflow import states
from batchflow.cli.main import COMMANDS, cli
from batchflow.ledger.columns import Count, UtcDateTime
from batchflow.ledger.models import METADATA

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
    """docs/states.md with its diagram and tables made anew."""
    page = re.sub(r"```mermaid\n.*?\n```", lambda _: f"```mermaid\n{states.diagram()}\n```", page, flags=re.DOTALL)
    for members, head in ((states.State, "state | means"), (states.Event, "event | happens when")):
        page = re.sub(
            rf"^\| {re.escape(head)} \|\n(\|.*\n)*", f"{states.table(members, head)}\n", page, flags=re.MULTILINE
        )
    return page


TYPES = {
    Boolean: "true or false",
    Count: "integer",
    Float: "number",
    Integer: "integer",
    JSON: "JSON",
    UtcDateTime: "time",
}
WORD = re.compile(r"(\w+) = '(\w+)'")
"""A column and a word that it may hold, in a CHECK's text (`columns.one_of`)."""


def ledger_page(page: str) -> str:
    """docs/ledger.md with its tables made anew: whatever begins with the first one's title."""
    head = page.partition("\n### ")[0]
    return "\n".join([head, *map(_table, METADATA.tables.values())])


def _table(table: Table) -> str:
    """A table of the ledger: what a row is, and each column with its type and what it holds."""
    words: dict[str, list[str]] = {}
    for check in table.constraints:
        if isinstance(check, CheckConstraint):
            for column, word in WORD.findall(str(check.sqltext)):
                words.setdefault(column, []).append(f"`{word}`")
    rows = []
    for column in table.columns:
        holds = ": ".join(filter(None, (column.doc, ", ".join(words.get(column.name, ())))))
        rows.append(f"| `{column.name}` | {_type(column)} | {holds} |")
    return "\n".join(
        [f"### {table.name}\n", f"{table.info['doc']}\n", "| column | type | holds |", "| --- | --- | --- |", *rows, ""]
    )


def _type(column: Column[Any]) -> str:
    """Type of a column with its part in keys, and whether it may be empty."""
    form = column.type
    name = "text" if not isinstance(form, String) or form.length is None else f"text({form.length})"
    name = "integer" if isinstance(form, BigInteger) else TYPES.get(type(form), name)
    keys = ["key"] if column.primary_key else ["unique"] if column.unique else []
    keys += [f"`{key.target_fullname}`" for key in column.foreign_keys]
    return ", ".join([name, *keys]) + (" or NULL" if column.nullable else "")


JSON_HEAD = """# JSON of the commands

Every command takes `--json` and prints one document on stdout. Below are its keys, generated by
`python tests/helpers/docs.py` from the types of the reports; `docs/schemas/` holds the same as JSON Schemas, and the
tests hold what is printed against them. New keys may come, old ones stay. A command has the same keys for one name,
for several, and for a suite: what is about one batch stands under `batches`, what is about the whole call at the top.
"""


def json_page() -> str:
    """docs/json.md."""
    parts = [JSON_HEAD]
    for name, schema in schemas.schemas().items():
        parts.append(f"## {name}\n\n```text\n{_keys(schema['properties'])}\n```\n")
    return "\n".join(parts)


def _keys(properties: dict[str, Any], depth: int = 0) -> str:
    return "\n".join(line for name, one in properties.items() for line in _lines(name, one, depth))


def _lines(name: str, schema: dict[str, Any], depth: int) -> list[str]:
    """A key with its type, and the keys below it."""
    mark, inner = "", schema
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            inner = option
    while inner.get("type") == "array":
        mark, inner = mark + "[]", inner.get("items", {})
    below = inner.get("properties")
    kind = inner.get("type", "any")
    words = kind if isinstance(kind, list) else [kind]
    told = " or ".join(words) + (" or null" if any(o.get("type") == "null" for o in schema.get("anyOf", ())) else "")
    told = " | ".join(map(str, inner["enum"])) if "enum" in inner else told
    head = f"{'  ' * depth}{name}{mark}" + (f": {told}" if not below else "")
    return [head, *([_keys(below, depth + 1)] if below else [])]


if __name__ == "__main__":
    schemas.write()
    (DOCS / "cli.md").write_text(cli_page(), "utf-8")
    (DOCS / "json.md").write_text(json_page(), "utf-8")
    for name, page in (("states.md", states_page), ("ledger.md", ledger_page)):
        (DOCS / name).write_text(page((DOCS / name).read_text("utf-8")), "utf-8")
