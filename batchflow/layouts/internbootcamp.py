"""Layout `internbootcamp`: the folder that InternBootcamp's run_eval.py writes, with intervals on a second sheet.

`{model}_{test_dir}_{YYYYmmdd_HHMMSS}/` holds details/, meta.jsonl, eval_args.json, progress.log and
`{model}_scores.xlsx` (github.com/InternLM/InternBootcamp, examples/unittests/run_eval.py). Two things differ:
eval_args.json holds no key, and `output_len` counts the model's tokens, not words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.judges.systems.internbootcamp import GROUND_TRUTH
from batchflow.layouts import layton
from batchflow.layouts.base import About, Brought, Out, Settled
from batchflow.records import Json
from batchflow.tasks.systems.internbootcamp import BOOTCAMP

NAME = "internbootcamp"
ITEMS = True
VERDICTS = True
DETAILS, META = "details", "meta.jsonl"
_BAR = 50
_SHEET = ("bootcamp", "Average Score", "Average Output Length")
_INTERVALS = ("bootcamp", "Items", "Scored", "Average Score", "95% low", "95% high", "Method")


@dataclass(slots=True)
class _Bootcamp:
    """One test file's numbers. items: rows; scores: of those with a verdict; tokens: of the answers that tell them."""

    name: str
    items: int = 0
    scores: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def score(self) -> float | None:
        """Mean of the scores there are; None without one."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def length(self) -> float | None:
        """Mean number of output tokens; None where no answer tells it."""
        return sum(self.tokens) / len(self.tokens) if self.tokens else None


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    """Write the tree of one batch; a file of details for each bootcamp, one row in memory at a time."""
    folder = f"{_piece(about.model)}_{_piece(Path(about.dataset).name)}_{about.made_at:%Y%m%d_%H%M%S}"
    bootcamps: list[_Bootcamp] = []
    for name, group in groupby(rows, _bootcamp):
        tally = _Bootcamp(name)
        with out.file(f"{folder}/{DETAILS}/{_piece(name)}.jsonl") as sink:
            for row in group:
                sink.write(files.dump_line(_detail(row, tally)))
        bootcamps.append(tally)
    bootcamps.sort(key=lambda each: each.name)
    with out.file(f"{folder}/{META}") as sink:
        for each in bootcamps:
            sink.write(files.dump_line({"bootcamp": each.name, "avg_score": each.score, "avg_len": each.length}))
    with out.file(f"{folder}/eval_args.json") as sink:
        sink.write(files.dumps(_arguments(about)) + b"\n")
    with out.file(f"{folder}/progress.log") as sink:
        sink.write(_progress(bootcamps).encode())
    with out.file(f"{folder}/{_piece(about.model)}_scores.xlsx") as sink:
        sink.write(_workbook(bootcamps))


def _piece(text: str) -> str:
    """A name as one piece of a path."""
    return re.sub(r"[/\\\0]", "_", text)


def _bootcamp(row: Settled) -> str:
    """The test file of a row, which its id begins with where the item is not known."""
    return str(row.item.fields[BOOTCAMP]) if row.item else row.item_id.rpartition("-")[0] or row.item_id


def _detail(row: Settled, tally: _Bootcamp) -> Json:
    """A row as `details/` holds it; a score that is not there is null, never 0."""
    tokens = (row.usage or {}).get("output_tokens")
    tally.items += 1
    tally.tokens += [] if tokens is None else [tokens]
    tally.scores += [] if row.value is None else [row.value]
    rulings = row.verdicts.said if row.verdicts else ()
    truth = row.item.fields[GROUND_TRUTH] if row.item else "null"
    return {
        "id": int(index) if (index := row.item_id.rpartition("-")[2]).isdecimal() else index,
        "prompt": row.item.question if row.item else None,
        "output_len": tokens,
        "score": row.value,
        "extracted_output": next((each.extracted for each in rulings if each.extracted is not None), None),
        "ground_truth": files.loads(truth),
        "output": row.answer,
        "outcome": row.outcome,
        "error": row.error,
        "sample": row.sample,
    }


def _arguments(about: About) -> Json:
    """The settings of the run by the names that run_eval.py gives them; it has no key."""
    spec, local = about.spec, about.spec.get("base_url")
    return {
        "url": local[0] if isinstance(local, list) and local else local,
        "model_name": about.model,
        "test_dir": about.dataset,
        "api_mode": {"chat": "chat_completion"}.get(str(spec.get("mode")), spec.get("mode")),
        "template": spec.get("template"),
        "max_tokens": about.params.get("max_tokens"),
        "temperature": about.params.get("temperature"),
        "sys_prompt": spec.get("system_prompt"),
        "max_concurrent_requests": spec.get("concurrency"),
        "timeout": spec.get("timeout_s"),
        "max_retries": spec.get("retries"),
        "max_retrying_delay": spec.get("backoff_cap_s"),
        "provider": about.provider,
        "batch": about.name,
        **({"rehearsal": True} if about.rehearsal else {}),
    }


def _progress(bootcamps: list[_Bootcamp]) -> str:
    n = len(bootcamps)
    lines = [f"Main Progress: {n}/{n} [{'=' * _BAR}] 100.00% [Completed]"]
    lines += [f"{each.name}: {each.items}/{each.items} [{'=' * _BAR}] 100.00% [Completed]" for each in bootcamps]
    return "\n".join(lines) + "\n"


def _workbook(bootcamps: list[_Bootcamp]) -> bytes:
    """Their sheet, sorted by name and ending with the unweighted mean of the files; and one with intervals."""
    import xlsxwriter

    buffer = io.BytesIO()
    with xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        sheet = book.add_worksheet("Sheet1")
        rows = [_SHEET, *((each.name, each.score, each.length) for each in bootcamps)]
        rows.append(
            ("Total Average", _mean(each.score for each in bootcamps), _mean(each.length for each in bootcamps))
        )
        intervals = book.add_worksheet("Intervals")
        for page, table in ((sheet, rows), (intervals, [_INTERVALS, *_estimates(bootcamps)])):
            for number, cells in enumerate(table):
                page.write_row(number, 0, ["" if cell is None else cell for cell in cells])
    return buffer.getvalue()


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _estimates(bootcamps: list[_Bootcamp]) -> Iterator[tuple[Any, ...]]:
    """A row for each bootcamp, and one for all their items together (the micro average)."""
    from batchflow.score import estimate

    whole = _Bootcamp(
        "All items", sum(each.items for each in bootcamps), [s for each in bootcamps for s in each.scores]
    )
    for each in (*bootcamps, whole):
        if not each.scores:
            yield (each.name, each.items, 0, None, None, None, "no verdict")
            continue
        mean = estimate(each.scores)
        low, high = mean.interval.low, mean.interval.high
        yield (each.name, each.items, len(each.scores), mean.mean, low, high, mean.interval.method)


def recognises(path: Path) -> bool:
    """A folder with details/ and meta.jsonl."""
    return path.is_dir() and (path / DETAILS).is_dir() and (path / META).is_file()


def read(path: Path) -> Iterator[Brought]:
    """The rows of a run, by the ids that task `internbootcamp` gives. Raises DataError with file, line and field."""
    model = _model(path)
    for file in sorted((path / DETAILS).glob("*.jsonl")):
        for number, row in files.objects(file):
            where = f"{file}, line {number}"
            if isinstance(row.get("id"), bool) or not isinstance(row.get("id"), int):
                raise DataError(f"{where}, field id: the number of a row is expected")
            if "output" not in row:
                raise DataError(f"{where}, field output: it is missing")
            answer = {name: row[name] for name in ("outcome", "sample") if row.get(name) is not None}
            yield layton.brought(
                {**answer, "custom_id": f"{file.stem}-{row['id']}", "answer": row["output"], "model": model}, where
            )


def _model(path: Path) -> str:
    """The model that eval_args.json names, else an empty text. Raises DataError for a broken file."""
    file = path / "eval_args.json"
    if not file.is_file():
        return ""
    try:
        return str(files.loads(file.read_bytes()).get("model_name") or "")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{file}: it holds no JSON object ({error})") from None
