"""import labels: what people said about answers, into the ledger; and the gold labels that `score` makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.base import JudgeKind
from batchflow.ledger import Tx, batches, labels, request_rows
from batchflow.ledger.labels import Label
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json, Kind, Outcome
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import jury_command
from batchflow.steps.base.progress.situation import members
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.jury_lookup import juries
from batchflow.tasks.datasets import tables
from batchflow.vendors.registry import traits_of

HUMAN = ("human_answer_correct", "human_justification_correct", "human_both_correct")
Answers = Mapping[tuple[str, int], int]
"""(item, sample) -> request"""


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Report of `import labels`. batches: labels by batch. changed: labels that said something else before.

    elsewhere: rows about answers that this ledger does not have.
    """

    file: str
    labels: int
    batches: dict[str, int]
    changed: int
    elsewhere: int
    notes: tuple[str, ...]
    next: str


def import_labels(context: Context, path: Path, batch_name: str | None = None) -> LabelReport:
    """Take labels in. batch_name: the batch that they are about, where their rows do not tell.

    Raises DataError for a broken row and where no row fits, UsageError for a row that fits several batches.
    """
    read = _rows(path)
    _check(path, [row for _, row in read])
    by_request: dict[int, tuple[Label, BatchRecord]] = {}
    elsewhere = 0
    with context.ledger.write() as tx:
        lookup = _Known(tx, batch_name)
        for number, row in read:
            place = lookup.place_of(row, f"{path}, line {number}")
            if place is None:
                elsewhere += 1
            elif any(row.get(name) is not None for name in HUMAN):
                batch, request_id = place
                by_request[request_id] = (_label(request_id, row), batch)
        if not by_request:
            raise DataError(
                f"{path}: none of its {len(read)} rows is about an answer of this ledger",
                hint="rows need custom_id, provider and model of a batch, or name it with --batch; "
                "batchflow score --gold FILE reads labels of other answers",
            )
        changed = labels.put(tx, [label for label, _ in by_request.values()], source=path.name, now=context.clock())
        follow = _next(tx, next(batch for _, batch in by_request.values()))
    counts = Counter(batch.name for _, batch in by_request.values())
    notes = (f"{elsewhere} rows are about answers that this ledger does not have",) if elsewhere else ()
    return LabelReport(str(path), len(by_request), dict(counts), changed, elsewhere, notes, follow)


_SAID = {"true": True, "yes": True, "right": True, "1": True, "false": False, "no": False, "wrong": False, "0": False}
_TABLES = frozenset({".csv", ".tsv", ".tab"})


def _rows(path: Path) -> list[tuple[int, Json]]:
    """The rows of a JSONL file or of a table, with their numbers. Raises DataError."""
    if path.suffix.lower() not in _TABLES:
        return list(files.objects(path))
    return [(number, _typed(path, number, row)) for number, row in tables.of(path).rows(path, ("custom_id",))]


def _typed(path: Path, number: int, row: Mapping[str, Any]) -> Json:
    """A row of a table with labels and numbers in place of their texts; an empty cell says nothing."""
    typed: Json = {}
    for name, value in row.items():
        text = str(value or "").strip()
        if name.startswith("human_") and text:
            if text.lower() not in _SAID:
                words = "true, false, yes, no, right, wrong, 1, 0, or nothing"
                raise DataError(f"{path}, line {number}, field {name}: {text[:40]!r} is no label", hint=words)
            typed[name] = _SAID[text.lower()]
        elif name == "sample":
            typed[name] = int(text) if text.isdigit() else 0
        elif text:
            typed[name] = text[1:] if text[0] == "'" and text[1:2] in {"=", "+", "-", "@"} else text
    return typed


def _next(tx: Tx, batch: BatchRecord) -> str:
    """Next command for labels: the jury first, then the score of a field that was labelled and judged."""
    judges = batches.judges_of(tx, batch.id)
    if not judges:
        return f"batchflow jury {batch.name}"
    command = jury_command(batch.name, members(tx, judges))
    follow = str(command)
    if command.verb != "score":
        return follow
    batch_labels = list(labels.of_batch(tx, batch.id))
    answers = sum(label.human_answer_correct is not None for label in batch_labels)
    whole = sum(label.human_both_correct is not None or None not in label[1:3] for label in batch_labels)
    kind = juries(judges)[0].kind
    if kind.RULED is None:
        return follow
    if whole == len(batch_labels) > 1 and not all(traits_of(judge.provider).judges_only for judge in judges):
        return f"{follow} --method ppi --field-name {kind.OVERALL}"
    return f"{follow} --method ppi --field-name {kind.RULED}" if answers > 1 else follow


class _Known:
    """The answers that a label may be about: those of one named batch, or of every prediction batch.

    A batch's answers are read when the first row fits it, and kept.
    """

    def __init__(self, tx: Tx, batch_name: str | None) -> None:
        self._tx = tx
        self._is_named = batch_name is not None
        self._batches = [batches.get(tx, batch_name)] if batch_name is not None else _predictions(tx)
        self._models = {batch.id: _models(tx, batch) for batch in self._batches}
        self._answers: dict[int, Answers] = {}

    def place_of(self, row: Json, where: str) -> tuple[BatchRecord, int] | None:
        """Batch and request that a row is about, None where there is none. Raises UsageError where several fit."""
        fits = [b for b in self._batches if self._is_named or _is_about(row, b, self._models[b.id])]
        key = answer_key(row)
        places = [(batch, answer) for batch in fits if (answer := self._of(batch).get(key)) is not None]
        if len(places) > 1:
            names = ", ".join(batch.name for batch, _ in places)
            raise UsageError(
                f"{where}: it fits the answers of several batches: {names}",
                hint=f"name the one that was labelled: --batch {places[0][0].name}",
            )
        return places[0] if places else None

    def _of(self, batch: BatchRecord) -> Answers:
        if batch.id not in self._answers:
            self._answers[batch.id] = _answers(self._tx, batch)
        return self._answers[batch.id]


def _check(path: Path, rows: list[Json]) -> None:
    from batchflow.score.labelled.gold import read_gold, refuse_contradictions

    refuse_contradictions(read_gold(rows, source=str(path)), source=str(path))


def _predictions(tx: Tx) -> list[BatchRecord]:
    return [b for b in batches.listing(tx) if b.kind is Kind.PREDICTION and b.retries_id is None]


def _models(tx: Tx, batch: BatchRecord) -> frozenset[str]:
    """The model as it was asked for, and as the vendor says that it was served."""
    return frozenset({batch.model}) | request_rows.models(tx, batch.id)


def _is_about(row: Json, batch: BatchRecord, models: frozenset[str]) -> bool:
    provider, model = row.get("provider"), row.get("model")
    is_batch = not row.get("batch") or row["batch"] == batch.name
    return is_batch and (not provider or provider == votes.vendor_of(batch)) and (not model or model in models)


def _answers(tx: Tx, batch: BatchRecord) -> Answers:
    outcomes = request_rows.outcomes(tx, batch.id)
    return {(each.item_id, each.sample): each.id for each in outcomes if each.outcome == Outcome.OK.value}


def answer_key(row: Json) -> tuple[str, int]:
    """(item, sample) of the answer that a row labels; a row without a sample is about the first."""
    sample = row.get("sample")
    return str(row.get("custom_id") or row.get("riddle_id")), sample if isinstance(sample, int) else 0


def _label(request_id: int, row: Json) -> Label:
    values = [None if row.get(name) is None else bool(row[name]) for name in HUMAN]
    return Label(request_id, *values)


def labelled_batches(context: Context, task: str) -> list[BatchRecord]:
    """Batches of a task whose answers people labelled."""
    with context.ledger.read() as tx:
        records = [batches.by_id(tx, batch_id) for batch_id in labels.batches_with_labels(tx)]
    return [batch for batch in records if batch.task == task]


def gold_rows(context: Context, labelled: Sequence[BatchRecord], kind: JudgeKind) -> Iterator[dict[str, Any]]:
    """The labels of batches in the form of a --gold file, with the votes of the juries of a kind beside them."""
    for batch in labelled:
        with context.ledger.read() as tx:
            label_of = {label.request_id: label for label in labels.of_batch(tx, batch.id)}
            places = {request: (item, sample) for (item, sample), request in _answers(tx, batch).items()}
            judges = next((jury.judges for jury in juries(batches.judges_of(tx, batch.id)) if jury.kind == kind), ())
        cast = _cast(votes.of_batch(context, batch, judges)) if judges else {}
        many = batch.spec.get("samples", 1) != 1
        for request_id, label in label_of.items():
            item, sample = places[request_id]
            name = f"{item} #{sample}" if many else item
            facts = {"custom_id": item, "sample": sample, "provider": votes.vendor_of(batch), "model": batch.model}
            yield {**facts, **dict(zip(HUMAN, label[1:], strict=True)), **cast.get(name, {})}


def _cast(ballot: votes.Ballot) -> dict[str, dict[str, float]]:
    """The valid verdicts by answer, as columns of a gold row."""
    cells: dict[str, dict[str, float]] = {item: {} for item in ballot.items}
    for judge in ballot.judges:
        for field in ballot.kind.FIELDS:
            for item, code in zip(ballot.items, judge.cast[field.name], strict=True):
                if code >= 0:
                    cells[item][f"{field.name}_{judge.name}"] = field.scale.low + code * field.scale.width
    return cells
