"""Layout `layton`: one JSON object a request, layton-eval's five keys first; `results/<name>.jsonl` and judge files.

custom_id   the item. answer: text, or an object; null is an answer that is not there. model: who gave it.
sample      0, 1, ... where an item was answered several times. outcome: anything but `ok` is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.layouts.base import About, Brought, Out, Settled
from batchflow.records import Json, Outcome
from batchflow.tasks.base import known

NAME = "layton"
ITEMS = True
VERDICTS = False
_BLOCK = 1 << 16  # bytes that are written together
_KNOWN = frozenset({"id", "custom_id", "answer", "model", "original", "sample", "outcome", "parsed", "error", "usage"})


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    """Write `<name>.jsonl`."""
    marked = {"rehearsal": True} if about.rehearsal else {}  # never to be taken for the real thing
    with out.file(f"{about.name}.jsonl") as sink:
        lines, size = list[bytes](), 0
        for row in rows:
            line = files.dump_line({**shown(row), **marked} if marked else shown(row))
            lines.append(line)
            if (size := size + len(line)) > _BLOCK:
                sink.write(b"".join(lines))
                lines, size = [], 0
        sink.write(b"".join(lines))


def shown(row: Settled) -> Json:
    """A row as it stands in the file: layton-eval's keys, then what a reader needs to trust them.

    Question and reference stand at the end, where the item is known; several references are a list.
    """
    (
        row_id, item_id, answer, model, original, outcome, parsed, error, usage, sample, retried, custom_id,
        item, _, about,
    ) = row  # fmt: skip
    json: Json = {
        "id": row_id,
        "custom_id": item_id,
        "answer": answer,
        "model": model,
        "original": original,
        "outcome": outcome,
        "parsed": parsed,
        "error": error,
        "usage": usage,
        "sample": sample,
        "retried": retried,
        "request": custom_id,
    }
    about = known(item) if about is None and item is not None else about
    if about is not None:
        _, json["question"], right = about
        json["reference"] = right[0] if len(right) == 1 else list(right) or None
    return json


def recognises(path: Path) -> bool:
    """Any file: its first broken line is told."""
    return path.is_file()


def read(path: Path) -> Iterator[Brought]:
    """The rows of a JSON Lines file. Raises DataError with file, line and field."""
    for number, row in files.objects(path):
        yield brought(row, f"{path}, line {number}")


def brought(row: Json, where: str) -> Brought:
    """A row that somebody brings. Raises DataError for one without an id or an answer, and for a request."""
    if "answer" not in row and any(isinstance(row.get(name), dict) for name in ("body", "params", "request")):
        hint = "batchflow import requests FILE --provider NAME brings requests in, to be started"
        raise DataError(f"{where}: this is a request to a vendor, not an answer", hint=hint)
    custom_id, sample, model = row.get("custom_id"), row.get("sample"), row.get("model")
    if isinstance(custom_id, bool) or not isinstance(custom_id, str | int) or custom_id == "":
        raise DataError(f"{where}, field custom_id: {custom_id!r:.60} is not the id of an item")
    if "answer" not in row:
        raise DataError(f"{where}, field answer: it is missing", hint="a vote that is not there is written null")
    if model is not None and not isinstance(model, str):
        raise DataError(f"{where}, field model: {model!r:.60} is not a text")
    number = sample if isinstance(sample, int) else 0
    return Brought((str(custom_id), number), answer_text(row), model or "", where, row, _columns(row))


def answer_text(row: Json) -> str | None:
    """The answer of a row as text: an object as its JSON, None where there is none."""
    answer = row.get("answer")
    if answer is None or row.get("outcome", Outcome.OK.value) != Outcome.OK.value:
        return None
    return answer if isinstance(answer, str) else files.dumps(answer).decode()


def _columns(row: Json) -> Mapping[str, Any]:
    """Plain values under names of the user's own."""
    return {
        name: value
        for name, value in row.items()
        if name not in _KNOWN and (value is None or isinstance(value, str | int | float))
    }
