"""Layout `mixeval`: the tree of MixEval's model responses, which its own `compute_metrics` reads.

`{model}/{benchmark}/{version}/` holds the responses, `{model}_close_freeform[_hard].jsonl` and the like for multiple
choice, the verdicts of each judge, `judge_results_{ff|mp}_model_judge_{judge}.jsonl`, and score.json
(github.com/Psycoy/MixEval, mix_eval/compute_metrics.py). An answer without a verdict is in
no file of verdicts; there it got a random one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.layouts import layton
from batchflow.layouts.base import About, Brought, Out, Said, Settled, Sink
from batchflow.records import Item, Json
from batchflow.tasks.systems import mixeval

NAME = "mixeval"
ITEMS = True
VERDICTS = True
_HALVES = {mixeval.FREE_FORM: ("close_freeform", "ff"), mixeval.CHOICE: ("close_multichoice", "mp")}
_LONGEST = 100
_ANSWERS = re.compile(r"(?P<model>.+)_close_(?P<half>freeform|multichoice)(?:_hard)?\.jsonl")
_PREFIX = {"freeform": "ff", "multichoice": "mc"}


@dataclass(slots=True)
class _Scores:
    """Verdicts of one half: their sums and numbers, by benchmark, over all of them under `overall`."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, source: str, value: float) -> None:
        """Count one verdict."""
        for name in ("overall", source):
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def rounded(self) -> dict[str, float]:
        """Means to three decimals, which MixEval rounds before it weighs the halves."""
        return {name: round(total / self.counts[name], 3) for name, total in self.sums.items()}


class _Files:
    """The tree's files, each opened when its first row comes."""

    def __init__(self, out: Out, folder: str, stack: ExitStack) -> None:
        self._out, self._folder, self._stack = out, folder, stack
        self._open: dict[str, Sink] = {}

    def add(self, name: str, row: Json) -> None:
        """Append a row to the file of this name."""
        if name not in self._open:
            self._open[name] = self._stack.enter_context(self._out.file(f"{self._folder}/{name}"))
        self._open[name].write(files.dump_line(row))


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    """Write the tree of one batch, one row in memory at a time."""
    is_hard = about.task == mixeval.HARD.NAME
    model, benchmark = _piece(about.model), about.task.replace("-", "_")
    folder = f"{model}/{benchmark}/{_version(about.dataset)}"
    scores = {half: _Scores() for half in _HALVES}
    with ExitStack() as stack:
        tree = _Files(out, folder, stack)
        for row in rows:
            if row.item is None:
                continue
            entry = _entry(row, row.item)
            half = str(row.item.fields["half"])
            split, short = _HALVES[half]
            tree.add(f"{model}_{split}{'_hard' if is_hard else ''}.jsonl", entry)
            for judgment in row.verdicts.said if row.verdicts else ():
                if judgment.value is not None:
                    keys = _verdict(judgment, half, row.item)
                    tree.add(f"judge_results_{short}_model_judge_{_piece(judgment.judge)}.jsonl", {**entry, **keys})
            if row.value is not None:
                scores[half].add(str(row.item.fields["source"]), row.value)
    if any(each.counts for each in scores.values()):
        with out.file(f"{folder}/score.json") as sink:
            sink.write(files.dumps(_together(list(scores.values()))) + b"\n")


def _piece(text: str) -> str:
    """A name as one piece of a path, as MixEval writes a judge's."""
    return re.sub(r"[/\\\0:]", "_", text)[:_LONGEST]


def _version(dataset: str) -> str:
    """The date of the data's version, which its folder's name ends with; else that name."""
    folder = Path(dataset).parent.name if Path(dataset).name in {"mixeval", "mixeval-hard"} else Path(dataset).name
    return folder.removeprefix("mixeval-") or "unknown"


def _entry(row: Settled, item: Item) -> Json:
    """A row as MixEval's runner writes it, and what this program knows beside it."""
    is_choice = bool(item.options)
    gold = item.references[0] if is_choice else ""
    return {
        "problem_type": "multiple-choice" if is_choice else "free-form",
        "context": item.context,
        "prompt": item.question,
        **({"options": list(item.options)} if is_choice else {}),
        "target": [ord(gold) - ord("A")] if is_choice else list(item.references),
        "benchmark_name": item.fields["source"],
        "formated_input": mixeval.asked(item),
        "id": item.id.partition("-")[2],
        "response": row.answer,
        "outcome": row.outcome,
        "sample": row.sample,
    }


def _verdict(judgment: Said, half: str, item: Item) -> Json:
    """A judge's verdict by the keys of its half; a rule says no letter, only whether the right option was chosen."""
    if half == mixeval.FREE_FORM:
        return {"judge_response": judgment.label and f"[[{judgment.label}]]", "judge_score": judgment.value}
    letter = judgment.label or (item.references[0] if judgment.value == 1 else None)
    return {"judge_response": letter and f"[[{letter}]]", "judge_option": letter or "-1"}


def _together(halves: list[_Scores]) -> Mapping[str, float]:
    """The score of each benchmark and of all, the halves weighed by their rows as MixEval does."""
    means = [each.rounded() for each in halves]
    names = dict.fromkeys(("overall", *(name for each in halves for name in each.counts)))
    whole = {name: sum(each.counts.get(name, 0) for each in halves) for name in names}
    return {
        name: sum(
            mean.get(name, 0) * each.counts.get(name, 0) / whole[name] for mean, each in zip(means, halves, strict=True)
        )
        for name in names
    }


def _answer_files(path: Path) -> list[tuple[Path, re.Match[str]]]:
    candidates = ((each, _ANSWERS.fullmatch(each.name)) for each in sorted(path.glob("*_close_*.jsonl")))
    return [(each, match) for each, match in candidates if match]


def recognises(path: Path) -> bool:
    """A folder of one version with files of responses."""
    return path.is_dir() and bool(_answer_files(path))


def read(path: Path) -> Iterator[Brought]:
    """The responses of one version, by the ids that tasks mixeval and mixeval-hard give.

    Raises DataError with file, line and field.
    """
    for file, match in _answer_files(path):
        for number, row in files.objects(file):
            where = f"{file}, line {number}"
            if not isinstance(row.get("id"), str | int) or isinstance(row.get("id"), bool):
                raise DataError(f"{where}, field id: the key of a row is expected")
            if "response" not in row:
                raise DataError(f"{where}, field response: it is missing")
            known: dict[str, Any] = {name: row[name] for name in ("outcome", "sample") if row.get(name) is not None}
            answer = {"custom_id": f"{_PREFIX[match['half']]}-{row['id']}", "answer": row["response"]}
            yield layton.brought({**known, **answer, "model": match["model"]}, where)
