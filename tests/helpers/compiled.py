"""Importing this module lets all ledgers of a process share their compiled statements.

Each command opens a ledger of its own, and SQLAlchemy would compile every statement anew for it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event


class _Compiled(dict[Any, Any]):
    """Compiled statements by kind of database and statement, where SQLAlchemy's keys name one engine's dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


_COMPILED = _Compiled()


@event.listens_for(sa.Engine, "engine_connect")
def _compile_once(connection: sa.Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)
