"""The flags of `run` for a configuration of OpenCompass's kind, and that kind of run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchflow.cli.commands.options import together

if TYPE_CHECKING:
    from batchflow.cli.app import App

_OURS = ("work_dir", "reuse")
_ALSO = "mode"  # of an engine, elsewhere

compass_flags = together(
    click.option(
        "-w",
        "--work-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="With CFG.yaml: folder of the runs [default: the file's work_dir, else outputs/default].",
    ),
    click.option(
        "-r",
        "--reuse",
        is_flag=False,
        flag_value="latest",
        metavar="[latest|RUN]",
        help="With CFG.yaml: take this run, or the latest, in place of a new one.",
    ),
)
"""The flags that no other run has."""


def is_compass(file: Path | None) -> bool:
    """Tells whether a file is such a configuration. Raises UsageError for one that cannot be read."""
    from batchflow.steps.compass.config import is_one

    return file is not None and is_one(file)


def taken(flags: dict[str, Any], *, file: Path | None) -> dict[str, Any] | None:
    """The flags of such a run, taken out of a command's; None for another run, which has none of them.

    Raises UsageError for flags that do not go with the file.
    """
    own = {name: flags.pop(name) for name in _OURS}
    if not is_compass(file):
        if strange := [name for name, value in own.items() if value is not None]:
            raise click.UsageError(f"--{strange[0].replace('_', '-')} goes with a configuration (docs/opencompass.md).")
        return None
    own[_ALSO] = flags.pop(_ALSO)
    if strange := [name for name, value in flags.items() if _is_set(value)]:
        text = f"--{strange[0].replace('_', '-')} does not go with a configuration: {file} holds such settings."
        raise click.UsageError(text)
    return own


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and value != ()


def run_compass(app: App, file: Path, flags: Mapping[str, Any], refresh_after: float) -> Any:
    """The run of a configuration."""
    from batchflow.cli.live.follower import follower
    from batchflow.steps.compass import config
    from batchflow.steps.compass.flow import run

    chosen = config.read(file)
    mode = config.mode_of(flags[_ALSO]) if flags[_ALSO] else chosen.mode
    with closing(follower(app.context, app.speak, as_json=app.as_json)) as tell:
        return run(
            app.context, chosen, mode=mode, work_dir=flags["work_dir"], reuse=flags["reuse"],
            refresh_after_s=refresh_after, on_report=tell,
        )  # fmt: skip
