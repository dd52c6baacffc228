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
from batchflow.steps.arena.answer_files import Answers, answers_in, named
from batchflow.steps.arena.config import Arena
from batchflow.steps.arena.fights import Battle, Fought
from batchflow.steps.arena.kept_reviews import judged_others
from batchflow.tasks.systems.arena import SYSTEM, Asked


@dataclass(slots=True)
class Tally:
    """A file of battles. unanswered: questions without an answer, by candidate. forged: answers with a mark.

    reviewed: battles that have a review in cache_file. changed: those whose review there judged other answers.
    """

    path: Path
    count: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)
    forged: int = 0
    reviewed: int = 0
    changed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """The fighters. baseline: whom all others meet, if there is one."""

    reviewed: Sequence[Answers]
    baseline: Answers | None
    notes: tuple[str, ...] = ()

    def pairs(self, *, single: bool) -> list[tuple[Answers, ...]]:
        """Each pair that is compared, or each candidate alone."""
        if single:
            return [(each,) for each in self.reviewed]
        if self.baseline is not None:
            return [(each, self.baseline) for each in self.reviewed]
        return list(combinations(self.reviewed, 2))


def write(path: Path, arena: Arena, questions: Mapping[str, Asked], kept: Mapping[Battle, Fought]) -> Tally:
    """Write the file of the battles that have no review yet, for the answers that are here.

    Raises DataError where no battle can be fought. The same answers and settings give the same bytes.
    """
    sides = _sides(arena)
    tally = Tally(path, notes=sides.notes)
    tally.unanswered = {
        each.name: missing
        for each in (*sides.reviewed, *([sides.baseline] if sides.baseline else []))
        if (missing := len(questions.keys() - each.texts.keys()))
    }
    with files.replacing(path) as out:
        for row in _battles(arena, questions, sides, kept, tally):
            out.write(files.dump_line(row))
            tally.count += 1
    if not tally.count:
        path.unlink()
        if not tally.reviewed:
            raise DataError(f"{arena.path}: no question has answers to be compared", hint="batchflow arena results")
    return tally


def _sides(arena: Arena) -> Sides:
    """The answers to be reviewed, without those of candidates that are not enabled, and the baseline's."""
    reviews, notes = arena.reviews, list[str]()
    reviewed = []
    for path in reviews.targets or [model.output_file for model in arena.asked]:
        name, model = named(arena, path)
        if model is not None and not model.enabled:
            notes.append(f"{name} is not enabled, so its answers in target_answers are not reviewed")
            continue
        reviewed.append(answers_in(name, path))
    if len({each.name for each in reviewed}) < len(reviewed):
        raise DataError(f"{arena.path}: two files of target_answers hold answers of one candidate")
    if reviews.mode == "pairwise_baseline":
        if reviews.baseline_file is None:
            raise DataError(f"{arena.path}: mode pairwise_baseline needs reviews_gen.baseline_file")
        name, _ = named(arena, reviews.baseline_file)
        others = [each for each in reviewed if each.name != name]
        return Sides(others, answers_in(name, reviews.baseline_file), tuple(notes))
    if reviews.mode == "pairwise" and len(reviewed) < 2:
        raise DataError(f"{arena.path}: a battle needs the answers of two candidates", hint="enable another one")
    return Sides(reviewed, None, tuple(notes))


def _battles(
    arena: Arena, questions: Mapping[str, Asked], sides: Sides, kept: Mapping[Battle, Fought], tally: Tally
) -> Iterator[Json]:
    reviews = arena.reviews
    known = templates.read(reviews.prompt_file, reviews.parser)
    references = _references(reviews.reference_file)
    kind = templates.SINGLE if reviews.mode == templates.SINGLE else templates.PAIRWISE
    for pair in sides.pairs(single=kind == templates.SINGLE):
        for key, question in questions.items():
            if any(key not in each.texts for each in pair):
                continue
            reference = references.get(key) or references.get(question.text)
            template = templates.chosen(known, kind, question.category, has_reference=reference is not None)
            values = {"question": question.text, **({"ref_answer_1": reference} if reference else {})}
            for order, shown in _orders(pair, key, reviews.order, reviews.seed):
                if _is_reviewed(key, shown, kept, tally):
                    continue
                prompt, forged = template.filled(values | _answers(key, shown))
                tally.forged += forged
                names = [each.name for each in shown]
                yield {
                    "id": "--".join([key, *(each.name for each in pair), str(order)]),
                    "question_id": key,
                    "category": question.category,
                    **({"model": names[0]} if len(names) == 1 else {"model_a": names[0], "model_b": names[1]}),
                    "order": order,
                    "output_format": reviews.output_format or template.output_format,
                    SYSTEM: template.system,
                    "prompt": prompt,
                }


def _answers(key: str, shown: tuple[Answers, ...]) -> dict[str, str]:
    """The fields of a template that answers fill."""
    names = ("answer",) if len(shown) == 1 else ("answer_a", "answer_b")
    return {name: each.texts[key] for name, each in zip(names, shown, strict=True)}


def _is_reviewed(key: str, shown: tuple[Answers, ...], kept: Mapping[Battle, Fought], tally: Tally) -> bool:
    """Tells whether cache_file has a review of a battle, as far as can be told of these answers."""
    review = kept.get((key, shown[0].name, shown[1].name if len(shown) > 1 else None, 1))
    if review is None:
        return False
    if judged_others(review, [each.texts[key] for each in shown]):
        tally.changed += 1
        return False
    tally.reviewed += 1
    return True


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
