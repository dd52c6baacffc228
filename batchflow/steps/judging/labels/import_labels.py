"""import labels: what people say about answers, into the ledger, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchflow.errors import DataError, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind
from batchflow.ledger import Tx, batches, labels, request_rows
from batchflow.ledger.labels import Label, Merged
from batchflow.ledger.records import BatchRecord
from batchflow.records import Json, Kind, Outcome
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import jury_command
from batchflow.steps.base.progress.situation import members
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.jury_lookup import juries
from batchflow.steps.judging.labels.columns import PREFIX, Columns, columns_of, kinds_of, label_fields, listed
from batchflow.steps.judging.labels.label_file import answer_key, is_table, labels_in, rows_of
from batchflow.vendors.registry import traits_of

Answers = Mapping[tuple[str, int], int]
"""(item, sample) -> request"""


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Report of `import labels`. labels: labelled answers; batches: them by batch.

    new, changed, unchanged: labels of single fields. elsewhere: rows about answers that this ledger does not have.
    """

    file: str
    labels: int
    batches: dict[str, int]
    new: int
    changed: int
    unchanged: int
    elsewhere: int
    notes: tuple[str, ...]
    next: str


@dataclass(slots=True)
class _Sheet:
    """The labels of a file by request and field, each with its line."""

    source: str
    said: dict[tuple[int, str], Label] = field(default_factory=dict)

    def add(self, label: Label) -> None:
        """Take a label in. Raises DataError where another line says something else about the same field."""
        other = self.said.setdefault((label.request_id, label.field), label)
        if (other.value, other.label) != (label.value, label.label):
            raise DataError(
                f"{self.source}, line {label.line}, field {PREFIX}{label.field}: line {other.line} says something else "
                "about the same answer",
                hint="settle it in the file",
            )


def import_labels(
    context: Context, path: Path, batch_name: str | None = None, *, kind: str | None = None
) -> LabelReport:
    """Take labels in. batch_name: the batch that they are about, where their rows do not tell.

    kind: judge kind whose fields are labelled, beside those of the batch's juries and of its task. Nothing is written
    unless every row can be read. Raises DataError for a faulty row and where no row fits, UsageError for a row that
    fits several batches.
    """
    rows, named = rows_of(path), kinds.named(kind) if kind else None
    with context.ledger.write() as tx:
        known = _Known(tx, batch_name, named)
        sheet, owners, elsewhere = _Sheet(str(path)), dict[int, BatchRecord](), 0
        for line, row in rows:
            where = f"{path}, line {line}"
            place = known.place_of(row, where)
            if place is None:
                elsewhere += 1
                continue
            batch, request_id = place
            for name, (value, word) in labels_in(row, known.columns(batch), where, cells=is_table(path)).items():
                sheet.add(Label(request_id, name, value, word, path.name, line))
                owners[request_id] = batch
        if not owners:
            raise _nothing_labelled(path, len(rows), elsewhere, known)
        merged = _merged(tx, sheet, owners, known, context)
        follow = _next(tx, next(iter(owners.values())))
    counts = Counter(batch.name for batch in owners.values())
    notes = (f"{elsewhere} rows are about answers that this ledger does not have",) if elsewhere else ()
    return LabelReport(str(path), len(owners), dict(counts), *merged, elsewhere, notes, follow)


def _nothing_labelled(path: Path, rows: int, elsewhere: int, known: _Known) -> DataError:
    if elsewhere == rows:
        return DataError(
            f"{path}: none of its {rows} rows is about an answer of this ledger",
            hint="rows need custom_id, provider and model of a batch, or name it with --batch; "
            "batchflow score --gold FILE reads labels of other answers",
        )
    return DataError(
        f"{path}: none of its {rows} rows has a label", hint=f"columns of labels: {', '.join(known.all_columns())}"
    )


def _merged(tx: Tx, sheet: _Sheet, owners: Mapping[int, BatchRecord], known: _Known, context: Context) -> Merged:
    """Write the labels over those that stand there.

    A combined label that its parts now contradict goes, since it was about other parts. Raises DataError for a
    label of the file that contradicts its parts.
    """
    standing: dict[int, dict[str, Label]] = {}
    for batch_id in {batch.id for batch in owners.values()}:
        for label in labels.of_batch(tx, batch_id):
            standing.setdefault(label.request_id, {})[label.field] = label
    given: dict[int, dict[str, Label]] = {}
    for (request_id, name), label in sheet.said.items():
        given.setdefault(request_id, {})[name] = label
    gone: list[tuple[int, str]] = []
    for request_id, batch in owners.items():
        labels_of = {**standing.get(request_id, {}), **given[request_id]}
        for name in _contradicted(labels_of, known.columns(batch)):
            if name in given[request_id]:
                raise _contradiction(sheet.source, labels_of, name, known.columns(batch))
            gone.append((request_id, name))
    labels.drop(tx, gone)
    counts = labels.put(tx, list(sheet.said.values()), now=context.clock())
    return counts._replace(changed=counts.changed + len(gone))


def _contradicted(label_of: Mapping[str, Label], columns: Columns) -> Iterable[str]:
    """Combined labels that are not the AND of their parts, as far as these are labelled."""
    for name in label_of:
        parts = [label_of[part].value for part in _parts(name, columns) if part in label_of]
        whole = len(parts) == len(_parts(name, columns))
        if parts and (
            (label_of[name].value == 1 and 0 in parts) or (label_of[name].value == 0 and whole and 0 not in parts)
        ):
            yield name


def _parts(name: str, columns: Columns) -> list[str]:
    """The fields, as the ledger names them, that a combined right or wrong is made of; none of other fields."""
    field = columns.get(f"{PREFIX}{name}")
    if field is None or field.weights or not field.parts:
        return []
    return [columns[f"{PREFIX}{part}"].column.removeprefix(PREFIX) for part in field.parts]


def _contradiction(source: str, label_of: Mapping[str, Label], name: str, columns: Columns) -> DataError:
    own = label_of[name]
    parts = [label_of[part] for part in _parts(name, columns) if part in label_of]
    others = " and ".join(
        f"{PREFIX}{part.field}"
        + (
            ""
            if (part.source, part.line) == (own.source, own.line)
            else f" ({part.source}, line {part.line or 'unknown'})"
        )
        for part in parts
    )
    word = "right" if own.value else "wrong"
    return DataError(
        f"{source}, line {own.line}, field {PREFIX}{name}: it says {word}, which {others} contradict",
        hint="correct the row, or leave the combined label out",
    )


def _next(tx: Tx, batch: BatchRecord) -> str:
    """Next command for labels: the jury first, then the score of a field that was labelled and judged."""
    judges = batches.judges_of(tx, batch.id)
    if not judges:
        return f"batchflow jury {batch.name}"
    command = jury_command(batch.name, members(tx, judges))
    if command.verb != "score":
        return str(command)
    jury = juries(judges)[0]
    by_rules = all(traits_of(judge.provider).judges_only for judge in jury.judges)
    counts = _counts(tx, batch, jury.kind)
    answers = len({label.request_id for label in labels.of_batch(tx, batch.id)})
    if counts.get(jury.kind.OVERALL, 0) == answers > 1 and not by_rules:
        return f"{command} --method ppi --field-name {jury.kind.OVERALL}"
    wanted = (jury.kind.RULED,) if by_rules else (jury.kind.RULED, *(each.name for each in jury.kind.FIELDS))
    field_name = next((name for name in wanted if name and counts.get(name, 0) > 1), None)
    return f"{command} --method ppi --field-name {field_name}" if field_name else str(command)


def _counts(tx: Tx, batch: BatchRecord, kind: JudgeKind) -> dict[str, int]:
    """Labelled answers by field of a judge kind; a combined field counts where it, or all its parts, are labelled."""
    names_of: dict[int, set[str]] = {}
    for label in labels.of_batch(tx, batch.id):
        names_of.setdefault(label.request_id, set()).add(label.field)
    fields = {each.name: each for each in label_fields(kind)}
    counts: Counter[str] = Counter()
    for names in names_of.values():
        own = {name for name, each in fields.items() if each.column.removeprefix(PREFIX) in names}
        counts.update(own | {name for name, each in fields.items() if each.parts and own.issuperset(each.parts)})
    return dict(counts)


class _Known:
    """The answers that a label may be about: those of one named batch, or of every prediction batch.

    A batch's answers are read when the first row fits it, and kept.
    """

    def __init__(self, tx: Tx, batch_name: str | None, kind: JudgeKind | None) -> None:
        self._tx, self._kind = tx, kind
        self._is_named = batch_name is not None
        self._batches = [batches.get(tx, batch_name)] if batch_name is not None else _predictions(tx)
        self._models = {batch.id: _models(tx, batch) for batch in self._batches}
        self._answers: dict[int, Answers] = {}
        self._columns: dict[int, Columns] = {}

    def columns(self, batch: BatchRecord) -> Columns:
        """The columns of a batch's labels."""
        if batch.id not in self._columns:
            self._columns[batch.id] = columns_of(kinds_of(self._tx, batch, self._kind))
        return self._columns[batch.id]

    def all_columns(self) -> Sequence[str]:
        """The columns of labels of all batches that a row was about."""
        return list(dict.fromkeys(name for columns in self._columns.values() for name in listed(columns)))

    def place_of(self, row: Json, where: str) -> tuple[BatchRecord, int] | None:
        """Batch and request that a row is about, None where there is none.

        Raises UsageError where several fit, DataError without an id.
        """
        if not (row.get("custom_id") or row.get("riddle_id")):
            raise DataError(f"{where}: there is no custom_id or riddle_id", hint="each label needs its item's id")
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
            self._answers[batch.id] = answers_of(self._tx, batch)
        return self._answers[batch.id]


def _predictions(tx: Tx) -> list[BatchRecord]:
    return [b for b in batches.listing(tx) if b.kind is Kind.PREDICTION and b.retries_id is None]


def _models(tx: Tx, batch: BatchRecord) -> frozenset[str]:
    """The model as it was asked for, and as the vendor says that it was served."""
    return frozenset({batch.model}) | request_rows.models(tx, batch.id)


def _is_about(row: Json, batch: BatchRecord, models: frozenset[str]) -> bool:
    provider, model = row.get("provider"), row.get("model")
    is_batch = not row.get("batch") or row["batch"] == batch.name
    return is_batch and (not provider or provider == votes.vendor_of(batch)) and (not model or model in models)


def answers_of(tx: Tx, batch: BatchRecord) -> Answers:
    """The answers that came back, by item and sample."""
    outcomes = request_rows.outcomes(tx, batch.id)
    return {(each.item_id, each.sample): each.id for each in outcomes if each.outcome == Outcome.OK.value}
