"""Files of questions and answers in EvalScope's form, and in both of FastChat's, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Json
from batchflow.steps.arena.config import Arena, Model
from batchflow.tasks.systems.arena import Asked, question_of


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one candidate, by question. ids: the question of each answer that has an id of its own (FastChat)."""

    name: str
    texts: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict)


def questions(path: Path) -> dict[str, Asked]:
    """The questions by id. Raises DataError with file, line and field."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="question_file is relative to the arena's file")
    rows: dict[str, Asked] = {}
    for number, row in files.objects(path):
        question = question_of(row, f"{path}, line {number}")
        if question.key in rows:
            raise DataError(f"{path}, line {number}: question {question.key} stands there twice")
        rows[question.key] = question
    return rows


def answers_in(name: str, path: Path) -> Answers:
    """Answers from a file of EvalScope's or FastChat's form. Raises DataError with file, line and field."""
    if not path.is_file():
        raise DataError(f"{path}: there are no answers of {name} here", hint="batchflow arena results writes them")
    texts: dict[str, str] = {}
    ids: dict[str, str] = {}
    for number, row in files.objects(path):
        where = f"{path}, line {number}"
        key = key_of(row, where)
        text = _text(row, where)
        if isinstance(text, str) and text.strip():
            texts[key] = text
        if isinstance(row.get("answer_id"), str):
            ids[row["answer_id"]] = key
    return Answers(name, texts, ids)


def key_of(row: Json, where: str) -> str:
    """The question that a row is about. Raises DataError."""
    key = row.get("question_id")
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise DataError(f"{where}, field question_id: {key!r:.60} is no id")
    return str(key)


def _text(row: Json, where: str) -> Any:
    """The answer of a row: `answer` or `text`, or the first turn of the first of `choices`. Raises DataError."""
    if "choices" not in row:
        return row["answer"] if "answer" in row else row.get("text")
    try:
        turn = row["choices"][0]["turns"][0]
        return turn["content"] if isinstance(turn, dict) else turn
    except (IndexError, KeyError, TypeError):
        raise DataError(f"{where}, field choices: a choice with turns is expected") from None


def named(arena: Arena, path: Path) -> tuple[str, Model | None]:
    """The giver of the answers of a file, by name and as the arena's candidate: by its file, else by its rows."""
    for model in arena.models:
        if model.output_file.resolve() == path.resolve():
            return model.name, model
    first = next((row for _, row in files.objects(path)), {}) if path.is_file() else {}
    name = arena.name_of(str(first.get("model_id") or path.stem))
    return name, next((model for model in arena.models if model.name == name), None)


def of_arena(arena: Arena) -> Iterator[Answers]:
    """All answers that are here: those of target_answers, of the candidates and of the baseline."""
    paths = [*arena.reviews.targets, *(model.output_file for model in arena.models), arena.reviews.baseline_file]
    for path in dict.fromkeys(path for path in paths if path is not None):
        if path.is_file():
            yield answers_in(named(arena, path)[0], path)


def lines(name: str, model: Model, batch: str, rows: Sequence[tuple[Asked, str]]) -> Iterator[bytes]:
    """Answers in EvalScope's form."""
    metadata = {"model": model.model, "provider": model.provider, "batch": batch}
    for question, answer in rows:
        row: Json = {"question_id": question.id, "text": question.text, "category": question.category}
        yield files.dump_line({**row, "model_id": name, "metadata": metadata, "answer": answer})


def fastchat_lines(name: str, batch: str, stamp: float, rows: Sequence[tuple[Asked, str]]) -> Iterator[bytes]:
    """Answers in FastChat's form, as `model_answer/MODEL.jsonl` holds them."""
    for question, answer in rows:
        row: Json = {"question_id": question.id, "answer_id": f"{batch}-{question.key}", "model_id": name}
        yield files.dump_line({**row, "choices": [{"index": 0, "turns": [answer]}], "tstamp": stamp})
