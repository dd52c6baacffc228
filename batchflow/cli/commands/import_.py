"""`batchflow import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import FILE, Decorator, together
from batchflow.settings import VENDORS


@click.group("import")
def command() -> None:
    """Bring your own predictions, requests in a vendor's form, or labels that people gave, into the ledger."""


def _about(*, dataset: str, hints: str) -> Decorator:
    """The options that say what a brought file is about; two of their helps depend on what the file holds."""
    return together(
        click.option("--name", help="Name of the batch [default: the file's]."),
        click.option("--task", help="qa, choice, riddles or layton [default: qa with --dataset, else riddles]."),
        click.option("--dataset", type=FILE, help=f"{dataset}: JSONL, JSON, CSV, TSV or Parquet."),
        click.option("--map", multiple=True, metavar="FIELD=COLUMN,...", help="Which of its columns the task reads."),
        click.option("--split", help="The part of the data set: llm or vlm for riddles [default: the task's first]."),
        click.option("--hints", type=click.IntRange(0), default=0, show_default=True, help=hints),
    )


@command.command("predictions")
@click.argument("file", type=FILE)
@click.option("--provider", help="Whose model gave the answers; its vendor will not judge them.")
@click.option("--model", help="The model's name [default: the rows' own].")
@_about(dataset="The data set that was answered", hints="How many hints were told.")
@shows
def predictions_command(app: App, file: Path, **flags: Any) -> Any:
    """Make a batch of predictions {custom_id, answer, model}, one row per item (docs/judge-files.md)."""
    from batchflow.steps.verbs.import_predictions import ImportOptions, predictions

    return predictions(app.context, file, ImportOptions(**flags))


@command.command("requests")
@click.argument("file", type=FILE)
@click.option(
    "--provider",
    required=True,
    type=click.Choice(VENDORS, case_sensitive=False),
    help="Whose form the requests have; they will be sent there.",
)
@click.option("--model", help="The model [default: the rows' own; mistral's and gemini's name none].")
@_about(dataset="The data set that is asked about", hints="How many hints are told in them.")
@shows
def requests_command(app: App, file: Path, **flags: Any) -> Any:
    """Make a batch of requests in a vendor's own batch form, as layton-eval's processed_files/ hold them.

    They are sent as they are, under custom_ids of this batch; the file's custom_id (gemini: key) is the item's id.
    """
    from batchflow.steps.verbs.import_requests import RequestOptions, bring

    return bring(app.context, file, RequestOptions(**flags))


@command.command("labels")
@click.argument("file", type=FILE)
@click.option("--batch", help="The batch whose answers were labelled, where the rows do not tell provider and model.")
@shows
def labels_command(app: App, file: Path, batch: str | None) -> Any:
    """Take human labels in: rows {custom_id, provider, model, human_answer_correct, ...}, as `score --gold` reads them.

    `score` then shows how right the judges are, and --method ppi and layton need no --gold.
    """
    from batchflow.steps.judging.labels import import_labels

    return import_labels(app.context, file, batch)
