"""Commands that are proposed, as they have to be typed where this one was: by a script's path, with --project, inside
a rehearsal.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from batchflow.cli.program import BEHIND, NAME, program

INSIDE = "BATCHFLOW_REHEARSED_BY"
"""Set by `rehearse -- batchflow ...` for its child: the words in front of a command that goes on in the rehearsal."""

_COMMAND = re.compile(r"(?<![\w./-])batchflow (?=([a-z]+)\b)")
_ASKING = frozenset(
    {"run", "tick", "prepare", "start", "get", "results", "retry", "jury", "score", "compare", "rank", "cancel"}
)
_TEXTS = frozenset({"next", "advice", "hint", "trouble", "error", "message"})
_LISTS = frozenset({"notes"})


@dataclass(frozen=True, slots=True)
class Typed:
    """Words that replace `batchflow` in a proposed command. inside: words in front of one in a rehearsal."""

    program: str = NAME
    project: str = ""
    inside: str = ""

    def __call__(self, text: str) -> str:
        """The text with each command in it as it has to be typed."""
        return _COMMAND.sub(lambda match: self._word(text, match), text) if self != Typed() else text

    def _word(self, text: str, match: re.Match[str]) -> str:
        if text[: match.start()].endswith("rehearse -- "):  # its child has the project from `rehearse`
            return f"{self.program} "
        if self.inside and match[1] != "rehearse":
            return f"{self.inside} {self.program} "
        return f"{self.program} {self.project}"

    def again(self, *, inside: bool) -> str:
        """The command that is running now, as it would be typed inside a rehearsal or outside of it."""
        words = shlex.join(_own_words())
        if inside:
            return f"{self.program} {self.project}rehearse -- {self.program} {words}"
        return f"{self.program} {self.project}{words}"

    def follow(self, text: str, *, rehearsed: bool) -> str:
        """A next command, as it has to be typed. rehearsed: it is about made-up answers, and this is no rehearsal."""
        lines = text.split("\n")
        if rehearsed:
            lines = [self._into_rehearsal(command) for command in lines]
        return "\n".join(map(self, lines))

    def _into_rehearsal(self, command: str) -> str:
        words = command.split()
        return f"{NAME} rehearse -- {command}" if len(words) > 1 and words[1] in _ASKING else command

    def document(self, value: Any, *, rehearsed: bool) -> Any:
        """A JSON document with the commands in it as they have to be typed."""
        if isinstance(value, list | tuple):
            return [self.document(member, rehearsed=rehearsed) for member in value]
        if not isinstance(value, dict):
            return value
        return {key: self._member(key, member, rehearsed=rehearsed) for key, member in value.items()}

    def _member(self, key: str, value: Any, *, rehearsed: bool) -> Any:
        if key == "next" and isinstance(value, str):
            return self.follow(value, rehearsed=rehearsed)
        if key in _TEXTS and isinstance(value, str):
            return self(value)
        if key in _LISTS and isinstance(value, list | tuple):
            return [self(text) if isinstance(text, str) else text for text in value]
        return self.document(value, rehearsed=rehearsed)


def of(ctx: click.Context) -> Typed:
    """Returns the form in which commands have to be typed where this one was."""
    root = ctx.find_root()
    typed = Typed(program(), inside=os.environ.get(INSIDE, ""))
    given = root.get_parameter_source("project") is click.core.ParameterSource.COMMANDLINE
    project = ctx.meta.get(BEHIND) or (str(root.params["project"]) if given else "")
    return replace(typed, project=f"--project {shlex.quote(project)} ") if project else typed


def _own_words() -> list[str]:
    """The words of the command line without --project."""
    words, kept = iter(sys.argv[1:]), []
    for word in words:
        if word == "--project":
            next(words, None)
        elif not word.startswith("--project="):
            kept.append(word)
    return kept


def is_ours(words: tuple[str, ...]) -> bool:
    """Tells whether a command that `rehearse` is to run is this program, whose next command is typed behind `rehearse` too.

    In a shell or a script that runs inside, the next command is typed there.
    """
    return bool(words) and (Path(words[0]).stem == NAME or words[1:3] == ("-m", NAME))


def prefix(ctx: click.Context, words: tuple[str, ...]) -> str:
    """The words in front of `words`, as typed: this program, and `rehearse` with its options."""
    mine = sys.argv[1 : len(sys.argv) - len(words)]
    if mine and mine[-1] != "--":
        mine.append("--")
    return f"{of(ctx).program} {shlex.join(mine)}"
