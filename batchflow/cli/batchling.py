"""`batchling`: the commands of batchling 0.0.15, each as the commands of batchflow that do the same.

Words behind a command that are not batchling's are batchflow's, and go to it as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from batchflow import __version__

Commands = Sequence[Sequence[str]]
SORTED_BY = {"created_at": "created", "name": "name", "status": "state", "provider": "provider", "model": "model"}
"""Columns that batchling sorts by, and ours; it has others, of which no list of batches is sorted here."""
_REST: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", message="batchling is batchflow %(version)s")
def batchling() -> None:
    """The commands of batchling, done by batchflow: batches of layton-eval, in the ledger of this folder."""


def _path(*names: str, text: str) -> Callable[[Any], Any]:
    return click.option(*names, type=click.Path(path_type=Path, dir_okay=False), help=text)


@batchling.command("create", context_settings=_REST)
@click.option("--name", required=True, help="Name of the batch.")
@click.option("--model", help="Name of the model.")
@click.option("--provider", required=True, help="Vendor whose format the processed file has.")
@click.option("--title", help="Title, for cards.")
@click.option("--description", help="Description, for cards.")
@_path("--processed-file-path", text="File of requests in the vendor's format.")
@_path("--raw-file-path", text="Not needed: the processed file holds what is sent.")
@_path("--results-file-path", text="Taken only as results/NAME.jsonl, where the results are written.")
@_path("--response-format-path", text="Not needed: the processed file holds it.")
@click.option("--endpoint", help="Not needed: the processed file says it.")
@click.option("-b", "--thinking-budget", type=int, help="Not needed: the processed file says it.")
@click.option("-l", "--thinking-level", help="Not needed: the processed file says it.")
@click.option("--api-key", help="Refused: see there.")
@click.option("-s", "--start", "starts", is_flag=True, help="Also send the batch.")
@click.pass_context
def create_command(ctx: click.Context, /, name: str, provider: str, starts: bool, **given: Any) -> Commands:
    """Make a batch of a processed file that exists: `batchflow import requests`."""
    if given["api_key"]:
        raise click.UsageError(
            "--api-key: everybody on this machine can read a command line (ps), so no key is taken from it. "
            "Set the vendor's variable, such as OPENAI_API_KEY, in the environment or in .env."
        )
    processed, results = given["processed_file_path"], given["results_file_path"]
    if processed is None or not processed.is_file():
        raise click.UsageError(
            f"--processed-file-path {processed or 'is missing'}: there is no such file, and none is made here. "
            "`batchflow prepare` writes a data set's requests and makes the batch in one step."
        )
    if results is not None and results.absolute() != Path(f"results/{name}.jsonl").absolute():
        raise click.UsageError(f"--results-file-path {results}: results of {name} are written to results/{name}.jsonl.")
    about = [f"--{key}={given[key]}" for key in ("title", "description") if given[key]]
    model = ["--model", given["model"]] if given["model"] else []
    bring = ["import", "requests", str(processed), "--provider", provider, "--name", name, *model, *ctx.args]
    return [bring, *([["update", name, *about]] if about else []), *([["start", name]] if starts else [])]


@batchling.command("list", context_settings=_REST)
@click.option("-o", "--order-by", type=click.Choice(tuple(SORTED_BY)), default="created_at", help="Column to sort by.")
@click.option("-a/-d", "--ascending/--descending", "ascending", default=True, help="Order [default: ascending].")
@click.pass_context
def list_command(ctx: click.Context, order_by: str, ascending: bool) -> Commands:
    """List the batches: `batchflow list`."""
    return [["list", "--sort", SORTED_BY[order_by], *([] if ascending else ["--descending"]), *ctx.args]]


@batchling.command("update", context_settings=_REST)
@click.argument("name")
@click.pass_context
def update_command(ctx: click.Context, name: str) -> Commands:
    """Change title and description: `batchflow update`. What was prepared stays as it is."""
    return [["update", name, *ctx.args]]


@batchling.command("version")
def version_command() -> Commands:
    """Show the version: `batchflow --version`."""
    return [["--version"]]


def _same(verb: str, text: str) -> None:
    """Add a command that is batchflow's own under the same name."""

    def command(ctx: click.Context, name: str) -> Commands:
        return [[verb, name, *ctx.args]]

    named = click.argument("name")(click.pass_context(command))
    batchling.command(verb, help=f"{text}: `batchflow {verb}`.", context_settings=_REST)(named)


_same("get", "Show the progress of a batch")
_same("start", "Send a batch")
_same("results", "Download the answers")
_same("delete", "Delete a batch, and the files that batchflow made for it")


def main() -> None:
    """Run the command line; leaves with the exit code of the first of batchflow's commands that fails."""
    from batchflow.cli.main import main as batchflow

    try:
        commands = batchling.main(prog_name="batchling", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    if not isinstance(commands, list):
        sys.exit(0)  # --help or --version
    program = str(Path(sys.argv[0]).with_name("batchflow"))
    for words in commands:
        sys.argv = [program, *words]
        try:
            batchflow()
        except SystemExit as left:
            if left.code:
                raise
