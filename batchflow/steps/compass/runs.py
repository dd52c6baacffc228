"""Runs of a configuration: a folder and a suite of one name, found again by the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batchflow.errors import UsageError
from batchflow.ledger import suites
from batchflow.ledger.suites import Suite
from batchflow.steps.base.context import Context
from batchflow.steps.compass.config import Config

LATEST = "latest"
DEFAULT_FOLDER = Path("outputs/default")
CONFIGS, PREDICTIONS, RESULTS, SUMMARY = "configs", "predictions", "results", "summary"
_STAMP = r"\d{8}_\d{6}(?:_\d+)?"


@dataclass(frozen=True, slots=True)
class Run:
    """One run. name: its timestamp; suite: of its batches."""

    name: str
    folder: Path
    suite: str


def folder_of(context: Context, config: Config, work_dir: Path | None) -> Path:
    """The folder that holds the runs: `-w`, else the file's work_dir, else `outputs/default` of the project."""
    return (work_dir or config.work_dir or context.settings.project / DEFAULT_FOLDER).absolute()


def begin(config: Config, work: Path, now: datetime) -> Run:
    """A new run with a folder of its own, also where another one begins in the same second."""
    work.mkdir(parents=True, exist_ok=True)
    stamp = f"{now:%Y%m%d_%H%M%S}"
    for number in range(1000):
        name = f"{stamp}_{number}" if number else stamp
        try:
            (work / name).mkdir()
        except FileExistsError:
            continue
        (work / name / CONFIGS).mkdir()
        return Run(name, work / name, suite_name(config, name))
    raise UsageError(f"{work}: a thousand runs began in one second", hint="name another folder with -w")


def suite_name(config: Config, run: str) -> str:
    """The name of a run's suite."""
    return f"{config.task_name}_{run}"


def named(context: Context, config: Config, work: Path, name: str) -> Run:
    """The run that `--reuse` names: a timestamp, or `latest`. Raises UsageError naming those there are."""
    runs = listing(context, config, work)
    if name == LATEST and runs:
        return runs[-1]
    match = next((run for run in runs if run.name == name), None)
    if match is None:
        there = ", ".join(run.name for run in runs[-8:]) or "none"
        text = f"{work}: no run of {config.task_name}" + ("" if name == LATEST else f" is called {name!r}")
        raise UsageError(text, hint=f"runs of this task there: {there}; -w names another folder")
    return match


def listing(context: Context, config: Config, work: Path) -> list[Run]:
    """The runs of a task in a folder, in the order in which the ledger heard of them."""
    pattern = re.compile(rf"{re.escape(config.task_name)}_({_STAMP})")
    with context.ledger.read() as tx:
        names = [match[1] for suite in suites.listing(tx) if (match := pattern.fullmatch(suite.name))]
    return [Run(name, work / name, suite_name(config, name)) for name in names if (work / name).is_dir()]


def suite_of(context: Context, run: Run) -> Suite:
    """The suite of a run. Raises UsageError where it was deleted."""
    with context.ledger.read() as tx:
        suite = suites.find(tx, run.suite)
    if suite is None:
        raise UsageError(f"run {run.name}: its batches were deleted", hint="begin a new one: leave --reuse out")
    return suite


def unfinished(context: Context, config: Config, work: Path, text: bytes) -> Run | None:
    """The latest run of the same configuration that has no summary yet: it goes on; None where there is none."""
    runs = listing(context, config, work)
    if not runs or list((runs[-1].folder / SUMMARY).glob("summary_*.csv")):
        return None
    kept = [path.read_bytes() for path in sorted((runs[-1].folder / CONFIGS).glob("*")) if path.is_file()]
    return runs[-1] if text in kept else None
