"""The human labels that `score` uses: of a --gold file or the ledger, under the ids of the answers they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchflow.judges.base import JudgeKind
from batchflow.ledger import batches, labels
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json
from batchflow.steps.base.context import Context
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.jury_lookup import juries
from batchflow.steps.judging.labels.columns import PREFIX, label_fields
from batchflow.steps.judging.labels.import_labels import answers_of
from batchflow.steps.judging.labels.label_file import Rows, answer_key, rows_of, typed

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
            return replace(self.gold, items=self.answers, models=models, design=ballot.design)
        rows = zip(self.gold.items, self.answers, self.samples, strict=True)
        items = tuple(item if sample == 0 else answer for item, answer, sample in rows)
        return replace(self.gold, items=items, models=models, design=ballot.design)


class GoldSource:
    """Reads the labels from a --gold file, else from the ledger. Raises DataError with the file's row and field."""

    def __init__(self, context: Context, path: Path | None) -> None:
        self._context, self._path = context, path
        self._rows = rows_of(path) if path else []
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
                fields = label_fields(kind)
                rows = [(line, typed(row, fields)) for line, row in self._rows]
                self._read[kind.NAME] = _labels(rows, source, fields, chosen=True)
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
            rows, fields = list(enumerate(gold_rows(self._context, wanted, ballot.kind), 1)), label_fields(ballot.kind)
            self._kept[key] = _labels(rows, "the ledger's labels", fields, chosen=False)
        return self._kept.get(key)


def labelled_batches(context: Context, task: str) -> list[BatchRecord]:
    """Batches of a task whose answers people labelled."""
    with context.ledger.read() as tx:
        records = [batches.by_id(tx, batch_id) for batch_id in labels.batches_with_labels(tx)]
    return [batch for batch in records if batch.task == task]


def gold_rows(context: Context, labelled: Sequence[BatchRecord], kind: JudgeKind) -> Iterator[Json]:
    """The labels of batches in the form of a --gold file, with the votes of the juries of a kind beside them."""
    for batch in labelled:
        label_of: dict[int, Json] = {}
        with context.ledger.read() as tx:
            for label in labels.of_batch(tx, batch.id):
                label_of.setdefault(label.request_id, {})[f"{PREFIX}{label.field}"] = label.value
            places = {request: (item, sample) for (item, sample), request in answers_of(tx, batch).items()}
            judges = next((jury.judges for jury in juries(batches.judges_of(tx, batch.id)) if jury.kind == kind), ())
        cast = _cast(votes.of_batch(context, batch, judges)) if judges else {}
        many = batch.spec.get("samples", 1) != 1
        for request_id, human in label_of.items():
            item, sample = places[request_id]
            name = f"{item} #{sample}" if many else item
            facts = {"custom_id": item, "sample": sample, "provider": votes.vendor_of(batch), "model": batch.model}
            yield {**facts, **human, **cast.get(name, {})}


def _cast(ballot: Ballot) -> dict[str, dict[str, float]]:
    """The valid verdicts by answer, as columns of a gold row."""
    cast: dict[str, dict[str, float]] = {item: {} for item in ballot.items}
    for judge in ballot.judges:
        for field in ballot.kind.FIELDS:
            for item, code in zip(ballot.items, judge.cast[field.name], strict=True):
                if code >= 0:
                    cast[item][f"{field.name}_{judge.name}"] = field.scale.low + code * field.scale.width
    return cast


def _labels(rows: Rows, source: str, fields: Sequence[LabelField], *, chosen: bool) -> GoldLabels:
    from batchflow.score.labelled.gold import read_gold, refuse_contradictions

    listed, lines = [row for _, row in rows], [line for line, _ in rows]
    gold = read_gold(listed, source=source, fields=fields, lines=lines if chosen else None)
    samples = tuple(answer_key(row)[1] for row in listed)
    if chosen:  # what an older version took into the ledger stays usable
        refuse_contradictions(gold, fields=fields)
    answers = (_answer(row, item) for row, item in zip(listed, gold.items, strict=True))
    return GoldLabels(gold, tuple(answers), samples, chosen)


def _answer(row: Json, item: str) -> str:
    """`item #sample` as ballots name repeated answers; a row without `sample` may have written it out itself."""
    return item if row.get("sample") is None and _SAMPLED.fullmatch(item) else f"{item} #{answer_key(row)[1]}"


def unused(given: GoldLabels, ballot: Ballot, numbers: Summary) -> list[str]:
    """A note where labels that the user named were of no use for this score."""
    if not given.chosen or numbers.method in {"ppi", "layton"} or numbers.agreement.gold_basis:
        return []  # the methods that need labels say themselves what they did with them
    gold, named = given.gold, sorted(set(given.gold.models) - {""})
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
