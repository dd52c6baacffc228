"""Layout `opencompass`: predictions and results of one data set as OpenCompass has them in a run's folder.

`predictions/{model}/{data set}.json` holds an object whose keys number the requests, repeat after repeat, with prompt,
prediction and gold, and with `id` and `sample`, which OpenCompass passes over; `results/{model}/{data set}.json` the
metrics and each verdict (github.com/open-compass/opencompass, opencompass/openicl and opencompass/datasets/generic.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.layouts import layton
from batchflow.layouts.base import About, Brought, Out, Settled, Sink
from batchflow.records import Item, Json
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import question_of

NAME = "opencompass"
ITEMS = True
VERDICTS = True
PREDICTIONS, RESULTS = "predictions", "results"
_RIGHT, _WRONG = "A", "B"
_UNSAFE = re.compile(r"[/\\\0]")


@dataclass(slots=True)
class _Counts:
    """Verdicts of one repeat."""

    right: int = 0
    wrong: int = 0
    neither: int = 0

    def metrics(self) -> dict[str, float]:
        """The metrics of OpenCompass's GenericLLMEvaluator: all but right answers count against the accuracy."""
        total = self.right + self.wrong + self.neither
        attempted = self.right + self.wrong
        share, given = self.right / total, self.right / attempted if attempted else 0.0
        return {
            "accuracy": 100 * share,
            "accuracy_given_attempted": 100 * given,
            "f1": 2 * given * share / (given + share) if given + share else 0.0,
            "attempted_ratio": 100 * attempted / total,
            "correct_count": self.right,
            "incorrect_count": self.wrong,
            "not_attempted_count": self.neither,
        }


class _Object:
    """A JSON object that is written entry by entry."""

    def __init__(self, sink: Sink, before: bytes = b"{") -> None:
        self._sink, self._gap = sink, before

    def add(self, key: str, value: Json) -> None:
        """Write one entry."""
        self._sink.write(b"%b\n%b: %b" % (self._gap, files.dumps(key), files.dumps(value)))
        self._gap = b","

    def end(self, after: bytes) -> None:
        """Write the end."""
        self._sink.write((b"{" if self._gap != b"," else b"") + after)


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    """Write both files of one batch, one row in memory at a time; without a verdict, that of predictions only."""
    name = f"{_piece(about.model)}/{_piece(about.name)}.json"
    repeats = int(about.spec.get("samples") or 1)
    size = about.requests // repeats
    counts: dict[int, _Counts] = {}
    numbers: dict[str, int] = {}
    with ExitStack() as stack:
        sink = stack.enter_context(out.file(f"{PREDICTIONS}/{name}"))
        predictions, details, prompt_of = _Object(sink), None, _prompts(about)
        for place, row in enumerate(rows):
            number = numbers.setdefault(row.item_id, len(numbers))
            key = str(row.sample * size + number if size else place)
            gold = row.item.references[0] if row.item and row.item.references else None
            prompt = [{"role": "HUMAN", "prompt": prompt_of(row.item) if row.item else ""}]
            entry = {"origin_prompt": prompt, "prediction": row.answer or "", "gold": gold}
            predictions.add(key, {**entry, "id": row.item_id, "sample": row.sample})
            if row.verdicts is None:  # nobody judged it: it counts as not attempted, as soon as others are judged
                counts.setdefault(row.sample, _Counts()).neither += 1
                continue
            if details is None:
                verdicts = stack.enter_context(out.file(f"{RESULTS}/{name}"))
                details = _Object(verdicts, b'{"details": {')
            details.add(key, _detail(row, gold, counts.setdefault(row.sample, _Counts())))
        predictions.end(b"\n}\n")
        if details is not None:
            details.end(b"\n}" + _metrics(list(counts.values())))


def _prompts(about: About) -> Callable[[Item], str]:
    """Returns the question to the model by item: as the task words it, else the item's own."""
    try:
        task = tasks.of_spec(about.task, about.spec)
        template = task.template(about.split, None)
    except UsageError:
        return question_of
    return lambda item: "\n".join(
        part for part in task.prompt(item, about.hints, template).parts if isinstance(part, str)
    )


def _piece(text: str) -> str:
    """A name as one piece of a path."""
    return _UNSAFE.sub("_", text)


def _detail(row: Settled, gold: str | None, counts: _Counts) -> Json:
    """One verdict. A, B and C of CompassVerifier stand as they are; other judges' by their value."""
    judgments = row.verdicts.said if row.verdicts else ()
    label = next((each.label for each in judgments if each.label), None)
    is_right = row.value is not None and row.value > 0.5
    letter = label if label in {_RIGHT, _WRONG, "C"} else None
    if letter is None and row.value is not None:
        letter = _RIGHT if is_right else _WRONG
    counts.right += is_right
    counts.wrong += letter == _WRONG and not is_right
    counts.neither += letter not in {_RIGHT, _WRONG}
    return {
        "pred": row.answer or "", "ref": gold, "origin_grade_response": label, "grade_letter": letter or "unknown",
        "correct": is_right,
    }  # fmt: skip


def _metrics(counts: list[_Counts]) -> bytes:
    """The metrics behind the details; of several repeats their means, named as OpenCompass names them."""
    each = [one.metrics() for one in counts if one.right + one.wrong + one.neither]
    runs = f" ({len(counts)} runs average)" if len(counts) > 1 else ""
    means = {f"{name}{runs}": sum(one[name] for one in each) / len(each) for name in (each[0] if each else {})}
    return b"".join(b",\n%b: %b" % (files.dumps(name), files.dumps(value)) for name, value in means.items()) + b"}\n"


def _document(path: Path) -> Mapping[str, Any] | None:
    """The predictions of a file; None for any other file."""
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        with path.open("rb") as handle:
            if b'"origin_prompt"' not in handle.read(1 << 16):
                return None
        value = files.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _prediction_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder that holds one for each model."""
    return sorted(path.glob("*/*.json")) if path.is_dir() else [path]


def recognises(path: Path) -> bool:
    """A file of predictions, or the folder `predictions` of a run."""
    several = _prediction_files(path)
    return bool(several) and all(_document(each) is not None for each in several)


def read(path: Path) -> Iterator[Brought]:
    """The predictions of one data set or several, by the numbers of their items, or by what this program wrote.

    Raises DataError with file, key and field.
    """
    for file in _prediction_files(path):
        for key, entry in (_document(file) or {}).items():
            where = f"{file}, key {key}"
            if not isinstance(entry, dict) or not isinstance(entry.get("prediction"), str):
                raise DataError(f"{where}, field prediction: a text is expected")
            known = {"sample": entry["sample"]} if entry.get("sample") is not None else {}
            answer = {"custom_id": str(entry.get("id") or key), "answer": entry["prediction"], **known}
            yield layton.brought({**answer, "model": file.parent.name}, where)
