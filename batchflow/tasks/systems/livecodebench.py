"""Task `livecodebench`: LiveCodeBench's code generation, as OpenCompass's guide for LMDeploy has it (`-d code`).

A release is a list of files, `test.jsonl` to `test6.jsonl`, below `data/code_generation_lite` of OpenCompass's cache; a
version (`v6`) is one of them. Tests stay in these files, which may hold gigabytes: an item knows the place of its row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.judges.scripts.livecodebench import Fault, problem_of
from batchflow.judges.systems.internbootcamp import GROUND_TRUTH
from batchflow.records import Item
from batchflow.tasks.base import Source, Template
from batchflow.tasks.prompts import neutral_prompts
from batchflow.tasks.systems.compass import Compass
from batchflow.texts.templates import Prompt

VERSIONS = ("v6", "v5", "v4", "v3", "v2", "v1")
RELEASES = tuple(f"release_{version}" for version in VERSIONS)
STARTER = "starter_code"
_TEXTS = ("question_content", "question_id")
_KEPT = ("question_id", "platform", "difficulty", "contest_date")
_ASKS = (
    "### Question:\n{question}\n\n### Format: {format}\n```python\n{code}\n```\n\n"
    "### Answer: (use the provided format with backticks)\n\n"
)
_FUNCTION = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows."
)


@dataclass(frozen=True, slots=True)
class LiveCodeBench(Compass):
    """The task."""

    def _wanted(self, path: Path, split: str) -> str:
        if path.suffix or path.is_file():
            return str(path)
        return str(next((each for each in _release(path, split) if not each.is_file()), path))

    def _files(self, path: Path, split: str) -> list[Path]:
        """The files of a release, all of them there; none where one lacks."""
        if path.is_file():
            return [path]
        release = _release(path, split)
        return release if all(each.is_file() for each in release) else []

    def items(self, source: Source, split: str) -> Iterator[Item]:
        """The problems of a release, numbered from 0. Raises DataError with file, line and field."""
        number = 0
        for path in self._files(source.path, split):
            for line, offset, raw in _lines(path):
                where = f"{path}, line {line}"
                yield _item(raw, where, {"path": str(path.absolute()), "offset": offset})._replace(
                    id=str(number), split=split
                )
                number += 1
        if not number:
            raise DataError(f"{source.path}: there are no rows of split {split!r}")

    def prompt(self, item: Item, hints: int, template: Template) -> Prompt:  # noqa: ARG002 - the protocol's signature
        """The question in one turn, without a system text. Raises UsageError for hints."""
        neutral_prompts.refuse_hints(hints)
        starter = item.fields[STARTER]
        before, after = self.asks.split("{question}")
        form = after.replace("{format}", _FUNCTION if starter else _STDIN)
        return Prompt("", (f"{before}{item.question}{form.replace('{code}', starter or '# YOUR CODE HERE')}",))

    def columns(self, item: Item) -> Mapping[str, Any]:
        """Id, platform, difficulty and date of the problem."""
        return {name: item.fields[name] for name in _KEPT if name in item.fields}


def _release(folder: Path, split: str) -> list[Path]:
    """The files of a version, or of all versions up to a release's."""
    last = int(split[-1])
    first = 1 if split in RELEASES else last
    return [folder / f"test{number if number > 1 else ''}.jsonl" for number in range(first, last + 1)]


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Lines of a file that are not empty, with number and offset."""
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, offset, line
            offset += len(line)


def _item(raw: bytes, where: str, place: dict[str, Any]) -> Item:
    """The item of one row. Raises DataError."""
    try:
        row = files.loads(raw)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: an object is expected")
    for name in _TEXTS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise DataError(f"{where}, field {name}: a text is expected")
    try:
        problem_of(row)
    except Fault as fault:
        raise DataError(f"{where}, field {fault.field}: {fault}") from None
    truth = files.dumps({**place, "sha256": hashlib.sha256(raw).hexdigest()}).decode()
    fields = {name: str(row[name]) for name in _KEPT if row.get(name) is not None}
    fields |= {STARTER: str(row.get(STARTER) or ""), GROUND_TRUTH: truth}
    return Item("", "", fields, question=row["question_content"], references=(row["question_id"],))


LIVECODEBENCH = LiveCodeBench(
    "livecodebench",
    "data/code_generation_lite",
    _ASKS,
    lambda *_: None,
    SPLITS=(*VERSIONS, *RELEASES),
    JUDGED_BY="correctness",
)
