"""The human labels that `score` uses: of a --gold file or the ledger, under the ids of the answers they are about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchflow import files
from batchflow.judges import riddle
from batchflow.judges.base import JudgeKind, scale_of
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json
from batchflow.steps.base.context import Context
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.labels import HUMAN, answer_key, gold_rows, labelled_batches

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Gold, LabelField
    from batchflow.score.summary import Summary

_SAMPLED = re.compile(r".+ #\d+", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class GoldLabels:
    """Labels in the order of their rows. answers: what each is about as `item #sample`. chosen: the user named them."""

    gold: Gold
    answers: tuple[str, ...]
    samples: tuple[int, ...]
    chosen: bool

    def of(self, ballot: Ballot) -> Gold:
        """The labels under the ids and the model's name of a ballot: those of a batch asked once are its items."""
        models = tuple(ballot.model if name in ballot.served else name for name in self.gold.models)
        if ballot.sampled:
            return replace(self.gold, items=self.answers, models=models)
        rows = zip(self.gold.items, self.answers, self.samples, strict=True)
        items = tuple(item if sample == 0 else answer for item, answer, sample in rows)
        return replace(self.gold, items=items, models=models)


class GoldSource:
    """Reads the labels from a --gold file, else from the ledger. Raises DataError with the file's row and field."""

    def __init__(self, context: Context, path: Path | None) -> None:
        self._context, self._path = context, path
        self._rows = [row for _, row in files.objects(path)] if path else []
        self._read: dict[str, GoldLabels] = {}
        self._kept: dict[tuple[str, str, str], GoldLabels] = {}

    @property
    def chosen(self) -> bool:
        """Tells whether the user named a file, whose rows may name a model as its vendor does."""
        return self._path is not None

    def about(self, task: str, split: str | None, ballot: Ballot) -> GoldLabels | None:
        """The file's labels, or those that the ledger holds for this task and split.

        A jury's errors on texts say nothing about its errors on pictures: labels of another split are never used unless
        a file brings them. split None: nobody said; it is the only one of the task with labels to the ballot's items.
        """
        if self._path is not None:
            kind, source = ballot.kind, str(self._path)
            if kind.NAME not in self._read:
                self._read[kind.NAME] = _labels(self._rows, source, label_fields(kind), chosen=True)
            return self._read[kind.NAME]
        labelled = labelled_batches(self._context, task)
        if split is None:
            fits = [name for name in {b.split for b in labelled} if self._meets(task, name, labelled, ballot)]
            split = fits[0] if len(fits) == 1 else None
        return self._of(task, split, labelled, ballot) if split is not None else None

    def _meets(self, task: str, split: str, labelled: Sequence[BatchRecord], ballot: Ballot) -> bool:
        gold = self._of(task, split, labelled, ballot)
        return gold is not None and not set(ballot.item_of).isdisjoint(gold.gold.items)

    def _of(self, task: str, split: str, labelled: Sequence[BatchRecord], ballot: Ballot) -> GoldLabels | None:
        wanted, key = [batch for batch in labelled if batch.split == split], (task, split, ballot.kind.NAME)
        if wanted and key not in self._kept:
            rows, fields = gold_rows(self._context, wanted, ballot.kind), label_fields(ballot.kind)
            self._kept[key] = _labels(rows, "the ledger's labels", fields, chosen=False)
        return self._kept.get(key)


def label_fields(kind: JudgeKind) -> tuple[LabelField, ...]:
    """Labelled column of a judge kind: `human_answer_correct` where rules judge as well, else `human_<field>`."""
    from batchflow.score.labelled.gold import RIDDLES, LabelField

    if kind.NAME == riddle.NAME:
        return RIDDLES
    fields = [
        LabelField(
            each.name,
            HUMAN[0] if each.name == kind.RULED else f"human_{each.name}",
            each.scale.level,
            each.scale.low,
            each.scale.high,
        )
        for each in kind.FIELDS
    ]
    for each in kind.DERIVED:
        level = scale_of(kind, each.name).level
        fields.append(LabelField(each.name, f"human_{each.name}", level, parts=each.of, weights=each.weights))
    return tuple(fields)


def _labels(rows: Iterable[Json], source: str, fields: Sequence[LabelField], *, chosen: bool) -> GoldLabels:
    from batchflow.score.labelled.gold import read_gold, refuse_contradictions

    listed = list(rows)
    gold, samples = read_gold(listed, source=source, fields=fields), tuple(answer_key(row)[1] for row in listed)
    if chosen:  # what an older version took into the ledger stays usable
        refuse_contradictions(gold, source=source, fields=fields)
    answers = (_answer(row, item) for row, item in zip(listed, gold.items, strict=True))
    return GoldLabels(gold, tuple(answers), samples, chosen)


def _answer(row: Json, item: str) -> str:
    """`item #sample` as ballots name repeated answers; a row without `sample` may have written it out itself."""
    return item if row.get("sample") is None and _SAMPLED.fullmatch(item) else f"{item} #{answer_key(row)[1]}"


def unused(labels: GoldLabels, ballot: Ballot, numbers: Summary) -> list[str]:
    """A note where labels that the user named were of no use for this score."""
    if not labels.chosen or numbers.method in {"ppi", "layton"} or numbers.agreement.gold_basis:
        return []  # the methods that need labels say themselves what they did with them
    gold, named = labels.gold, sorted(set(labels.gold.models) - {""})
    if not gold.labelled(numbers.field).any():
        why = "nobody labelled that"
    elif named and not ballot.model:
        why = f"the evaluated model's name is not known here: add --model NAME; the labels name {', '.join(named)}"
    else:
        judges = f"they hold votes of {', '.join(gold.judges)}" if gold.judges else "they hold no judge's votes"
        whose = f"they are about {', '.join(named) or 'no named model'}"
        why = (
            f"none is of {ballot.model or 'this model'}'s answers to these items ({whose}), and none is of another "
            f"model's with a vote of this jury's judges beside it ({judges})"
        )
    return [f"the {len(gold.items)} gold labels were not used on {numbers.field}: {why}"]
