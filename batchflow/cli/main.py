"""The `batchflow` command. Imports click and nothing else: each command's module is loaded when it is called."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from batchflow import __version__
from batchflow.cli.program import BEHIND, program, project_above

# command -> (module, one line for --help). `--help` reads this table, so that it needs no command's imports.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("submission.prepare", "Write the requests of a batch, ready to be sent."),
    "estimate": ("submission.estimate", "Show what a batch and its jury will cost."),
    "start": ("submission.start", "Send prepared batches; each request is sent exactly once."),
    "get": ("viewing.get", "Show the progress of batches."),
    "results": ("viewing.results", "Download the answers and write results/<name>.jsonl."),
    "jury": ("evaluation.jury", "Prepare judge batches for the answers of a batch."),
    "score": ("evaluation.score", "Compute a score with its confidence interval from the jury's votes."),
    "compare": ("evaluation.compare", "Compare judged batches item by item."),
    "plan": ("evaluation.plan", "Plan a study: items, samples, judges and labels for a precision, and their cost."),
    "rank": ("evaluation.rank", "Rank models by pairwise verdicts."),
    "init-config": ("running.init_config", "Write a configuration of OpenCompass's kind for `run`."),
    "run": ("running.run", "Do a whole evaluation, from the data set to the score; goes on where it was stopped."),
    "workers": ("viewing.workers", "List the hosts that work on local batches."),
    "watch": ("viewing.watch", "Watch batches on the whole screen."),
    "tick": ("running.tick", "Move everything that can move, once; made for cron."),
    "report": ("viewing.report", "Write one HTML file with scores and every item, to read offline."),
    "export": ("viewing.export", "Write a batch's items as another tool's file: Inspect, Parquet, CSV, OpenAI."),
    "labels": ("evaluation.labels", "Sheets of answers for a person to judge."),
    "arena": ("evaluation.arena", "Battles between models: answers, a reviewer's verdicts, ratings."),
    "list": ("viewing.list", "List the batches in the ledger."),
    "show": ("viewing.show", "Show one batch in full, with its history."),
    "retry": ("submission.retry", "Prepare a new batch of the unanswered requests."),
    "import": (
        "submission.import_",
        "Import your own predictions, a vendor's output files or requests, or human labels.",
    ),
    "cancel": ("submission.cancel", "Stop a batch; finished work is kept."),
    "update": ("maintenance.update", "Set a batch's title and description."),
    "delete": ("maintenance.delete", "Delete a batch and its files."),
    "doctor": ("maintenance.doctor", "Check Python, project, ledger, keys, engines and disk."),
    "init": ("maintenance.init", "Write the files that a new project begins with."),
    "rehearse": ("maintenance.rehearse", "Run commands against a local server that imitates the vendors."),
    "engine": ("maintenance.engine", "Install, list, serve and stop local engines and models."),
    "pool": ("maintenance.pool", "Add and remove endpoints of local batches while they run."),
    "ledger": ("maintenance.ledger", "Upgrade, check or back up the ledger."),
    "completion": ("maintenance.completion", "Print the script for completion in bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Keep the table's order: it is the order of the pipeline."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        from batchflow.cli import examples

        command: Any = import_module(f"batchflow.cli.commands.{COMMANDS[cmd_name][0]}").command
        examples.add_to(command, cmd_name)
        if cmd_name != "rehearse":  # its words belong to the command that it runs
            _take_project(command)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it. Raises UsageError that names the commands that a mistyped one may mean."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{_meant(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _meant(word: str) -> str:
    """Commands that look like a word, or whose name another tool gives to the same thing."""
    from difflib import get_close_matches  # only where something was mistyped

    named = _ALIASES.get(word.lower())
    close = [named] if named else get_close_matches(word.lower(), COMMANDS, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


_ALIASES = {
    "status": "get", "ls": "list", "rm": "delete", "remove": "delete", "stop": "cancel",
    "submit": "start", "send": "start", "create": "prepare", "fetch": "results", "download": "results",
    "judge": "jury", "info": "show",
}  # fmt: skip
"""Names that other tools give to these commands."""


def _moved_project(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    """Callback of a --project that is typed behind a command."""
    if value is not None:
        ctx.obj = value.resolve()
        ctx.meta[BEHIND] = str(value)


_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _take_project(command: click.Command) -> None:
    """Adds --project to a command and to those below it: people type it at the end."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _take_project(below)
    elif not any("--project" in parameter.opts for parameter in command.params):
        option = click.Option(
            ["--project"], type=_FOLDER, callback=_moved_project, expose_value=False, is_eager=True, hidden=True
        )
        command.params.append(option)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--project",
    type=_FOLDER,
    envvar="BATCHFLOW_PROJECT",
    help="Project folder, with the ledger, processed_files/ and results/ [default: the current folder, or the one above it that has a batchflow.toml or batchflow.db]. Also allowed after a command.",
)
@click.version_option(__version__, "-V", "--version", message="batchflow %(version)s")
@click.pass_context
def cli(ctx: click.Context, project: Path | None) -> None:
    """Evaluate models through Batch APIs or on your own engine: prepare, start, get, results, jury, score."""
    ctx.obj = (project or project_above(Path.cwd())).resolve()


def _document(error: click.ClickException) -> str:
    """A wrong command line as JSON, with the keys that `failure.report` gives every other error."""
    import json  # `--help` needs none

    hint = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
    facts = {"class": "UsageError", "message": error.format_message(), "hint": hint, "exit_code": error.exit_code}
    return json.dumps({"error": facts})


def _mend_streams() -> None:
    """Make stdin, stdout and stderr fit for use, however the process was started.

    One that was closed becomes the null device: the next file opened would get its number, and be written into. What
    the locale's encoding cannot show is shown as `?`; a JSON document is UTF-8 in every locale (RFC 8259, 8.1).
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        if "--json" in sys.argv:
            sys.stdout.reconfigure(encoding="utf-8")
        else:
            sys.stdout.reconfigure(errors="replace")


def _refuse_unreadable() -> None:
    """Raise UsageError for words that are no text in this locale, which neither ledger nor files could hold.

    Raises it also where the current folder has been deleted.
    """
    try:
        folder = str(Path.cwd())
    except FileNotFoundError:
        raise click.UsageError("this folder has been deleted; change to another one (cd)") from None
    for word in (*sys.argv[1:], folder):
        if any("\udc80" <= char <= "\udcff" for char in word):  # how Python keeps bytes that it cannot decode
            shown = word.encode("ascii", "replace").decode()
            raise click.UsageError(f"{shown}: not text in this locale; rename it, or set LC_ALL=C.UTF-8")


def _interrupted() -> int:
    """Say after Ctrl-C that nothing is lost, and what to type; returns the exit code."""
    import shlex

    again = f"batchflow {shlex.join(sys.argv[1:])}"
    message, hint = "interrupted; nothing is lost, and nothing will be sent twice", f"to go on, type again: {again}"
    return _told("KeyboardInterrupt", message, hint, 130)


def _reported(error: Exception) -> int:
    """Report an error; returns the exit code. Where nothing can be loaded any more, it is told in plain words."""
    try:
        from batchflow.cli.errors import report
    except OSError as second:
        message, hint = str(second.strerror), "does this shell limit the number of open files (ulimit -n)? Raise it"
        return _told(type(error).__name__, message, hint, 1)
    return report(error, Path.cwd(), as_json="--json" in sys.argv)


def _told(name: str, message: str, hint: str, code: int) -> int:
    from batchflow.cli.cards.base.text import clean

    if "--json" in sys.argv:
        import json

        facts = {"class": name, "message": message, "hint": hint, "exit_code": code}
        sys.stdout.write(json.dumps({"error": facts}) + "\n")
    sys.stderr.write(clean(f"batchflow: {message}\n  what to do: {hint}\n"))
    return code


def main() -> None:
    """Run the command line; every error leaves with its class's exit code and without a traceback."""
    _mend_streams()
    try:
        _refuse_unreadable()
        code = cli.main(prog_name=program(), standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(_interrupted())
    except click.ClickException as error:
        error.show()
        if "--json" in sys.argv:
            sys.stdout.write(f"{_document(error)}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - what fails before a command is at work, such as its import
        sys.exit(_reported(error))
    sys.exit(code if isinstance(code, int) else 0)
