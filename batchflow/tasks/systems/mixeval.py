"""Tasks `mixeval` and `mixeval-hard`: MixEval's files as they are, asked in its own words.

A version's folder holds `mixeval/` and `mixeval-hard/`, each with `free-form.json` and `multiple-choice.json`: one
object whose keys number the rows (github.com/Psycoy/MixEval, mix_eval/data and mix_eval/prompts/evaluation_prompts.py).
Rows are not unique there: 446 of the 1,000 hard rows of 2024-06-01 differ; intervals are clustered by what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.systems.mixeval import GOLD, HALF, HALVES
from batchflow.records import Item, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.prompts import neutral_prompts
from batchflow.tasks.systems.own_words import OwnWords, own_template
from batchflow.texts import templates
from batchflow.texts.templates import Prompt

FREE_FORM, CHOICE = HALVES
_ASKED = {  # the last line of each question
    CHOICE: "Answer with the option letter from the given choices directly.",
    FREE_FORM: "Answer the question shortly.",
    **dict.fromkeys(("BBH", "GSM8k", "MATH"), "Answer the question. \nLet's think step by step."),
}
_TEMPLATE = "{question}"
_FIELDS = frozenset({"problem_type", "context", "prompt", "target", "options", "benchmark_name"})


@dataclass(frozen=True, slots=True)
class MixEval(OwnWords):
    """One of the two benchmarks. folder: its place in the folder of a version."""

    NAME: str
    folder: str
    SPLITS: tuple[str, ...] = (neutral.ALL, FREE_FORM, CHOICE)
    MAX_HINTS: int = 0
    FIELDS: tuple[str, ...] = ()
    ANSWER: Schema | None = None
    EXTRACT: tuple[str, ...] = ()
    JUDGED_BY: str = "mixeval"
    METRIC: str = "mean"
    BY: tuple[str, ...] = ()
    CLUSTER: str | None = None

    def source(self, settings: Settings, split: str, dataset: Path | None) -> Source:  # noqa: ARG002 - the protocol's signature
        """The folder of the benchmark, which `--data` names or which lies in what it names. Raises UsageError."""
        if dataset is None:
            raise UsageError(f"task {self.NAME} has no data of its own", hint="--data mix_eval/data/mixeval-2024-08-11")
        places = [path for path in (dataset, dataset / self.folder) if _halves(path)]
        if not places:
            raise UsageError(
                f"{dataset}: there is no {self.folder}/{FREE_FORM}.json or {self.folder}/{CHOICE}.json",
                hint="name the folder of one version: --data mix_eval/data/mixeval-2024-08-11" + _versions(dataset),
            )
        return Source(str(places[0]), places[0], files.sha256_of(places[0]))

    def items(self, source: Source, split: str) -> Iterator[Item]:
        """The rows of a half, or of both, free-form first. Raises DataError with file, row and field."""
        count = 0
        for half, path in _halves(source.path).items():
            if split in {neutral.ALL, half}:
                for key, row in _rows(path):
                    count += 1
                    yield _item(path, half, key, row)
        if not count:
            raise DataError(f"{source.path}: there are no {split} rows", hint=f"splits: {', '.join(self.SPLITS)}")

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """MixEval's own words. Raises UsageError for a template of the user's."""
        return own_template(self.NAME, "MixEval's", "\n".join([_TEMPLATE, *_ASKED.values()]), path)

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:  # noqa: ARG002 - the protocol's signature
        """The question with its context, options and last line, in one turn without a system text."""
        neutral_prompts.refuse_hints(hints)
        return Prompt("", (asked(item),))

    def columns(self, item: Item) -> Mapping[str, Any]:
        """`source`, the benchmark that a row is from, and its half; of a choice, the options and the right letter."""
        options = {neutral.OPTIONS: files.dumps(item.options).decode()} if item.options else {}
        return {**item.fields, **options}

    def reference(self, item: Item) -> str:
        """The first gold answer; of a choice, the right letter."""
        return str(item.fields.get(GOLD) or item.references[0])


def asked(item: Item) -> str:
    """The question of an item in MixEval's own words."""
    context = f"{item.context}\n" if item.context else ""
    if item.options:
        return f"{context}{item.question}\n{templates.lettered(item.options)}\n{_ASKED[CHOICE]}"
    last = _ASKED.get(str(item.fields["source"]), _ASKED[FREE_FORM])
    return f"Question: {context}{item.question}\n{last}"


def _halves(folder: Path) -> dict[str, Path]:
    return {half: path for half in (FREE_FORM, CHOICE) if (path := folder / f"{half}.json").is_file()}


def _versions(dataset: Path) -> str:
    versions = sorted(path.name for path in dataset.glob("mixeval-*") if path.is_dir()) if dataset.is_dir() else []
    return f"; versions here: {', '.join(versions)}" if versions else ""


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        document = files.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(document, dict):
        raise DataError(f"{path}: it has to be an object whose keys number the rows")
    for key, row in document.items():
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {key}: it is not an object")
        yield key, row


def _item(path: Path, half: str, key: str, row: Mapping[str, Any]) -> Item:
    def fault(field: str, why: str) -> DataError:
        return DataError(f"{path}, row {key}, field {field}: {why}")

    question, source = row.get("prompt"), row.get("benchmark_name")
    if not isinstance(question, str) or not question:
        raise fault("prompt", "a text is expected")
    if not isinstance(source, str) or not source:
        raise fault("benchmark_name", "a text is expected")
    targets = row.get("target")
    if not isinstance(targets, list) or not targets:
        raise fault("target", "a list of right answers is expected")
    context = row.get("context")
    has_context = context is not None and str(context).lower() not in {"none", "null"} and str(context).strip()
    fields: dict[str, Any] = {name: value for name, value in row.items() if name not in _FIELDS}
    fields |= {"source": source, HALF: half}
    options = _options(row.get("options"), fault) if half == CHOICE else ()
    if options:
        (target, *others) = targets
        if type(target) is not int or not 0 <= target < len(options) or others:
            raise fault("target", f"one number from 0 to {len(options) - 1} is expected")
        fields[GOLD] = neutral.LETTERS[target]
        references: tuple[str, ...] = (neutral.LETTERS[target],)
    else:
        references = tuple(str(target) for target in targets)
    context_text = str(context) if has_context else None
    item_id = f"{'mc' if half == CHOICE else 'ff'}-{key}"
    return Item(item_id, half, fields, question=question, context=context_text, references=references, options=options)


def _options(value: Any, fault: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= len(neutral.LETTERS):
        raise fault("options", f"a list of 2 to {len(neutral.LETTERS)} is expected")
    return tuple(str(option) for option in value)


FULL = MixEval("mixeval", "mixeval")
HARD = MixEval("mixeval-hard", "mixeval-hard")
