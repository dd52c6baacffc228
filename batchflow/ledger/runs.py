"""Runs: what a `batchflow run` was asked to do with a batch of questions, for whoever goes on with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batchflow.ledger.models import RUNS

_R = RUNS.c


def put(tx: sa.Connection, batch_id: int, wish: Mapping[str, Any], *, now: datetime) -> None:
    """Keep what a run is to do with a batch, in place of what an earlier one was."""
    tx.execute(sa.delete(RUNS).where(_R.batch_id == batch_id))
    tx.execute(sa.insert(RUNS).values(batch_id=batch_id, wish=dict(wish), asked_at=now))


def forget(tx: sa.Connection, batch_ids: Iterable[int]) -> None:
    """Remove what runs were to do with these batches; before the batches themselves."""
    tx.execute(sa.delete(RUNS).where(_R.batch_id.in_(tuple(batch_ids))))


def listing(tx: sa.Connection) -> tuple[tuple[int, Mapping[str, Any]], ...]:
    """Batches of questions with what their runs are to do, in the order of the batches."""
    return tuple((row.batch_id, row.wish) for row in tx.execute(sa.select(RUNS).order_by(_R.batch_id)))
