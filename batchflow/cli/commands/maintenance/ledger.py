"""`batchflow ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli.app import App, shows


@click.group("ledger")
def command() -> None:
    """Upgrade, check, back up or copy the ledger."""


@command.command("upgrade")
@shows
def upgrade(app: App) -> Any:
    """Create the ledger, or upgrade its schema."""
    return app.open_ledger(migrate=False).upgrade()


@command.command("check")
@shows
def check(app: App) -> Any:
    """Check the ledger and its files for damage and contradictions. Exit code 4 if there are any."""
    from batchflow.steps.base.context import Context
    from batchflow.steps.verbs.maintenance.ledger_check import check as checked

    report = checked(Context(app.open_ledger(migrate=False), app.settings))
    return report, 4 if report.problems else 0


@command.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@shows
def backup(app: App, target: Path) -> Any:
    """Copy a SQLite ledger to a new file. Other commands may run meanwhile."""
    return app.open_ledger(migrate=False).backup(target)


@command.command("copy")
@click.option(
    "--to", "target", required=True, metavar="URL", help="Empty database: sqlite:///… or postgresql+psycopg://…"
)
@shows
def copy(app: App, target: str) -> Any:
    """Copy the ledger to another database, from SQLite to PostgreSQL or back.

    All rows are counted and compared before anything is kept. The old ledger stays as it is: use only one of both.

    batchflow ledger copy --to postgresql+psycopg://team@db.example/batchflow
    """
    from batchflow.ledger import Ledger
    from batchflow.ledger.transfer import copy as copied

    source, new = app.open_ledger(migrate=False, create=False), Ledger.open(target)
    try:
        return copied(source, new)
    finally:
        new.close()
