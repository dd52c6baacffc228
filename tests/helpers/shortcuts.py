"""What a new process does once, a test run of thousands of commands need not do each time.

Neither changes a result: statements are compiled once for all ledgers, and a new SQLite ledger is a copy of a migrated
one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from batchflow.ledger import core

Migrate = Callable[[sa.Engine], None]


class _Compiled(dict[Any, Any]):
    """Compiled statements by database and statement: by itself, SQLAlchemy keeps them for each engine anew."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


_COMPILED = _Compiled()


@event.listens_for(sa.Engine, "engine_connect")
def _compile_once(connection: sa.Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)


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
