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
from batchflow.cli.program import program

# command -> (module, one line for --help). `--help` reads this table, so that it needs no command's imports.
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("prepare", "Write the requests of a model on a task, ready to be sent."),
    "start": ("start", "Send prepared batches, each request exactly once."),
    "get": ("get", "Show how batches are going."),
    "results": ("results", "Fetch what came back and write results/<name>.jsonl."),
    "jury": ("jury", "Prepare the judge batches of a batch that has its results."),
    "score": ("score", "Turn the jury's votes into a score with its interval."),
    "compare": ("compare", "Compare judged batches on the same items."),
    "list": ("listing", "List the batches of the ledger."),
    "show": ("show_batch", "Show everything about one batch, with its history."),
    "retry": ("retry", "Ask again exactly the requests that have no answer."),
    "import": (
        "import_",
        "Bring your own predictions, requests in a vendor's form, or labels that people gave, into the ledger.",
    ),
    "cancel": ("cancel", "Stop what runs; what is done is kept."),
    "delete": ("delete", "Forget a batch and remove its files."),
    "rehearse": ("rehearse", "Run everything against a loopback server that speaks the vendors' protocols."),
    "engine": ("engine", "Install, list, serve and stop local engines and models."),
    "ledger": ("ledger", "Upgrade, check or back up the ledger."),
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
        command: Any = import_module(f"batchflow.cli.{COMMANDS[cmd_name][0]}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="BATCHFLOW_PROJECT",
    help="Folder of the ledger, processed_files/ and results/ [default: the current one].",
)
@click.version_option(__version__, "-V", "--version", message="batchflow %(version)s")
@click.pass_context
def cli(ctx: click.Context, project: Path | None) -> None:
    """Evaluate models through Batch APIs or your own engine: prepare, start, get, results, jury, score."""
    ctx.obj = (project or Path.cwd()).resolve()


def _document(error: click.ClickException) -> str:
    """A wrong command line as JSON, with the keys that `failure.report` gives every other error."""
    import json  # `--help` needs none

    hint = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
    told = {"class": "UsageError", "message": error.format_message(), "hint": hint, "exit_code": error.exit_code}
    return json.dumps({"error": told})


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


def main() -> None:
    """Run the command line; every error leaves with its class's exit code and without a traceback."""
    _mend_streams()
    try:
        _refuse_unreadable()
        code = cli.main(prog_name=program(), standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        if "--json" in sys.argv:
            sys.stdout.write(f"{_document(error)}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - what fails before a command is at work, such as its import
        from batchflow.cli.failure import report

        sys.exit(report(error, Path.cwd(), as_json="--json" in sys.argv))
    sys.exit(code if isinstance(code, int) else 0)
