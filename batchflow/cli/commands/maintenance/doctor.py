"""`batchflow doctor`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows


@click.command("doctor")
@click.option("--ping", is_flag=True, help="Also ask each vendor that has a key one question that costs nothing.")
@shows
def command(app: App, ping: bool) -> Any:
    """Check Python, project folder, settings, ledger, keys, base URLs, engines and disk. Writes nothing, shows no key.

    Exit code 1 if something is bad.
    """
    from batchflow.steps.verbs.maintenance.doctor import doctor

    report = doctor(app.unopened, ping=ping)
    return report, 0 if report.healthy else 1
