"""Human labels of answers: one per request, the last one stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from batchflow.ledger import dialect
from batchflow.ledger.batches import request_range
from batchflow.ledger.models import LABELS, SEQ_BITS

_L = LABELS.c


class Label(NamedTuple):
    """What a person said about the answer of a request; None where nothing was said."""

    request_id: int
    human_answer_correct: bool | None
    human_justification_correct: bool | None
    human_both_correct: bool | None


def put(tx: sa.Connection, labels: Sequence[Label], *, source: str, now: datetime) -> int:
    """Write labels over those that stood there; returns how many said something else before."""
    known = {label.request_id: label for batch in {_batch(label) for label in labels} for label in of_batch(tx, batch)}
    changed = sum(known.get(label.request_id, label) != label for label in labels)
    dialect.bulk(tx, "DELETE FROM labels WHERE request_id = ?", [(label.request_id,) for label in labels])
    rows: list[dict[str, Any]] = [{**label._asdict(), "source": source, "made_at": now} for label in labels]
    tx.execute(sa.insert(LABELS), rows)
    return changed


def _batch(label: Label) -> int:
    return label.request_id >> SEQ_BITS


def of_batch(tx: sa.Connection, batch_id: int) -> Iterator[Label]:
    """The labels of a batch's answers, in the order of its requests."""
    low, high = request_range(batch_id)
    columns = tuple(_L[name] for name in Label._fields)
    query = sa.select(*columns).where(_L.request_id >= low, _L.request_id < high).order_by(_L.request_id)
    for row in tx.execute(query):
        yield Label._make(row)


def batches_with_labels(tx: sa.Connection) -> tuple[int, ...]:
    """Ids of the batches that have labels."""
    bits = sa.literal(SEQ_BITS, sa.Integer())  # PostgreSQL shifts a bigint by an integer only
    spans = sa.select(_L.request_id.op(">>")(bits)).distinct()
    return tuple(sorted(int(row[0]) for row in tx.execute(spans)))
