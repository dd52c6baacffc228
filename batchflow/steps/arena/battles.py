"""Battles: each question with two answers, in an order, or with one answer that is rated alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations
from pathlib import Path

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Json
from batchflow.steps.arena import templates
from batchflow.steps.arena.config import Arena, Model
from batchflow.steps.base.context import Context
from batchflow.tasks.systems.arena import SYSTEM, question_of


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one candidate, by question id."""

    name: str
    texts: Mapping[str, str]


@dataclass(slots=True)
class Made:
    """A file of battles. unanswered: questions without an answer, by candidate. forged: answers with a mark."""

    path: Path
    count: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)
    forged: int = 0


def questions(path: Path) -> dict[str, tuple[str, str]]:
    """Text and category of each question, by id. Raises DataError with file, line and field."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="question_file is relative to the arena's file")
    texts: dict[str, tuple[str, str]] = {}
    for number, row in files.objects(path):
        key, text, category = question_of(row, f"{path}, line {number}")
        if key in texts:
            raise DataError(f"{path}, line {number}: question {key} stands there twice")
        texts[key] = (text, category)
    return texts


def answers_in(name: str, path: Path) -> Answers:
    """Answers from a file of EvalScope's or FastChat's form. Raises DataError with file, line and field."""
    if not path.is_file():
        raise DataError(f"{path}: there are no answers of {name} here", hint="batchflow arena results writes them")
    texts: dict[str, str] = {}
    for number, row in files.objects(path):
        key = row.get("question_id")
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise DataError(f"{path}, line {number}, field question_id: {key!r:.60} is no id")
        text = row["answer"] if "answer" in row else row.get("text")
        if isinstance(text, str) and text.strip():
            texts[str(key)] = text
    return Answers(name, texts)


def write(context: Context, arena: Arena) -> Made:
    """Write the file of battles for the answers that are here. Raises DataError without any.

    The same answers and settings give the same bytes.
    """
    questions_by_id = questions(arena.question_file)
    candidates, baseline = _candidates(arena)
    tally = Made(context.settings.processed / "arena" / f"{arena.reviewing}.jsonl")
    tally.unanswered = {
        each.name: missing
        for each in (*candidates, *([baseline] if baseline else []))
        if (missing := len(questions_by_id.keys() - each.texts.keys()))
    }
    with files.replacing(tally.path) as out:
        for row in _battles(arena, questions_by_id, candidates, baseline, tally):
            out.write(files.dump_line(row))
            tally.count += 1
    if not tally.count:
        raise DataError(f"{arena.path}: no question has answers to be compared", hint="batchflow arena results")
    return tally


def _candidates(arena: Arena) -> tuple[list[Answers], Answers | None]:
    """The answers to be reviewed, and the baseline's."""
    reviews = arena.reviews
    if reviews.targets:
        named = {model.output_file.resolve(): model for model in arena.models}
        reviewed = [answers_in(_name_of(path, named.get(path.resolve())), path) for path in reviews.targets]
    else:
        reviewed = [answers_in(model.name, model.output_file) for model in arena.asked]
    if reviews.mode == "pairwise_baseline":
        if reviews.baseline_file is None:
            raise DataError(f"{arena.path}: mode pairwise_baseline needs reviews_gen.baseline_file")
        named = {model.output_file.resolve(): model for model in arena.models}
        baseline = answers_in(
            _name_of(reviews.baseline_file, named.get(reviews.baseline_file.resolve())), reviews.baseline_file
        )
        return [each for each in reviewed if each.name != baseline.name], baseline
    if reviews.mode == "pairwise" and len(reviewed) < 2:
        raise DataError(f"{arena.path}: a battle needs the answers of two candidates", hint="enable another one")
    return reviewed, None


def _name_of(path: Path, model: Model | None) -> str:
    """The name of whoever answered: the candidate whose file it is, else what the rows or the file say."""
    if model is not None:
        return model.name
    first = next((row for _, row in files.objects(path)), {}) if path.is_file() else {}
    return str(first.get("model_id") or path.stem)


def _battles(
    arena: Arena,
    questions_by_id: Mapping[str, tuple[str, str]],
    candidates: Sequence[Answers],
    baseline: Answers | None,
    tally: Made,
) -> Iterator[Json]:
    reviews = arena.reviews
    known = templates.read(reviews.prompt_file, reviews.parser)
    references = _references(reviews.reference_file)
    is_single = reviews.mode == templates.SINGLE
    pairs: list[tuple[Answers, ...]]
    if is_single:
        pairs = [(each,) for each in candidates]
    else:
        pairs = [(each, baseline) for each in candidates] if baseline else list(combinations(candidates, 2))
    for pair in pairs:
        for key, (text, category) in questions_by_id.items():
            if any(key not in each.texts for each in pair):
                continue
            reference = references.get(key) or references.get(text)
            kind = templates.SINGLE if is_single else templates.PAIRWISE
            question = templates.chosen(known, kind, category, has_reference=reference is not None)
            for order, sides in _orders(pair, key, reviews.order, reviews.seed):
                values = {"question": text, **({"ref_answer_1": reference} if reference else {})}
                values |= {"answer": sides[0].texts[key]} if is_single else {
                    "answer_a": sides[0].texts[key], "answer_b": sides[1].texts[key],
                }  # fmt: skip
                prompt, forged = question.filled(values)
                tally.forged += forged
                names = [each.name for each in sides]
                yield {
                    "id": "--".join([key, *(each.name for each in pair), str(order)]),
                    "question_id": key,
                    "category": category,
                    **({"model": names[0]} if is_single else {"model_a": names[0], "model_b": names[1]}),
                    "order": order,
                    "output_format": reviews.output_format or question.output_format,
                    SYSTEM: question.system,
                    "prompt": prompt,
                }


def _orders(pair: tuple[Answers, ...], key: str, order: str, seed: int) -> Iterator[tuple[int, tuple[Answers, ...]]]:
    """The orders in which a pair is shown, numbered from 1."""
    swapped = pair[::-1]
    if len(pair) == 1 or order == "none":
        yield 1, pair
    elif order == "swap_position":
        yield from ((1, pair), (2, swapped))
    else:
        text = "\0".join([str(seed), key, *(each.name for each in pair)])
        yield (2, swapped) if sha256(text.encode()).digest()[0] % 2 else (1, pair)


def _references(path: Path | None) -> dict[str, str]:
    """Reference answers by question id and by the question's text."""
    if path is None:
        return {}
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", hint="reviews_gen.reference_file may be NULL")
    texts: dict[str, str] = {}
    for number, row in files.objects(path):
        answer = row.get("answer")
        if not isinstance(answer, str):
            raise DataError(f"{path}, line {number}, field answer: a text is expected")
        for name in ("question_id", "text"):
            if row.get(name) is not None:
                texts[str(row[name])] = answer
    return texts
