"""`batchflow estimate`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import comma_separated
from batchflow.cli.commands.submission.prepare import command as prepare_command

_OTHERS = {"as_json", "name", "project", "suite_path"}
_FLAGS = tuple(option for option in prepare_command.params if option.name not in _OTHERS)


@click.command("estimate", params=[click.Argument(["target"], required=False, metavar="[NAME]"), *_FLAGS])
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
    app: App, target: str | None, judges: tuple[str, ...], judge_samples: int, no_jury: bool, **flags: Any
) -> Any:
    """Show what a batch and its jury will cost, before anything is sent: NAME, or the options of `prepare`.

    Nothing is kept: without NAME, the requests are made in a folder that is thrown away.
    """
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.verbs.submission.estimate import estimate_batch, estimate_prepared, refuse_both
    from batchflow.steps.verbs.submission.prepare import PrepareOptions

    chosen = list(judges)
    how: dict[str, Any] = {"with_jury": not no_jury, "samples": judge_samples}
    if target is None:
        return estimate_prepared(app.existing, PrepareOptions(local=LocalFlags.taken(flags), **flags), chosen, **how)
    refuse_both(
        [target], [f"--{name.replace('_', '-')}" for name, value in flags.items() if value not in {None, False, ()}]
    )
    return estimate_batch(app.existing, target, chosen, **how)
