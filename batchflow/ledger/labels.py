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
    """Human labels of one answer; None: not labelled."""

    request_id: int
    human_answer_correct: bool | None
    human_justification_correct: bool | None
    human_both_correct: bool | None


def put(tx: sa.Connection, labels: Sequence[Label], *, source: str, now: datetime) -> int:
    """Write labels over those that stood there; returns how many said something else before.

    What a label does not say stays as it was.
    """
    existing = {
        label.request_id: label for batch in {_batch(label) for label in labels} for label in of_batch(tx, batch)
    }
    labels = [_merged(existing.get(label.request_id, label), label) for label in labels]
    changed = sum(existing.get(label.request_id, label) != label for label in labels)
    dialect.bulk(tx, "DELETE FROM labels WHERE request_id = ?", [(label.request_id,) for label in labels])
    rows: list[dict[str, Any]] = [{**label._asdict(), "source": source, "made_at": now} for label in labels]
    tx.execute(sa.insert(LABELS), rows)
    return changed


def _merged(old: Label, new: Label) -> Label:
    """The new label, and the old one where the new one is silent.

    An old combined label that the parts now contradict is gone: it was said about other parts.
    """
    label = Label(new.request_id, *(b if b is not None else a for a, b in zip(old[1:], new[1:], strict=True)))
    parts = (label.human_answer_correct, label.human_justification_correct)
    together = False if False in parts else (True if None not in parts else None)
    if new.human_both_correct is None and together is not None and label.human_both_correct not in {None, together}:
        return label._replace(human_both_correct=None)
    return label


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
