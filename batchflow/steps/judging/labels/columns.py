"""Columns of labels: what people say about the fields of judge kinds, as files and the ledger name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from batchflow.judges import registry as kinds
from batchflow.judges import riddle
from batchflow.judges.base import JudgeKind, scale_of
from batchflow.ledger import Tx, batches
from batchflow.ledger.records import BatchRecord
from batchflow.steps.judging.jury_lookup import juries
from batchflow.tasks import registry as tasks

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import LabelField

PREFIX = "human_"
"""Beginning of every column of labels; the ledger's fields are the rest."""

ANSWER = "human_answer_correct"
"""Column for the field that rules judge as well, whatever a judge kind calls it."""

Columns = Mapping[str, "LabelField"]
"""Fields by the names of their columns."""


def label_fields(kind: JudgeKind) -> tuple[LabelField, ...]:
    """Labelled fields of a judge kind: `human_answer_correct` where rules judge as well, else `human_<field>`."""
    from batchflow.score.labelled.gold import RIDDLES, LabelField

    if kind.NAME == riddle.NAME:
        return RIDDLES
    fields = [
        LabelField(
            each.name,
            ANSWER if each.name == kind.RULED else f"{PREFIX}{each.name}",
            each.scale.level,
            each.scale.low,
            each.scale.high,
            labels=each.scale.labels,
        )
        for each in kind.FIELDS
    ]
    for each in kind.DERIVED:
        level = scale_of(kind, each.name).level
        fields.append(LabelField(each.name, f"{PREFIX}{each.name}", level, parts=each.of, weights=each.weights))
    return tuple(fields)


def columns_of(known: Iterable[JudgeKind]) -> Columns:
    """Fields of judge kinds by column. Where two kinds have a column of one name, the first one's scale holds.

    A column may also be called after its field: `human_is_correct` is `human_answer_correct`.
    """
    columns: dict[str, LabelField] = {}
    for field in (field for kind in known for field in label_fields(kind)):
        columns.setdefault(field.column, field)
        columns.setdefault(f"{PREFIX}{field.name}", field)
    return columns


def kinds_of(tx: Tx, batch: BatchRecord, named: JudgeKind | None = None) -> list[JudgeKind]:
    """Judge kinds by which answers of a batch may be labelled: the named one, those of its juries, its task's own."""
    task = tasks.of_spec(batch.task, batch.spec)
    judged = [jury.kind for jury in juries(batches.judges_of(tx, batch.id))]
    return [*([named] if named else []), *judged, kinds.suiting(task.JUDGED_BY, task.JUDGE_FACTS)]


def listed(columns: Columns) -> tuple[str, ...]:
    """The columns as a person is told of them, without their second names."""
    return tuple(dict.fromkeys(field.column for field in columns.values()))
