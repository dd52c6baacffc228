"""Alembic's entry: runs migrations on the connection that the ledger hands over, or on BATCHFLOW_DATABASE_URL."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context

from batchflow.ledger import dialect, transactions
from batchflow.ledger.core import temporary_url
from batchflow.ledger.models import METADATA


def run(connection: sa.Connection) -> None:
    """Migrate inside the transaction that is open on the connection."""
    context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the ledger's connection, or open one for the `alembic` command of a developer."""
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    engine = sa.create_engine(os.environ.get("BATCHFLOW_DATABASE_URL") or temporary_url())
    dialect.prepare(engine)
    with transactions.writing(engine) as connection:
        run(connection)


main()
