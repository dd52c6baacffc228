"""`batchflow show`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import Decorator, together

_KINDS = {
    "disagree": "Items on which the judges disagree.",
    "wrong": "Items that the jury calls wrong.",
    "errors": "Items that ended in an error, or never came back.",
    "unparsed": "Items whose answer could not be read.",
    "refused": "Items that the model or the vendor refused.",
    "flagged": "Items whose answer seems to address the judge.",
}


def _kinds() -> Decorator:
    return together(*(click.option(f"--{kind}", is_flag=True, help=text) for kind, text in _KINDS.items()))


@click.command("show")
@click.argument("name", shell_complete=completion.batches)
@click.option(
    "--items",
    is_flag=True,
    help="Show items: question, reference, answer, each judge's verdict and reasons, label, error.",
)
@_kinds()
@click.option("--by", multiple=True, metavar="COLUMN=VALUE", help="Items with this value in a column; repeatable.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Most items to show; 0 shows all.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the items as CSV.")
@shows
def command(app: App, name: str, items: bool, by: tuple[str, ...], limit: int, as_csv: bool, **flags: bool) -> Any:
    """Show one batch in full: settings, progress and history; or its items. Asks no vendor.

    Each of --disagree, --wrong, --errors, --unparsed, --refused, --flagged, --by and --csv shows items. Items of several
    kinds are shown together.
    """
    kinds = [kind for kind, is_wanted in flags.items() if is_wanted]
    if not (items or kinds or by or as_csv):
        from batchflow.steps.suites.members import shown

        return shown(app.existing, name)
    if as_csv and app.as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    from batchflow.cli.streamed import Streamed
    from batchflow.steps.viewing.listing import items_of

    return Streamed(items_of(app.existing, name, kinds=kinds, by=by, limit=limit), as_csv=as_csv)
