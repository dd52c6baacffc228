"""`batchflow prepare`."""

from __future__ import annotations

from typing import Any

import click

from batchflow.cli.app import App, shows
from batchflow.cli.commands.local_flags import local_flags
from batchflow.cli.commands.options import FILE, Number
from batchflow.settings import LOCAL, VENDORS


@click.command("prepare")
@click.option("--provider", help=f"{', '.join(VENDORS)} or {LOCAL}.")
@click.option("--model", help="The vendor's model id; for local a name, or the path of a GGUF file.")
@click.option("--as-named", is_flag=True, help="Ask for --model though it looks like another vendor's.")
@click.option("--name", help="Name of the batch [default: <provider>_<model>_<split>_hints_<k>].")
@click.option(
    "--task",
    help="qa or choice (your own questions), riddles (built in) or layton (from the model hub) [default: qa with --dataset, else riddles].",
)
@click.option("--dataset", type=FILE, help="Your own data set: JSONL, JSON, CSV, TSV or Parquet (docs/data.md).")
@click.option(
    "--map",
    multiple=True,
    metavar="FIELD=COLUMN,...",
    help="Which columns of --dataset the task reads: question=prompt,reference=gold.",
)
@click.option(
    "--split",
    help="Riddles: llm (text) or vlm (pictures) [default: llm]. Your own data: the rows whose column split says so [default: all].",
)
@click.option("--hints", type=click.IntRange(0), help="Hints 1..k are told, where an item has them [default: 0].")
@click.option("--limit", type=click.IntRange(1), help="Only the first N items.")
@click.option("--samples", type=click.IntRange(1), help="Ask each item N times [default: 1].")
@click.option("--seed", type=click.IntRange(0), help="Seed for models that take one.")
@click.option("--max-tokens", type=click.IntRange(1), help="Most tokens of an answer, reasoning included.")
@click.option("--temperature", type=Number(0), help="Sampling temperature, for models that take one.")
@click.option("--thinking-level", help="The vendor's word for how much to think: low, medium, high, ...")
@click.option("--thinking-budget", type=click.IntRange(0), help="Tokens to think with, for models that take a budget.")
@click.option("--endpoint", help="API path, where a vendor has several: /v1/responses for openai.")
@click.option("--completion-window", help="How long the vendor may take, where it gives a choice.")
@click.option("--template", type=FILE, help="Your own prompt template (docs/data.md).")
@click.option(
    "--extract",
    multiple=True,
    metavar="NAME,...",
    help="What is taken out of plain text answers: boxed,last_number (docs/extract.md) [default: the task's].",
)
@click.option("--system-prompt", help="A system text of your own, in front of the task's.")
@click.option("--max-image-pixels", type=click.IntRange(1), help="Resize larger pictures to this many pixels at most.")
@local_flags
@shows
def command(app: App, **flags: Any) -> Any:
    """Write the requests of a model on a task, ready to be sent. Needs no key and no network.

    A flag wins over its environment variable (BATCHFLOW_MODEL, ...), that over batchflow.toml's [prepare].
    """
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.verbs.prepare import PrepareOptions, prepare

    return prepare(app.context, PrepareOptions(local=LocalFlags.taken(flags), **flags))
