"""Gold labels: what people said about answers, beside what judges said about them.

A row has `custom_id` (or `riddle_id`), `provider`, `model`; the human labels `human_answer_correct`,
`human_justification_correct`, `human_both_correct`; and for each judge `is_answer_correct_<judge>`,
`is_justification_correct_<judge>`, `both_correct_<judge>`. Every label may be null: nobody labelled, or the judge did
not vote. The calibration files that layton-eval released have this form.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError
from batchflow.records import Level
from batchflow.score.base.arguments import FloatArray
from batchflow.score.riddle import Field
from batchflow.score.values import MISSING, RIGHT, WRONG, VoteArray, all_right, as_votes, weighted_mean

LabelArray = npt.NDArray[np.int8] | FloatArray
"""(n_rows,): RIGHT or WRONG, of a field with other values a number in [0, 1]; or MISSING."""


@dataclass(frozen=True, slots=True)
class LabelField:
    """A field that people label, in a column of its own. low, high: the numbers that a label may be; labels: its words.

    parts: the fields that it is made of, where it is: the AND of them, or with weights their mean.
    """

    name: str
    column: str
    level: Level = Level.NOMINAL
    low: float = 0.0
    high: float = 1.0
    parts: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    labels: Mapping[str, float] = member(default_factory=dict)

    def number(self, value: object) -> float | None:
        """The number of a label, from low to high; None for what is none. Words may be written in any case.

        >>> RIDDLES[0].number(True), RIDDLES[0].number("right")
        (1.0, None)
        """
        if self.labels and isinstance(value, str):
            return {word.casefold(): number for word, number in self.labels.items()}.get(value.strip().casefold())
        if not isinstance(value, bool | int | float) or (isinstance(value, bool) and self.level is not Level.NOMINAL):
            return None
        if self.level is Level.NOMINAL or self.labels:
            return float(value) if value in (set(self.labels.values()) or {0, 1}) else None
        return float(value) if self.low <= value <= self.high else None

    def word(self, value: object) -> str | None:
        """The word of a label on a scale of words."""
        number = self.number(value)
        if isinstance(value, str):
            return next((word for word in self.labels if word.casefold() == value.strip().casefold()), None)
        return next((word for word, own in self.labels.items() if own == number), None)

    @property
    def words(self) -> str:
        """The labels that there are, in words."""
        if self.labels:
            return f"one of {', '.join(self.labels)}"
        if self.level is Level.NOMINAL:
            return "true, false, yes, no, right, wrong, 1 or 0"
        return f"a number from {self.low:g} to {self.high:g}"


RIDDLES = (
    LabelField(Field.ANSWER, "human_answer_correct"),
    LabelField(Field.JUSTIFICATION, "human_justification_correct"),
    LabelField(Field.BOTH, "human_both_correct", parts=(Field.ANSWER, Field.JUSTIFICATION)),
)
"""Label columns for riddles, as in layton-eval's files too."""

IDS = ("custom_id", "riddle_id")
_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}")


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A stratified draw of one model's answers. strata: the stratum of each item; items without one are in none.

    drawn: items that were drawn; labels of others have to be of a random subset.
    """

    strata: Mapping[str, str]
    drawn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Gold:
    """Labelled answers in the order of their rows.

    items, providers, models: (n_rows,) texts; provider and model are empty where the file does not say.
    human: (n_rows,) per field. judges: names as in the columns. votes: (n_judges, n_rows) per field.
    repeated: rows that another one says word for word. places: where each row stands, for messages.
    design: how the evaluated model's labelled items were drawn; None for a plain random choice.
    """

    items: tuple[str, ...]
    providers: tuple[str, ...]
    models: tuple[str, ...]
    human: Mapping[str, LabelArray]
    judges: tuple[str, ...]
    votes: Mapping[str, VoteArray]
    repeated: int = 0
    places: tuple[str, ...] = ()
    design: Design | None = None

    def labelled(self, field: str) -> npt.NDArray[np.bool_]:
        """(n_rows,) True where a person labelled this field."""
        known: npt.NDArray[np.bool_] = self.human[field] != MISSING
        return known

    def of_model(self, provider: str, model: str) -> npt.NDArray[np.bool_]:
        """(n_rows,) True for answers of this model: what a row or the caller does not name is taken to fit.

        So a row that names neither belongs to the model evaluated, and one that names another provider never does.
        """
        return np.array(
            [
                (not its_model or its_model == model) and (not its_provider or its_provider == provider or not provider)
                for its_provider, its_model in zip(self.providers, self.models, strict=True)
            ],
            dtype=np.bool_,
        )

    def of_vendor(self, provider: str) -> npt.NDArray[np.bool_]:
        """(n_rows,) True for answers of any model of this provider."""
        return np.array([its == provider for its in self.providers], dtype=np.bool_)


def read_gold(
    rows: Iterable[Mapping[str, Any]],
    *,
    source: str = "gold labels",
    fields: Sequence[LabelField] = RIDDLES,
    lines: Sequence[int] | None = None,
) -> Gold:
    """Gold labels from rows as they come out of a JSONL file; `source` names the file in errors, `lines` their lines.

    fields: what is labelled; the parts of a field stand before it. Raises DataError, with row and field, for a row
    without an id, a label that is not true, false or null (1 and 0 are taken too; a number or a word of its scale where
    the field has one), and for rows none of which holds a human label.

    >>> rows = [{"custom_id": "r1", "model": "m", "human_answer_correct": True, "is_answer_correct_gpt": 0}]
    >>> gold = read_gold(rows)
    >>> gold.judges, gold.human[Field.ANSWER].tolist(), gold.votes[Field.ANSWER].tolist()
    (('gpt',), [1], [[0]])
    """
    listed = list(rows)
    places = [f"{source}, row {n}" for n in range(1, len(listed) + 1)]
    if lines is not None:
        places = [f"{source}, line {line}" for line in lines]
    judges = _judge_names(listed, fields)
    human: dict[str, LabelArray] = {}
    for field in fields:
        given = _column(listed, field.column, places, field)
        human[field.name] = _with_parts(given, field, human) if field.parts else given
    if not any((labels != MISSING).any() for labels in human.values()):
        columns = ", ".join(field.column for field in fields)
        raise DataError(f"{source}: no row has a human label", hint=f"expected columns: {columns}")
    return Gold(
        items=tuple(map(_item_id, listed, places)),
        providers=tuple(_text(row, "provider", place) for row, place in zip(listed, places, strict=True)),
        models=tuple(_text(row, "model", place) for row, place in zip(listed, places, strict=True)),
        human=human,
        judges=judges,
        votes=_judge_votes(listed, judges, places, fields),
        repeated=len(listed) - len({repr(sorted(row.items())) for row in listed}),
        places=tuple(places),
    )


def jury_of(gold: Gold, field: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(n_rows,) votes that say right, and valid votes, of the judges on each labelled answer."""
    votes = gold.votes[field]
    return (votes == RIGHT).sum(axis=0), (votes >= 0).sum(axis=0)


def columns_of(judges: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Matches the judges of a jury with those of a label file: the same name, or one that contains it.

    `openai:gpt-5.1` is the column `gpt-5.1`, else its dated `gpt-5.1-2025-11-13`, else its family's, `gpt`: label files
    shorten names. A family that two judges of the jury could be stands for neither.

    >>> columns_of(["openai:gpt-5.1", "mistral:large"], ["gpt", "gpt-5.1-2025-11-13", "claude"])
    {'openai:gpt-5.1': 'gpt-5.1-2025-11-13'}
    """
    column_of = {judge: name for judge in judges if (name := _column_of(judge, columns)) is not None}
    shared = {name for name, times in Counter(column_of.values()).items() if times > 1}
    return {judge: name for judge, name in column_of.items() if name not in shared or name == judge}


def _column_of(judge: str, columns: Sequence[str]) -> str | None:
    model = judge.partition(":")[2] or judge
    dated = [name for name in columns if name.startswith(f"{model}-") and _DATE.fullmatch(name[len(model) :])]
    families = sorted((name for name in columns if model.startswith(f"{name}-")), key=len, reverse=True)
    likely = (*(name for name in (judge, model) if name in columns), *dated, *families)
    return likely[0] if likely else None


def votes_elsewhere(gold: Gold, judges: Sequence[str], field: str, *, provider: str, model: str) -> VoteArray:
    """(n_judges, n_rows) votes of a jury's judges on the labelled answers of other models than this one."""
    column_of, votes = (
        columns_of(judges, gold.judges),
        np.full((len(judges), len(gold.items)), MISSING, dtype=gold.human[field].dtype),
    )
    theirs = gold.labelled(field) & ~gold.of_model(provider, model)
    for index, judge in enumerate(judges):
        if judge in column_of:
            votes[index, theirs] = gold.votes[field][gold.judges.index(column_of[judge]), theirs]
    return votes


def _judge_names(rows: list[Mapping[str, Any]], fields: Sequence[LabelField]) -> tuple[str, ...]:
    """Judges in order of their first column."""
    names: dict[str, None] = {}
    for column in dict.fromkeys(key for row in rows for key in row):
        for field in fields:
            if column.startswith(f"{field.name}_"):
                names[column.removeprefix(f"{field.name}_")] = None
    return tuple(names)


def _judge_votes(
    rows: list[Mapping[str, Any]], judges: tuple[str, ...], places: Sequence[str], fields: Sequence[LabelField]
) -> dict[str, VoteArray]:
    votes: dict[str, VoteArray] = {}
    for field in fields:
        columns = [_column(rows, f"{field.name}_{judge}", places, field) for judge in judges]
        given = as_votes(columns, field.level).reshape(len(judges), len(rows))
        if field.parts:
            derived = _derived(field, [votes[part] for part in field.parts])
            given = as_votes(np.where(given == MISSING, derived, given), field.level)
        votes[field.name] = given
    return votes


def _derived(field: LabelField, parts: Sequence[VoteArray]) -> VoteArray:
    return weighted_mean(parts, field.weights) if field.weights else all_right(*parts)


def refuse_contradictions(gold: Gold, *, fields: Sequence[LabelField] = RIDDLES) -> None:
    """Raise DataError for a row whose combined label is not the AND of its parts."""
    columns = {field.name: field.column for field in fields}
    for field in (field for field in fields if field.parts and not field.weights):
        parts, together = [gold.human[part] for part in field.parts], gold.human[field.name]
        right = np.logical_and.reduce([part == RIGHT for part in parts])
        wrong = np.logical_or.reduce([part == WRONG for part in parts])
        for row in np.flatnonzero(((together == RIGHT) & wrong) | ((together == WRONG) & right)).tolist():
            raise DataError(
                f"{gold.places[row]}, field {field.column}: it says {'wrong' if right[row] else 'right'}, which "
                f"{' and '.join(columns[part] for part in field.parts)} contradict",
                hint="correct the row, or leave the combined label out",
            )


def _with_parts(given: LabelArray, field: LabelField, human: Mapping[str, LabelArray]) -> LabelArray:
    """(n_rows,) the combined label as given, else what its parts make of it.

    A wrong part decides alone only where no row is left undecided by a part that nobody labelled: of answers whose
    justification was not labelled, only the wrong ones would get a label, and the score would fall with them.
    """
    parts = [human[part] for part in field.parts]
    derived = _derived(field, parts)
    known = [part != MISSING for part in parts]
    if (np.logical_or.reduce(known) & (derived == MISSING) & (given == MISSING)).any():
        derived = as_votes(np.where(np.logical_and.reduce(known), derived, MISSING), field.level)
    return as_votes(np.where(given == MISSING, derived, given), field.level)


def _column(rows: list[Mapping[str, Any]], name: str, places: Sequence[str], field: LabelField) -> LabelArray:
    labels = [_label(row.get(name), name, place, field) for row, place in zip(rows, places, strict=True)]
    return as_votes(labels, field.level)


def _label(value: object, name: str, place: str, field: LabelField) -> float:
    if value is None:
        return MISSING
    number = field.number(value)
    if number is not None:
        return int(number) if field.level is Level.NOMINAL else (number - field.low) / (field.high - field.low)
    if field.level is not Level.NOMINAL:
        raise DataError(f"{place}, field {name}: {value!r:.60} is not {field.words}")
    raise DataError(
        f"{place}, field {name}: {value!r:.60} is not true, false or null",
        hint="booleans are written true and false, without quotes",
    )


def _item_id(row: Mapping[str, Any], place: str) -> str:
    for name in IDS:
        if isinstance(value := row.get(name), str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    raise DataError(f"{place}: there is no {' or '.join(IDS)}", hint="each label needs its item's id")


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise DataError(f"{place}, field {name}: {value!r:.60} is not a text")
