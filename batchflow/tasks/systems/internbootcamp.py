"""Task `internbootcamp`: a folder of InternBootcamp's test files as they are, each row's prompt sent word for word.

A row has `data_source`, `prompt` and `ground_truth`, which is any JSON (github.com/InternLM/InternBootcamp,
examples/unittests/run_eval.py). The folder is one batch, so one limiter serves all files; each file is one bootcamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.systems.internbootcamp import GROUND_TRUTH, SOURCE
from batchflow.records import Item, Json, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.prompts import neutral_prompts
from batchflow.texts.templates import Prompt

NAME = "internbootcamp"
SPLITS = (neutral.ALL,)
MAX_HINTS = 0
FIELDS: tuple[str, ...] = ()
ANSWER: Schema | None = None
EXTRACT: tuple[str, ...] = ()
JUDGED_BY = "internbootcamp"
JUDGE_FACTS: Json = {}
METRIC = "mean"
BOOTCAMP = "bootcamp"
"""Column of the test file's name without its ending."""
BY: tuple[str, ...] = ()
CLUSTER: str | None = None

_WANTED = ("data_source", "prompt", "ground_truth")


def source(settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG001 - the protocol's signature
    """The folder that `--data` names, or one of its files. Raises UsageError."""
    if dataset is None:
        raise UsageError(f"task {NAME} has no data of its own", hint="--data examples/bootcamp_eval names a folder")
    if not _files(dataset):
        raise UsageError(f"{dataset}: there is no .jsonl file in it", hint="name the folder that --test_dir named")
    return Source(str(dataset), dataset, files.sha256_of(dataset))


def items(source: Source, split: str) -> Iterator[Item]:  # noqa: ARG001 - the protocol's signature
    """The rows of all files, in the order of their names. Raises DataError with file, line and field."""
    count = 0
    for path in _files(source.path):
        for index, (number, row) in enumerate(files.objects(path)):
            count += 1
            yield _item(row, path.stem, index, f"{path}, line {number}")
    if not count:
        raise DataError(f"{source.path}: its files hold no row")


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.jsonl")) if path.is_dir() else [path] if path.suffix == ".jsonl" else []


def _item(row: Json, bootcamp: str, index: int, where: str) -> Item:
    for name in _WANTED:
        if name not in row:
            raise DataError(f"{where}, field {name}: it is missing", hint=f"a row holds {', '.join(_WANTED)}")
    for name in _WANTED[:2]:
        if not isinstance(row[name], str) or not row[name].strip():
            raise DataError(f"{where}, field {name}: a text is expected")
    truth = files.dumps(row["ground_truth"]).decode()
    fields = {BOOTCAMP: bootcamp, SOURCE: row["data_source"], GROUND_TRUTH: truth}
    return Item(f"{bootcamp}-{index}", neutral.ALL, fields, question=row["prompt"], references=(truth,))


def template(split: str, path: Path | None) -> Template:  # noqa: ARG001 - the protocol's signature
    """The row's own prompt. Raises UsageError for a template of the user's."""
    if path is not None:
        raise UsageError(
            f"task {NAME} sends each row's prompt word for word",
            hint="--prompt-template r1, qwen, internthinker, chatml or FILE.toml puts text around it",
        )
    return Template(f"builtin:{NAME}", "{prompt}", files.digest(b"{prompt}"))


def prompt(item: Item, hints: int, template: Template) -> Prompt:  # noqa: ARG001 - the protocol's signature
    """The row's prompt, in one turn without a system text. Raises UsageError for hints."""
    neutral_prompts.refuse_hints(hints)
    return Prompt("", (item.question,))


def columns(item: Item) -> Mapping[str, Any]:
    """`bootcamp`, `data_source`, and the ground truth as JSON text."""
    return item.fields


def reference(item: Item) -> str:
    """The ground truth as JSON text."""
    return item.references[0]


hints_available, hint_places = neutral_prompts.no_hints, neutral_prompts.no_places
