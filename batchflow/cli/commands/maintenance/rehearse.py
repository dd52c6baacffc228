"""`batchflow rehearse`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from batchflow import settings
from batchflow.cli import typed
from batchflow.cli.app import progress
from batchflow.cli.commands.maintenance.certify import certified
from batchflow.cli.commands.options import FILE, Number
from batchflow.cli.program import NAME
from batchflow.errors import EngineError, UsageError, install_extra


@click.command("rehearse", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the server [default: a free one].")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder where the server keeps its jobs [default: processed_files/.rehearsal].",
)
@click.option("--faults", type=FILE, help="Script of faults to inject (docs/rehearsal.md).")
@click.option(
    "--right", type=Number(0, 1), default=0.7, show_default=True, help="Probability that a prediction is right."
)
@click.option(
    "--judge-error", type=Number(0, 1), default=0.05, show_default=True, help="Probability that a judge errs."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed of the answers.")
@click.option("--polls", type=click.IntRange(0), default=2, show_default=True, help="Polls that a job takes at least.")
@click.option("--seconds", type=Number(0), default=0.0, show_default=True, help="Seconds that a job takes at least.")
@click.option(
    "--dataset",
    "datasets",
    type=FILE,
    multiple=True,
    help="Your own data set, so that the server knows its answers; repeatable.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="FIELD=COLUMN,...",
    help="Columns of --dataset that hold question and reference.",
)
@click.option(
    "--certify",
    "url",
    metavar="URL",
    help="Check the server of /v1/batches at this base URL instead (docs/gateways.md). It gets 16 small requests.",
)
@click.option("--certify-model", metavar="NAME", help="Model that answers them.")
@click.option("--certify-key", metavar="VARIABLE", help="Variable that holds the server's key [default: no key].")
@click.option("--certify-paid", is_flag=True, help="Allow --certify at a vendor's host, where it costs money.")
@click.option("--json", "as_json", is_flag=True, help="With --certify: print one JSON document.")
@click.pass_context
def command(
    ctx: click.Context, words: tuple[str, ...], port: int, folder: Path | None, faults: Path | None, right: float,
    judge_error: float, seed: int, polls: int, seconds: float, datasets: tuple[Path, ...], mapping: tuple[str, ...],
    url: str | None, certify_model: str | None, certify_key: str | None, certify_paid: bool, as_json: bool,
) -> int:  # fmt: skip
    """Run commands against a local server that imitates all six vendors' Batch APIs. Costs nothing.

    With a COMMAND, run it against that server. Without one, print the environment to use and serve until Ctrl-C.
    Every batch made this way is marked as a rehearsal.
    """
    if url is not None:
        facts = {"url": url, "model": certify_model, "key": certify_key, "paid": certify_paid, "as_json": as_json}
        return int(ctx.invoke(certified, **facts))
    words = (*words, "--json") if as_json else words  # the command's own, typed without `--`
    try:
        from batchflow.rehearsal import faults as scripts
        from batchflow.rehearsal import server
        from batchflow.rehearsal.answers import Rule
        from batchflow.rehearsal.fake_state import Pace
    except ImportError as error:
        raise EngineError(f"the rehearsal needs {error.name}", hint=install_extra("rehearsal")) from None
    from batchflow.steps.workers.rehearse import Known, memory

    config = settings.load(ctx.obj)
    rule = Rule(seed, right, judge_error, Known(config, datasets, mapping))
    folder = folder or config.processed / ".rehearsal"  # the next command's server has to know the jobs of this one's
    script = scripts.load(faults) if faults else None
    pace = Pace(polls, seconds)
    if not words:
        with memory(folder):
            server.serve(port=port, folder=folder, rule=rule, faults=script, pace=pace, ready=_ready)
        return 0
    with memory(folder), server.running(folder, port=port, rule=rule, faults=script, pace=pace) as up:
        try:
            environment = {**os.environ, **up.environment, **_child_environment(ctx, words)}
            return subprocess.run(words, env=environment, check=False).returncode
        except OSError as error:
            whole = shlex.join((NAME, *words)) if words[0] in _verbs(ctx) else "COMMAND ARGUMENTS"
            raise UsageError(f"{words[0]}: {error.strerror}", hint=f"batchflow rehearse -- {whole}") from None


def _verbs(ctx: click.Context) -> list[str]:
    """The commands of this program, which somebody may name without it."""
    top = ctx.find_root()
    return top.command.list_commands(top) if isinstance(top.command, click.Group) else []


def _child_environment(ctx: click.Context, words: tuple[str, ...]) -> dict[str, str]:
    """Environment of a command inside: the project, and the form of the next command."""
    environment = {typed.INSIDE: typed.prefix(ctx, words)} if typed.is_ours(words) else {}
    return environment | {"BATCHFLOW_PROJECT": str(ctx.obj)} if typed.of(ctx).project else environment


def _ready(up: object) -> None:
    for name, value in getattr(up, "environment", {}).items():
        sys.stdout.write(f"export {name}={value}\n")
    sys.stdout.flush()
    progress("rehearsal: put these into another terminal's environment; Ctrl-C ends it")
