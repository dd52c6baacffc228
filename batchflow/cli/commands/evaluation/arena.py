"""`batchflow arena`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import FILE, max_cost, refresh_after

METHODS = ("bt", "elo", "winrate", "score")

config_file: Callable[[Any], Any] = click.option(
    "-c", "--cfg-file", "path", type=FILE, required=True, help="The arena: EvalScope's YAML, or TOML (docs/arena.md)."
)
rating_method: Callable[[Any], Any] = click.option(
    "--method",
    type=click.Choice(METHODS),
    help="Rating: bt (Bradley-Terry), elo, winrate or score [default: rating_gen.metrics].",
)
fastchat_folder: Callable[[Any], Any] = click.option(
    "--fastchat", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Also write FastChat's model_answer, or model_judgment, into this folder.",
)  # fmt: skip


@click.group("arena")
def command() -> None:
    """Battles between models: answers, a reviewer's verdicts, ratings."""


@command.command("prepare")
@config_file
@shows
def prepare_command(app: App, path: Path) -> Any:
    """Prepare a batch of answers for each candidate that is enabled."""
    from batchflow.steps.arena.config import read
    from batchflow.steps.arena.flow import prepare_answers

    arena = read(path)
    return [replace(report, notes=(*report.notes, *arena.notes)) for report in prepare_answers(app.context, arena)]


@command.command("start")
@config_file
@max_cost
@shows
def start_command(app: App, path: Path, max_cost: float | None) -> Any:
    """Send the candidates' batches."""
    from batchflow.steps.arena.config import read
    from batchflow.steps.verbs.submission.start import StartOptions, start_all

    arena = read(path)
    names = [arena.batch_of(model) for model in arena.asked]
    return start_all(app.existing, names, StartOptions(max_cost=max_cost))


@command.command("get")
@config_file
@refresh_after("Ask a vendor only if its last answer is older than this.")
@click.option("--wait", "waits", is_flag=True, help="Wait until every batch is finished or needs you.")
@shows
def get_command(app: App, path: Path, refresh_after: float, waits: bool) -> Any:
    """Show the progress of the candidates' batches, and of the reviewer's.

    Exit code: 0 finished, 7 not finished yet, 6 needs you.
    """
    from batchflow.ledger import batches
    from batchflow.steps.arena.config import read
    from batchflow.steps.collecting.poll import get_all
    from batchflow.steps.verbs.submission.wait import wait

    arena = read(path)
    names = [arena.batch_of(model) for model in arena.asked]
    with app.existing.ledger.read() as tx:
        names += [arena.reviewing] if batches.find(tx, arena.reviewing) else []
    if waits:
        from batchflow.cli.live.follower import follower

        with closing(follower(app.existing, app.speak, as_json=app.as_json)) as tell:
            reports = list(wait(app.existing, names, refresh_after_s=refresh_after, on_report=tell))
    else:
        reports = list(get_all(app.existing, names, refresh_after_s=refresh_after))
    stuck = any(report.state == "needs_you" for report in reports)
    return reports, 6 if stuck else 0 if all(report.finished for report in reports) else 7


@command.command("results")
@config_file
@fastchat_folder
@shows
def results_command(app: App, path: Path, fastchat: Path | None) -> Any:
    """Write the answers of each candidate to its output_file."""
    from batchflow.steps.arena.config import read
    from batchflow.steps.arena.flow import write_answers

    return write_answers(app.existing, read(path), fastchat)


@command.command("jury")
@config_file
@click.option("--start", "starts", is_flag=True, help="Also send the reviewer's batch.")
@max_cost
@shows
def jury_command(app: App, path: Path, starts: bool, max_cost: float | None) -> Any:
    """Prepare the reviewer's batch: one request for each battle, two with swap_position."""
    from batchflow.errors import UsageError
    from batchflow.steps.arena.config import read
    from batchflow.steps.arena.flow import prepare_reviews, rate
    from batchflow.steps.verbs.submission.start import StartOptions, start_all

    if max_cost is not None and not starts:
        raise UsageError("--max-cost goes with --start", hint="nothing is sent without it")
    arena = read(path)
    report = prepare_reviews(app.context, arena)
    if report is None:
        return rate(app.context, arena, rates=arena.rates)
    if not starts:
        return [report]
    return start_all(app.context, [report.name], StartOptions(max_cost=max_cost))


@command.command("rate")
@config_file
@rating_method
@fastchat_folder
@shows
def rate_command(app: App, path: Path, method: str | None, fastchat: Path | None) -> Any:
    """Read the reviews, write review_file and report_file, and rate the candidates."""
    from batchflow.steps.arena.config import read
    from batchflow.steps.arena.flow import rate

    return rate(app.existing, read(path), method, fastchat=fastchat)


@command.command("report")
@config_file
@rating_method
@click.option("-o", "--output", "out", type=click.Path(dir_okay=False, path_type=Path), help="The page to write.")
@shows
def report_command(app: App, path: Path, method: str | None, out: Path | None) -> Any:
    """Write a page with both answers of each battle side by side, and the verdicts of both orders."""
    from batchflow.steps.arena.browser import page
    from batchflow.steps.arena.config import read

    return page(app.existing, read(path), method, out)


@command.command("run")
@config_file
@rating_method
@refresh_after("Seconds between two polls of a vendor.")
@click.option("--dry-run", is_flag=True, help="Show requests, tokens and money of each step; send and keep nothing.")
@shows
def run_command(app: App, path: Path, method: str | None, refresh_after: float, dry_run: bool) -> Any:
    """Do all steps, from the questions to the ratings; the same command again goes on where it was stopped."""
    from batchflow.steps.arena.config import read

    arena = read(path)
    if dry_run:
        from batchflow.steps.arena import dry_run as estimate

        return estimate.dry_run(app.existing, arena)
    from batchflow.cli.live.follower import follower
    from batchflow.steps.arena.flow import run

    with closing(follower(app.context, app.speak, as_json=app.as_json)) as tell:
        return run(app.context, arena, method=method, refresh_after_s=refresh_after, on_report=tell)
