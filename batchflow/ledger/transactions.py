"""Transactions and the locks of a ledger: what several processes and hosts may do at the same time.

SQLite has one writer. On PostgreSQL a transaction that changes some batches holds their rows, and others write to other
batches meanwhile. All locks of a transaction are taken at its start and in one order, so that no two wait for each
other: the ledger (shared, or alone), then names by number, then batches by id. Foreign keys never wait for such a row.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from batchflow.ledger.dialect import WRITES
from batchflow.ledger.models import BATCHES

# Numbers that all batchflow processes agree on, for PostgreSQL's advisory locks.
_MIGRATION_LOCK = 0x6261746368
_LEDGER_LOCK = 0x6261746369
_RESULTS_LOCK = 0x62617463  # beside a second number: the batch
_NAME_LOCK = 0x62617464  # beside a second number: of the name

IDLE_S = 300
"""After so long without a statement the server ends a writing transaction: its host is dead, and others wait for it."""

WAIT_S = 600
"""After so long a transaction that waits for others gives up: they are at work, or nobody's that batchflow knows."""

_SILENCE, _PATIENCE = "idle_in_transaction_session_timeout", "lock_timeout"
_KEPT_ALIVE = {"tcp_keepalives_idle": 60, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 6}
"""A host that lost its power says no goodbye: the server asks whether it is there, and frees its locks in 2 minutes."""


@contextmanager
def writing(engine: sa.Engine, batch_ids: Iterable[int] = (), names: Iterable[str] = ()) -> Iterator[sa.Connection]:
    """One writing transaction. It holds its locks from its start, so what it reads of them stays true until its end.

    batch_ids, names: as of `Ledger.write`. Each statement sees what was committed before it: read after the locks.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execution_options(**{WRITES: True})
        else:
            connection.execution_options(isolation_level="READ COMMITTED")  # another one may be the server's default
        with connection.begin():
            if engine.dialect.name != "sqlite":
                _lock(connection, sorted(set(batch_ids)), sorted(set(map(_number, names))))
            yield connection


def _lock(tx: sa.Connection, batch_ids: list[int], numbers: list[int]) -> None:
    """Take the locks of a transaction. A batch that is gone has no row to lock; who looks it up is told."""
    taker = "pg_advisory_xact_lock_shared" if batch_ids or numbers else "pg_advisory_xact_lock"
    locks = [f"{taker}({_LEDGER_LOCK})", *(f"pg_advisory_xact_lock({_NAME_LOCK}, {number})" for number in numbers)]
    bounds = [_bound(_SILENCE, IDLE_S), _bound(_PATIENCE, WAIT_S)]
    tx.exec_driver_sql(f"SELECT {', '.join([*bounds, *locks])}")
    if batch_ids:
        rows = sa.select(BATCHES.c.id).where(BATCHES.c.id.in_(batch_ids)).order_by(BATCHES.c.id)
        tx.execute(rows.with_for_update(key_share=True))


def _bound(setting: str, seconds: float) -> str:
    """SQL that bounds a time for one transaction, unless the server or the connection has a bound of its own."""
    own = f"current_setting('{setting}')"
    return f"set_config('{setting}', CASE {own} WHEN '0' THEN '{round(seconds * 1000)}ms' ELSE {own} END, true)"


def _number(name: str) -> int:
    """The number of a name; two names with one number wait for each other, and nothing worse."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True)


def without_hurry(tx: sa.Connection) -> None:
    """Allow a transaction to be idle for as long as it takes, for one that waits for another database."""
    if tx.dialect.name != "sqlite":
        tx.exec_driver_sql(f"SET LOCAL {_SILENCE} = 0")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction whose statements all see the same state of the database."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":  # SQLite's transactions are snapshots anyway
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


@contextmanager
def only_one(engine: sa.Engine) -> Iterator[None]:
    """Hold a lock that no other process migrating this database can hold."""
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})")


@contextmanager
def alone(engine: sa.Engine, keys: Sequence[int], busy: Callable[[], None]) -> Iterator[None]:
    """Hold locks of PostgreSQL's by number, without a transaction; its server frees them when the process dies."""
    if engine.dialect.name == "sqlite":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name, value in _KEPT_ALIVE.items():
            connection.exec_driver_sql(f"SET {name} = {value}")
        for numbers in [(_RESULTS_LOCK, key) for key in keys]:
            if not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s, %s)", numbers).scalar_one():
                busy()
                connection.exec_driver_sql("SELECT pg_advisory_lock(%s, %s)", numbers)
        try:
            yield
        finally:
            connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
