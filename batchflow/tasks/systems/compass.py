r"""Tasks of OpenCompass's guides: `aime2025`, `gpqa`, `mmlu_pro`, `hle`, `ifeval`, read from its own caches.

Each data set lies where OpenCompass puts it, below `COMPASS_DATA_CACHE` (or `~/.cache/opencompass`), and `hle` in the
cache of the library `datasets`, below `HF_DATASETS_CACHE`; `--data` names another file or folder. The questions are
OpenCompass's (github.com/open-compass/opencompass, opencompass/configs/datasets), and items are numbered from 0, as its
predictions are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.benchmarks.instructions import ARGUMENTS, IDS
from batchflow.records import Item, Schema
from batchflow.settings import Settings
from batchflow.tasks import neutral
from batchflow.tasks.base import Source, Template
from batchflow.tasks.datasets import arrow, tables
from batchflow.tasks.prompts import neutral_prompts
from batchflow.tasks.systems.own_words import OwnWords, own_template
from batchflow.texts.templates import Prompt

Row = Mapping[str, Any]
Fault = Callable[[str, str], DataError]
CATEGORIES = (
    "math", "physics", "chemistry", "law", "engineering", "other", "economics", "health", "psychology", "business",
    "biology", "philosophy", "computer science", "history",
)  # fmt: skip
"""Of MMLU-Pro, each a data set of its own in OpenCompass."""

_BOXED = "{question}\nRemember to put your final answer within \\boxed{}."
_LETTER = (
    "Answer the following multiple choice question. The last line of your response should be of the following format: "
    "'ANSWER: $LETTER' (without quotes) where LETTER is one of "
)
_GPQA = f"{_LETTER}ABCD.\n\n{{question}}\n\n{{options}}"
_MMLU_PRO = (
    f"{_LETTER}Options(e.g. one of ABCDEFGHIJKLMNOP). Think step by step before answering.\n\n"
    "Question:\n\n{question}\n\nOptions:\n\n{options}"
)
_SHUFFLES = ("ABCD", "BCDA", "CDAB", "DABC")
"""Orders of GPQA's options by the row's number, from 1."""


@dataclass(frozen=True, slots=True)
class Compass(OwnWords):
    """One data set. place: below the cache; asks: the question; mark: between a letter and its option.

    item: makes the item of a row, None for a row that is left out; kind: what judges it. owner: in the cache of
    `datasets`, for a data set that lies there.
    """

    NAME: str
    place: str
    asks: str
    item: Callable[[int, Row, Fault], Item | None]
    mark: str = ""
    owner: str = ""
    SPLITS: tuple[str, ...] = (neutral.ALL,)
    EXTRACT: tuple[str, ...] = ()
    JUDGED_BY: str = "compass-verifier"
    MAX_HINTS: int = 0
    FIELDS: tuple[str, ...] = ()
    ANSWER: Schema | None = None
    METRIC: str = "mean"
    BY: tuple[str, ...] = ()
    CLUSTER: str | None = None

    def source(self, settings: Settings, split: str, dataset: Path | None) -> Source:
        """The file or folder that `--data` names, or the cache's. Raises UsageError with the place."""
        path = dataset or self._cached(settings)
        if split not in self.SPLITS:
            raise UsageError(f"task {self.NAME} has no split {split!r}", hint=f"splits: {', '.join(self.SPLITS)}")
        if not self._files(path, split):
            raise UsageError(f"task {self.NAME}: there is no {self._wanted(path, split)}", hint=self._hint())
        return Source(str(path), path, files.sha256_of(path))

    def _cached(self, settings: Settings) -> Path:
        if self.owner:
            root = settings.environment.get("HF_DATASETS_CACHE", "").strip()
            return Path(root or Path.home() / ".cache/huggingface/datasets") / f"{self.owner}___{self.NAME}"
        root = settings.environment.get("COMPASS_DATA_CACHE", "").strip()
        return Path(root or Path.home() / ".cache/opencompass") / self.place

    def _hint(self) -> str:
        variable = "HF_DATASETS_CACHE" if self.owner else "COMPASS_DATA_CACHE"
        return f"set {variable} to the folder that holds OpenCompass's data, or name the file with --data"

    def _wanted(self, path: Path, split: str) -> str:
        if self.NAME == "gpqa" and not path.suffix:
            return str(path / f"gpqa_{split}.csv")
        return str(path if path.suffix or not path.is_dir() else path / "**/*test*.{parquet,arrow,jsonl}")

    def _files(self, path: Path, split: str) -> list[Path]:
        """The files of a split: the path itself, or those of the folder that hold its test rows."""
        if path.is_file():
            return [path]
        if self.NAME == "gpqa":
            return [each for each in [path / f"gpqa_{split}.csv"] if each.is_file()]
        endings = (".parquet", ".arrow", ".jsonl")
        return sorted(each for each in path.rglob("*test*") if each.suffix in endings and each.is_file())

    def items(self, source: Source, split: str) -> Iterator[Item]:
        """The rows of a split, numbered from 0. Raises DataError with file, row and field."""
        number = 0
        for path, place, row in _rows(self._files(source.path, split)):

            def fault(field: str, why: str, path: Path = path, place: str = place) -> DataError:
                return DataError(f"{path}, {place}, field {field}: {why}")

            item = self.item(number, row, fault)
            if item is None or (self.NAME == "mmlu_pro" and split not in {neutral.ALL, item.fields["category"]}):
                continue
            yield item._replace(id=str(number), split=split)
            number += 1
        if not number:
            raise DataError(f"{source.path}: there are no rows of split {split!r}")

    def template(self, split: str, path: Path | None) -> Template:  # noqa: ARG002 - the protocol's signature
        """OpenCompass's own words. Raises UsageError for a template of the user's."""
        return own_template(self.NAME, "OpenCompass's", self.asks, path)

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:  # noqa: ARG002 - the protocol's signature
        """The question in one turn, without a system text. Raises UsageError for hints."""
        neutral_prompts.refuse_hints(hints)
        lettered = zip(neutral.LETTERS, item.options, strict=False)
        options = "\n".join(f"{letter}{self.mark} {option}" for letter, option in lettered)
        before, _, after = self.asks.partition("{question}")
        return Prompt("", (f"{before}{item.question}{after.replace('{options}', options)}",))

    def columns(self, item: Item) -> Mapping[str, Any]:
        """The row's own columns; of a choice, the options."""
        options = {neutral.OPTIONS: files.dumps(item.options).decode()} if item.options else {}
        return {**neutral.ledger_columns(item), **options}

    def reference(self, item: Item) -> str:
        """The right answer; of a choice, its letter."""
        return neutral_prompts.reference(item)


def _rows(paths: Iterable[Path]) -> Iterator[tuple[Path, str, Row]]:
    """Rows of files, each with its place."""
    for path in paths:
        if path.suffix == ".arrow":
            for number, row in arrow.rows(path):
                yield path, f"row {number}", row
        else:
            table = tables.of(path)
            for number, row in table.rows(path, ("Question",) if path.suffix == ".csv" else ()):
                yield path, f"{table.word} {number}", row


def _text(row: Row, field: str, fault: Fault) -> str:
    value = row.get(field)
    if isinstance(value, bool | dict | list) or value is None or not str(value).strip():
        raise fault(field, "a text is expected")
    return str(value)


def _aime(_: int, row: Row, fault: Fault) -> Item | None:
    return Item("", "", {}, question=_text(row, "question", fault), references=(_text(row, "answer", fault),))


def _gpqa(number: int, row: Row, fault: Fault) -> Item | None:
    """The right option first in the file, all four in an order that turns with the row's number."""
    names = ("Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3)))
    given = [_text(row, name, fault) for name in names]
    order = _SHUFFLES[(number + 1) % 4]
    options = tuple(given["ABCD".index(letter)] for letter in order)
    letter = "ABCD"[options.index(given[0])]
    return Item("", "", {}, question=_text(row, "Question", fault), references=(letter,), options=options)


def _mmlu_pro(_: int, row: Row, fault: Fault) -> Item | None:
    given = row.get("options")
    options = tuple(str(each) for each in given if each != "N/A") if isinstance(given, list | tuple) else ()
    letter = _text(row, "answer", fault)
    if len(options) < 2 or letter not in neutral.LETTERS[: len(options)]:
        raise fault(
            "options" if len(options) < 2 else "answer", "a list of options, and the letter of one, are expected"
        )
    fields = {"category": _text(row, "category", fault)}
    return Item("", "", fields, question=_text(row, "question", fault), references=(letter,), options=options)


def _hle(_: int, row: Row, fault: Fault) -> Item | None:
    """A question without a picture; those with one are left out, as OpenCompass does."""
    if row.get("image"):
        return None
    fields = {name: row[name] for name in ("category", "answer_type") if isinstance(row.get(name), str)}
    return Item("", "", fields, question=_text(row, "question", fault), references=(_text(row, "answer", fault),))


def _ifeval(_: int, row: Row, fault: Fault) -> Item | None:
    """A prompt with the instructions that its answer has to follow."""
    fields: dict[str, Any] = {}
    for name in (IDS, ARGUMENTS):
        if not isinstance(row.get(name), list) or not row[name]:
            raise fault(name, "a list is expected")
        fields[name] = files.dumps(row[name]).decode()
    if len(row[IDS]) != len(row[ARGUMENTS]):
        raise fault(ARGUMENTS, "as many as instructions are expected")
    return Item("", "", fields, question=_text(row, "prompt", fault))


AIME2025 = Compass("aime2025", "data/aime2025/aime2025.jsonl", _BOXED, _aime)
GPQA = Compass("gpqa", "data/gpqa", _GPQA, _gpqa, mark=")", SPLITS=("diamond", "main", "extended"))
MMLU_PRO = Compass("mmlu_pro", "data/mmlu_pro", _MMLU_PRO, _mmlu_pro, mark=".", SPLITS=(neutral.ALL, *CATEGORIES))
IFEVAL = Compass("ifeval", "data/ifeval/input_data.jsonl", "{question}", _ifeval, JUDGED_BY="correctness")
HLE = Compass("hle", "", _BOXED, _hle, owner="cais")
