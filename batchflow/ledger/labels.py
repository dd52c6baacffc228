"""Human labels of answers: a value for each field of each request, the last one stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from batchflow.ledger import dialect
from batchflow.ledger.batches import request_range
from batchflow.ledger.models import LABELS, SEQ_BITS

_L = LABELS.c


class Label(NamedTuple):
    """A person's word on one field of one answer.

    field: as files name it behind `human_`. value: on the field's scale, of booleans 0 and 1. label: what was said,
    where the value does not tell it. source, line: the file that it came in; line None for labels of older ledgers.
    """

    request_id: int
    field: str
    value: float
    label: str | None
    source: str
    line: int | None


class Merged(NamedTuple):
    """Counts of labels that were put: those of fields without one, those that said something else, and all others."""

    new: int
    changed: int
    unchanged: int


def put(tx: sa.Connection, given: Sequence[Label], *, now: datetime) -> Merged:
    """Write labels over those that stand there. All other fields, and labels that say the same, stay as they are."""
    known = {
        (label.request_id, label.field): label
        for batch_id in sorted({label.request_id >> SEQ_BITS for label in given})
        for label in of_batch(tx, batch_id)
    }
    standing = [known.get((label.request_id, label.field)) for label in given]
    pairs = zip(given, standing, strict=True)
    fresh = [label for label, old in pairs if old is None or (old.value, old.label) != (label.value, label.label)]
    drop(tx, [(label.request_id, label.field) for label in fresh])
    if fresh:
        tx.execute(sa.insert(LABELS), [{**label._asdict(), "made_at": now} for label in fresh])
    new = standing.count(None)
    return Merged(new, len(fresh) - new, len(given) - len(fresh))


def drop(tx: sa.Connection, keys: Iterable[tuple[int, str]]) -> None:
    """Forget labels by request and field."""
    dialect.bulk(tx, "DELETE FROM labels WHERE request_id = ? AND field = ?", list(keys))


def of_batch(tx: sa.Connection, batch_id: int) -> Iterator[Label]:
    """The labels of a batch's answers, in the order of its requests."""
    low, high = request_range(batch_id)
    columns = tuple(_L[name] for name in Label._fields)
    query = sa.select(*columns).where(_L.request_id >= low, _L.request_id < high).order_by(_L.request_id, _L.field)
    for row in tx.execute(query):
        yield Label._make(row)


def batches_with_labels(tx: sa.Connection) -> tuple[int, ...]:
    """Ids of the batches that have labels."""
    bits = sa.literal(SEQ_BITS, sa.Integer())  # PostgreSQL shifts a bigint by an integer only
    spans = sa.select(_L.request_id.op(">>")(bits)).distinct()
    return tuple(sorted(int(row[0]) for row in tx.execute(spans)))
