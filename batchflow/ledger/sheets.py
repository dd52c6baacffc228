"""Sheets of labels that were drawn by the jury's verdict: by them a label counts for the answers of its stratum."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from batchflow.ledger.models import SHEETS

_S = SHEETS.c


class Sheet(NamedTuple):
    """One stratified draw. field: whose verdict the strata are of.

    marks: a letter for each request of the batch, in order: that of its stratum, a capital where it was drawn, `-` for
    requests outside the draw.
    """

    batch_id: int
    field: str
    seed: int
    marks: str


def put(tx: sa.Connection, sheet: Sheet, *, now: datetime) -> None:
    """Keep a draw; the same one is kept once."""
    if sheet not in of_batch(tx, sheet.batch_id):
        tx.execute(sa.insert(SHEETS).values(**sheet._asdict(), drawn_at=now))


def of_batch(tx: sa.Connection, batch_id: int) -> tuple[Sheet, ...]:
    """The draws of a batch's answers, the latest last."""
    query = sa.select(*(_S[name] for name in Sheet._fields)).where(_S.batch_id == batch_id).order_by(_S.id)
    return tuple(map(Sheet._make, tx.execute(query)))


def forget(tx: sa.Connection, batch_ids: Iterable[int]) -> None:
    """Remove the draws of these batches; before the batches themselves."""
    tx.execute(sa.delete(SHEETS).where(_S.batch_id.in_(tuple(batch_ids))))
