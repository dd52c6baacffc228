"""`batchflow import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.options import FILE, FILE_OR_FOLDER, Decorator, together
from batchflow.settings import VENDORS


@click.group("import")
def command() -> None:
    """Import your own predictions, a vendor's output files or requests, or human labels."""


def _about(*, dataset: str, hints: str) -> Decorator:
    """Options that describe an imported file; two help texts depend on what the file holds."""
    return together(
        click.option("--name", help="Name of the batch [default: the file's name]."),
        click.option(
            "--task",
            shell_complete=completion.task,
            help="Task: qa, choice, riddles or layton [default: qa with --dataset, else riddles].",
        ),
        click.option(
            "--dataset",
            type=FILE_OR_FOLDER,
            help=f"{dataset}: JSONL, JSON, CSV, TSV or Parquet; a folder for tasks whose data is one.",
        ),
        click.option(
            "--map",
            shell_complete=completion.mapping,
            multiple=True,
            metavar="FIELD=COLUMN,...",
            help="Columns of the data set for the fields of the task.",
        ),
        click.option("--split", help="Split of the data set: llm or vlm for riddles [default: the task's first]."),
        click.option("--hints", type=click.IntRange(0), default=0, show_default=True, help=hints),
    )


@command.command("predictions")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--provider", help="Vendor of the model that answered; this vendor's models will not judge.")
@click.option("--model", help="Name of the model [default: from the rows].")
@_about(dataset="Data set that was answered", hints="Number of hints that the model was given.")
@shows
def predictions_command(app: App, file: Path, **flags: Any) -> Any:
    """Make a batch from predictions {custom_id, answer, model}, one row per item (docs/judge-files.md).

    FILE is JSON Lines, a CSV table, or what another layout recognises (docs/layouts.md).
    """
    from batchflow.steps.verbs.evaluation.import_predictions import ImportOptions, predictions

    return predictions(app.context, file, ImportOptions(**flags))


@command.command("outputs")
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option(
    "--provider",
    required=True,
    help=f"Vendor or gateway whose output files they are: {', '.join(VENDORS)}.",
)
@click.option("--model", help="Name of the model [default: from the rows].")
@_about(dataset="Data set that was answered", hints="Number of hints that the model was given.")
@shows
def outputs_command(app: App, paths: tuple[Path, ...], **flags: Any) -> Any:
    """Make a batch from a vendor's raw output files, its error file among them.

    The rows' custom_id (gemini: key) is the item's id, or one that batchflow gave.
    """
    from batchflow.steps.verbs.evaluation.import_outputs import outputs
    from batchflow.steps.verbs.evaluation.import_predictions import ImportOptions

    return outputs(app.context, paths, ImportOptions(**flags))


@command.command("requests")
@click.argument("file", type=FILE)
@click.option(
    "--provider",
    required=True,
    help=f"Vendor or gateway whose format the file has; the requests are sent there: {', '.join(VENDORS)}.",
)
@click.option("--model", help="Name of the model [default: from the rows; mistral's and gemini's name none].")
@_about(dataset="Data set that the requests are about", hints="Number of hints in the requests.")
@shows
def requests_command(app: App, file: Path, **flags: Any) -> Any:
    """Make a batch from requests in a vendor's own batch format, such as layton-eval's processed_files/.

    They are sent as they are, under custom_ids of this batch. The file's custom_id (gemini: key) is the item's id.
    """
    from batchflow.steps.verbs.submission.import_requests import RequestOptions, bring

    return bring(app.context, file, RequestOptions(**flags))


@command.command("labels")
@click.argument("file", type=FILE)
@click.option(
    "--batch",
    shell_complete=completion.batches,
    help="Batch whose answers were labelled, if the rows do not name provider and model.",
)
@click.option(
    "--kind",
    metavar="NAME|FILE.toml",
    shell_complete=completion.kind,
    help="Judge kind whose fields were labelled [default: those of the batch's juries, and its task's].",
)
@shows
def labels_command(app: App, file: Path, batch: str | None, kind: str | None) -> Any:
    """Import human labels, JSONL or CSV: rows {custom_id, provider, model, human_answer_correct, ...}, as for `score --gold`.

    A column is named human_FIELD after a field of the judge kind, and takes the values of its scale: true or false, a
    number, a letter. They are merged field by field: what a row leaves empty stays as it was. `batchflow labels sheet`
    makes such a file.

    `score` then shows how often each judge is right, and --method ppi and layton need no --gold.
    """
    from batchflow.steps.judging.labels.import_labels import import_labels

    return import_labels(app.context, file, batch, kind=kind)
