"""New SQLite ledgers as copies: thousands of tests need not run the migrations each."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchflow.ledger import core


@contextmanager
def migrated_by_copy(folder: Path) -> Iterator[None]:
    """New SQLite ledgers are copies of one in `folder`; ledgers with anything in them are migrated."""
    migrate, template = core._alembic, folder / "template.db"

    def copied(engine: sa.Engine) -> None:
        if engine.dialect.name != "sqlite" or not _is_empty(engine):
            migrate(engine)
            return
        if not template.exists():
            made = sa.create_engine(f"sqlite:///{folder / 'migrated.db'}")
            core.dialect.prepare(made)
            migrate(made)
            made.dispose()
            shutil.copy(folder / "migrated.db", template)
        with closing(sqlite3.connect(template)) as source, engine.connect() as connection:
            source.backup(connection.connection.driver_connection)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "_alembic", copied)
        yield


def _is_empty(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first() is None
