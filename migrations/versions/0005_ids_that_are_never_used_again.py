"""Ids of batches and jobs that are never used again."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KEY = "id INTEGER NOT NULL"
_TABLE_KEY = re.compile(r",\s*CONSTRAINT \w+ PRIMARY KEY \(id\)")
_NO_COUNT_YET = """
    INSERT INTO sqlite_sequence (name, seq)
    SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)
"""


def upgrade() -> None:
    """Ids of batches and jobs that are never used again: SQLite gives a deleted row's id to the next one.

    PostgreSQL's sequences never go back. SQLite adds AUTOINCREMENT to no table, so both are made anew. Their rows are
    taken out and put back under deferred foreign keys: a rename would turn the references of other tables.
    """
    tx = op.get_bind()
    if tx.dialect.name != "sqlite":
        return
    tx.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # until the end of this transaction
    for table in ("batches", "jobs"):
        _make_anew(tx, table)
    # an answer may still point to the job of a retry that was deleted
    latest = tx.exec_driver_sql("SELECT coalesce(max(raw_job_id), 0) FROM requests").scalar_one()
    tx.exec_driver_sql(_NO_COUNT_YET, ("jobs", "jobs"))
    tx.exec_driver_sql("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'jobs'", (latest,))


def _make_anew(tx: sa.Connection, table: str) -> None:
    """Make a table again, with its indexes and rows, and with a key that counts on."""
    query = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'index'"
    statements = [str(row[0]) for row in tx.exec_driver_sql(query, (table,))]
    statements[0] = _TABLE_KEY.sub("", statements[0].replace(_KEY, f"{_KEY} PRIMARY KEY AUTOINCREMENT", 1))
    tx.exec_driver_sql(f"CREATE TEMPORARY TABLE kept AS SELECT * FROM {table}")  # noqa: S608 - our own names
    tx.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
    tx.exec_driver_sql(f"DROP TABLE {table}")
    for statement in statements:
        tx.exec_driver_sql(statement)
    tx.exec_driver_sql(f"INSERT INTO {table} SELECT * FROM temp.kept")  # noqa: S608
    tx.exec_driver_sql("DROP TABLE temp.kept")
