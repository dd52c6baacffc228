"""The flags that say what a model is asked and how, which `prepare` and `run` share."""

from __future__ import annotations

import click

from batchflow.cli import completion
from batchflow.cli.commands.options import FILE, FILE_OR_FOLDER, Number, together

asking_flags = together(
    click.option("--as-named", is_flag=True, help="Use --model even if it looks like another vendor's model."),
    click.option("--name", help="Name of the batch [default: made of provider, model and data set]."),
    click.option(
        "--task",
        shell_complete=completion.task,
        help="Task: qa or choice (your own questions), riddles (built in), layton (from the Hugging Face hub), mixeval, mixeval-hard, internbootcamp, aime2025, gpqa, mmlu_pro, hle, ifeval, livecodebench, or a FILE.toml or FILE.yaml that declares one (docs/tasks.md) [default: qa with --dataset, else riddles].",
    ),
    click.option(
        "--dataset",
        "--data",
        "--test-dir",
        type=FILE_OR_FOLDER,
        help="Your own data set: JSONL, JSON, CSV, TSV or Parquet (docs/data.md); for mixeval, the folder of a version; for internbootcamp, the folder of its files.",
    ),
    click.option(
        "--map",
        shell_complete=completion.mapping,
        multiple=True,
        metavar="FIELD=COLUMN,...",
        help="Columns of --dataset for the fields of the task, e.g. question=prompt,reference=gold.",
    ),
    click.option(
        "--split",
        help="Riddles: llm (text) or vlm (pictures) [default: llm]. Your own data: rows with this value in column split [default: all].",
    ),
    click.option(
        "--hints", type=click.IntRange(0), help="Give the first K hints, where an item has them [default: 0]."
    ),
    click.option("--limit", type=click.IntRange(1), help="Use the first N items only."),
    click.option("--ids", type=FILE, help="Use only the items whose ids this file lists: one a line, or a JSON list."),
    click.option(
        "--samples", "--repeats", "samples", type=click.IntRange(1), help="Ask each item N times [default: 1]."
    ),
    click.option("--seed", type=click.IntRange(0), help="Random seed, for models that take one."),
    click.option("--max-tokens", type=click.IntRange(1), help="Token limit of an answer, reasoning included."),
    click.option("--temperature", type=Number(0), help="Sampling temperature, for models that take one."),
    click.option("--thinking-level", help="Reasoning effort, in the vendor's words: low, medium, high, ..."),
    click.option(
        "--thinking-budget", type=click.IntRange(0), help="Token budget for thinking, for models that take one."
    ),
    click.option("--endpoint", help="API path, if the vendor has several: /v1/responses for openai."),
    click.option("--completion-window", help="Time limit for the vendor, if it offers a choice."),
    click.option("--template", type=FILE, help="Your own prompt template (docs/data.md)."),
    click.option(
        "--extract",
        multiple=True,
        metavar="NAME,...",
        help="Extractors for plain text answers, e.g. boxed,last_number (docs/extract.md) [default: the task's].",
    ),
    click.option(
        "--cache",
        type=click.Choice(("auto", "off")),
        help="Ask the vendor to keep the beginning that all requests share: auto (where it saves money) or off (docs/money.md) [default: auto].",
    ),
    click.option("--system-prompt", help="System text of your own, placed before the task's."),
    click.option(
        "--max-image-pixels", type=click.IntRange(1), help="Shrink larger pictures to at most this many pixels."
    ),
)
"""The flags as one decorator."""
