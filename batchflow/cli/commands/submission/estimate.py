"""`batchflow estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import comma_separated
from batchflow.cli.commands.submission.prepare import command as prepare_command

_OTHERS = {"as_json", "name", "project"}
_FLAGS = tuple(option for option in prepare_command.params if option.name not in _OTHERS)
_TARGET = click.Argument(["target"], required=False, metavar="[NAME]", shell_complete=completion.batches)


@click.command("estimate", params=[_TARGET, *_FLAGS])
@click.option(
    "--judges",
    multiple=True,
    callback=comma_separated,
    help="Judges as provider:model, separated by commas; repeatable [default: the jury's own, else the panel].",
)
@click.option(
    "--judge-samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How often each judge is asked about an answer.",
)
@click.option("--no-jury", is_flag=True, help="Leave the jury out.")
@shows
def command(
    app: App,
    target: str | None,
    suite_path: Path | None,
    judges: tuple[str, ...],
    judge_samples: int,
    no_jury: bool,
    **flags: Any,
) -> Any:
    """Show what a batch or a suite, and its jury, will cost before anything is sent: NAME, or the options of `prepare`.

    Nothing is kept: without NAME, the requests are made in a folder that is thrown away.
    """
    from batchflow.steps.base.suites import suite_of
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.suites.estimate import estimate_suite, estimate_suite_file
    from batchflow.steps.suites.suite_file import read
    from batchflow.steps.verbs.submission.estimate import estimate_batch, estimate_prepared, refuse_both
    from batchflow.steps.verbs.submission.prepare import PrepareOptions

    chosen = list(judges)
    how: dict[str, Any] = {"with_jury": not no_jury, "samples": judge_samples}
    if target is None:
        options = PrepareOptions(local=LocalFlags.taken(flags), **flags)
        if suite_path is None:
            return estimate_prepared(app.existing, options, chosen, **how)
        return estimate_suite_file(app.existing, read(suite_path), options, chosen, **how)
    given = {"suite": suite_path, **flags}
    refuse_both(
        [target], [f"--{name.replace('_', '-')}" for name, value in given.items() if value not in {None, False, ()}]
    )
    of_one = estimate_suite if suite_of(app.existing, [target]) else estimate_batch
    return of_one(app.existing, target, chosen, **how)
