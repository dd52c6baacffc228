"""Rows that a transaction changes without holding their batch: on PostgreSQL another one could change them as well.

`guard` makes triggers that raise; `telling` lets the transactions of this process say what they hold. Those of other
processes say nothing, and are not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from batchflow.ledger import transactions

_OWNER = {
    "batches": "changed.id",
    **dict.fromkeys(("jobs", "events", "scores", "sheets", "runs"), "changed.batch_id"),
    "requests": "changed.id >> 32",
    **dict.fromkeys(("votes", "labels"), "changed.request_id >> 32"),
    "uploads": "(SELECT batch_id FROM jobs WHERE id = changed.job_id)",
}
"""SQL for the batch of a changed row, by table."""

_FUNCTION = """
CREATE FUNCTION held_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed {table}%ROWTYPE; held text := coalesce(current_setting('test.held', true), ''); owner text;
BEGIN
    IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
    IF held NOT IN ('', 'all') THEN
        owner := {owner};
        IF '{table}' = 'batches' AND TG_OP = 'INSERT' THEN
            PERFORM set_config('test.held', held || owner || ',', true);
        ELSIF strpos(held, ',' || owner || ',') = 0 THEN
            RAISE EXCEPTION '% of {table}: batch % is not held, only %', TG_OP, owner, held;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER held AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION held_{table}();
"""


def guard(server: str) -> None:
    """Make the triggers of a migrated database. server: how psycopg reaches it."""
    with psycopg.connect(server, autocommit=True) as connection:
        for table, owner in _OWNER.items():
            connection.execute(_FUNCTION.format(table=table, owner=owner))


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Every writing transaction of this process tells the triggers which batches it holds."""
    lock = transactions._lock

    def told(tx: sa.Connection, batch_ids: list[int], numbers: list[int]) -> None:
        lock(tx, batch_ids, numbers)
        scope = f",{''.join(f'{one},' for one in batch_ids)}" if batch_ids or numbers else "all"
        tx.execute(sa.text("SELECT set_config('test.held', :scope, true)"), {"scope": scope})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "_lock", told)
        yield
