"""What the documents promise exists: files that they link to, commands and flags that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from batchflow.cli.main import COMMANDS, cli
from batchflow.settings import VENDORS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)\)")
SHOWN = re.compile(r"(?:^\s*(?:\$ )?|`)batchflow ([^`#\n|>]+)", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    missing = [link for link in LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_their_flags_exist(document):
    for shown in SHOWN.findall(document.read_text("utf-8")):
        words = _words(shown)
        if not words or words[0].startswith(("-", "<", "...")) or not words[0].islower():
            continue
        assert words[0] in COMMANDS, shown
        assert _unknown_flags(words) == [], shown


def _words(shown):
    try:
        return shlex.split(f"{shown} ".partition(" -- ")[0].partition("&&")[0])
    except ValueError:  # prose with an apostrophe, cut by the pattern
        return []


def _unknown_flags(words):
    command = cli.get_command(click.Context(cli), words[0])
    if isinstance(command, click.Group) and len(words) > 1 and words[1] in command.commands:
        command = command.commands[words[1]]
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    flags = [word.partition("=")[0].rstrip(".,;:)") for word in words if word.startswith("--")]
    return [flag for flag in flags if flag not in known]


@pytest.mark.parametrize("document", ["README.md", "docs/vendors.md"])
def test_every_vendor_is_named_where_vendors_are_listed(document):
    text = (ROOT / document).read_text("utf-8").lower()
    assert [name for name in VENDORS if name not in text] == []


def test_the_table_of_vendors_has_a_column_for_each():
    head = next(
        line for line in (ROOT / "docs" / "vendors.md").read_text("utf-8").splitlines() if line.startswith("| |")
    )
    assert tuple(cell.strip() for cell in head.strip("|").split("|")[1:]) == VENDORS
